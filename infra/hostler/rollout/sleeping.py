"""Who sleeps and is woken by hand: machines of a rented pool, which are given back and rented again, and engines of a
model or of an owned pool, which free their cards' memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hostler.console.out import Out
from hostler.errors import Exit, HostError, HostlerError, RefusedError, UsageError
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Host
from hostler.models.types import Replica
from hostler.rollout import home, networks
from hostler.rollout.observe import Observation, home_of, look, observe, unreached
from hostler.rollout.session import Session, session
from hostler.stackfile import idling
from hostler.stackfile.defaults import ends
from hostler.stackfile.notes import nearest
from hostler.stackfile.rented import is_slot
from hostler.stackfile.sections import StackFile

SLEEP_S = 900.0  # a drain has a limit of its own
WAKE_S = 3600.0  # a load may take long, and the host has limits of its own
PACKET_S = 150.0
BOOT_S = 300.0  # of a machine that was suspended, until it answers
PAUSE_S = 1.0

type Word = Literal["sleep", "wake"]
type Kind = Literal["model", "pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """`rented`: a pool whose machines are given back, or rented again; else engines sleep, or are woken."""

    name: str
    kind: Kind
    rented: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one replica, in its host's words."""

    replica: str
    host: str
    changed: bool
    why: str
    error: HostlerError | None = None  # why it could not be done


def who(file: StackFile, name: str, word: Word, kind: Kind | None = None) -> Who:
    """Raises UsageError for a name that is none, or both a pool's and a model's and nobody says which; RefusedError for
    the gateway's rented pool, which must not sleep."""
    pools = file.stack.pools
    models = [model for model, section in file.stack.models.items() if not section.cloud]
    found: list[Kind] = [k for k, names in (("model", models), ("pool", pools)) if name in names]  # type: ignore[misc]
    found = [one for one in found if kind in (None, one)]
    if len(found) > 1:
        raise UsageError.of(
            f"hostler {word}",
            expected="a name that is a pool's or a model's",
            got=f"{name}, which is both",
            next_step=f"hostler {word} {name} --model, or --pool",
        )
    if not found:
        known = [*models, *pools] if kind is None else models if kind == "model" else [*pools]
        near = nearest(name, known) or next(iter(known), "")
        raise UsageError.of(
            f"hostler {word}",
            expected=f"a {kind or 'model or pool'} of the stack file: {', '.join(known) or 'it has none'}",
            got=f"{name}, which runs at its provider"
            if name in file.stack.models and name not in models
            else name,
            next_step=f"write {near}" if near else "hostler config",
        )
    if found[0] == "model" or not pools[name].aws:
        return Who(name=name, kind=found[0])
    if word == "sleep" and name == _home(file):
        raise RefusedError.of(
            f"pool {name}",
            expected="a pool without the gateway",
            got="the one that it runs on: the stack would have no address, and lose its record",
            next_step="`hostler down` takes the whole stack away",
        )
    return Who(name=name, kind="pool", rented=True)


def _home(file: StackFile) -> str:
    """The rented pool with the gateway's host; empty: an owned host has it."""
    rented = {pool: section for pool, section in file.stack.pools.items() if section.aws}
    if named := file.stack.gateway.host:
        return next((pool for pool in rented if is_slot(named, pool)), "")
    return next((pool for pool, section in rented.items() if not ends(section)), "")


def engines(file: StackFile, found: Who, word: Word, out: Out) -> tuple[Row, ...]:
    """All of them side by side, under the stack's lock; AWS is not needed for it. A suspended machine is woken first.
    What one host says no to stops no other."""
    observation = observe(file, pulumi=False, without=out.say)
    record = home.running(observation)
    replicas = _replicas(observation, record.replicas, found)
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    why = f"{word} {found.name}"
    with session(record, home_of(observation), observation.every, reached, out, why=why) as run:
        awake = _machines(observation, run, replicas, out) if word == "wake" else {}
        calls: dict[str, Callable[[], Row]] = {
            one.id: _call(observation, run, one, word, awake) for one in replicas
        }
        out.live(f"{word}: {', '.join(calls)}")
        with ThreadPoolExecutor(min(32, len(calls))) as pool:
            waiting = [pool.submit(call) for call in calls.values()]
        return tuple(one.result() for one in waiting)


def _replicas(observation: Observation, replicas: Sequence[Replica], found: Who) -> list[Replica]:
    """Raises UsageError where there are none."""
    pool = {host.name for host in observation.every if host.pool == found.name}
    mine = [
        r for r in replicas if (r.model == found.name if found.kind == "model" else r.members[0].host in pool)
    ]
    if not mine:
        raise UsageError.of(
            f"{found.kind} {found.name}",
            expected="a replica of it" if found.kind == "model" else "a replica on it",
            got="none",
            next_step="`hostler status` shows what runs",
        )
    return sorted(mine, key=lambda one: one.id)


def _call(
    observation: Observation,
    run: Session,
    replica: Replica,
    word: Word,
    awake: Mapping[str, HostlerError | Host],
) -> Callable[[], Row]:
    """What asks the host, and never raises what is the host's own."""
    host = replica.members[0].host

    def ask() -> Row:
        try:
            answer = _ask(observation, run, replica, word, awake)
        except HostlerError as error:
            return Row(replica=replica.id, host=host, changed=False, why=str(error.problems[0]), error=error)
        return Row(replica=replica.id, host=host, changed=bool(answer["changed"]), why=str(answer["why"]))

    return ask


def _ask(
    observation: Observation,
    run: Session,
    replica: Replica,
    word: Word,
    awake: Mapping[str, HostlerError | Host],
) -> Mapping[str, Any]:
    name = replica.members[0].host
    seen = observation.seen.get(name)
    if seen and seen.parked:
        if word == "sleep":
            return {"changed": False, "why": f"{name} is {seen.error}"}
        raise RefusedError.of(name, expected="a machine", got=f"it is {seen.error}", next_step=seen.next_step)
    came = awake.get(name)
    if isinstance(came, HostlerError):
        raise came
    request: dict[str, Any] = {"id": replica.id}
    if word == "sleep":
        request |= {"why": f"hostler {word}", "by": networks.owner()}
    if came is not None:
        with closing(transport_for(came)) as transport:
            return agent_call(transport, word, run_id=run.run, timeout=WAKE_S, **request)
    if seen and not seen.reached:
        raise HostError(unreached(name, seen))
    if word == "sleep":
        return run.call(name, "sleep", SLEEP_S, force=True, **request)
    return run.call(name, "wake", WAKE_S, **request)


def _machines(
    observation: Observation, run: Session, replicas: Sequence[Replica], out: Out
) -> dict[str, HostlerError | Host]:
    """Hosts that do not answer, and that the stack file says how to wake: woken, or why not."""
    names = dict.fromkeys(replica.members[0].host for replica in replicas)
    off = [
        name
        for name in names
        if not observation.seen[name].reached and idling.wake_of(observation.file.stack, name)
    ]
    if not off:
        return {}
    with ThreadPoolExecutor(min(32, len(off))) as pool:
        waiting = {name: pool.submit(_machine, observation, run, observation.host(name), out) for name in off}
    return {name: one.result() for name, one in waiting.items()}


def _machine(observation: Observation, run: Session, host: Host, out: Out) -> HostlerError | Host:
    wake = idling.wake_of(observation.file.stack, host.name)
    out.say(f"{host.name}: waking it")
    try:
        words = {key: value for key, value in asdict(wake).items() if value is not None} if wake else {}
        run.call(run.gateway.name, "wake-host", PACKET_S, **words)
        until = time.monotonic() + BOOT_S
        while not (seen := look((host,))[host.name]).reached:
            if time.monotonic() > until:
                return HostError(
                    unreached(host.name, seen, f"it was woken {BOOT_S:.0f} s ago: look at the machine")
                )
            time.sleep(PAUSE_S)
    except HostlerError as error:
        return error
    return host


def table(rows: Sequence[Row], word: Word) -> Iterator[tuple[str, str, str, str]]:
    done = {"sleep": "sleeps", "wake": "awake"}[word]
    for row in rows:
        yield (row.replica, row.host, "error" if row.error else done if row.changed else "as it was", row.why)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [_as_json(row) for row in rows]


def _as_json(row: Row) -> dict[str, Any]:
    step = row.error.problems[0].next_step if row.error else ""
    return {
        "replica": row.replica,
        "host": row.host,
        "changed": row.changed,
        "why": row.why,
        "error": row.error is not None,
        "next": step or None,
    }


def code(rows: Sequence[Row]) -> Exit:
    """Of the first that could not be done."""
    return next((row.error.code for row in rows if row.error), Exit.DONE)
