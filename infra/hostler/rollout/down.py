"""hostler down: what will be removed, the question, the removal, and a look whether it is really gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostler import operator
from hostler.console.out import Out
from hostler.errors import ConfigureError, HostError, LockedError, Problem
from hostler.hosts.types import Seen
from hostler.rollout import keys
from hostler.rollout.apply import empty
from hostler.rollout.observe import Observation, look, observe
from hostler.rollout.session import Session, session
from hostler.stackfile.sections import StackFile

HEADS = ("HOST", "KIND", "REMOVED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    yes: bool = False
    keep_models: bool = False


def rows(seen: Mapping[str, Seen], *, keep_models: bool) -> list[tuple[str, str, str]]:
    """What carries this stack's mark, per host: the list that is printed is the list that is removed."""
    kinds = ("containers", "units", "models", "images", "packages", "files", "accounts")
    return [
        (host, kind, name)
        for host, s in sorted(seen.items())
        for kind in kinds
        if not (keep_models and kind == "models")
        for name in s.ours.get(kind, ())
    ]


def down(file: StackFile, out: Out, options: Options) -> bool:
    """True when everything is gone, False when the question was answered with no."""
    observation = observe(file, pulumi=False)
    uid = observation.record.uid if observation.record else _uid(observation)
    _refuse_foreign(observation, uid)
    table = rows(observation.seen, keep_models=options.keep_models)
    if out.as_json:
        out.json([{"host": h, "kind": k, "name": n} for h, k, n in table])
    elif table:
        out.table(HEADS, table)
    ours = [name for name, seen in observation.seen.items() if seen.uid and seen.reached]
    if not ours:
        out.say("nothing to remove: no host that answers carries this stack")
        _forget(file, observation, out)
        _refuse_unreached(observation)
        return True
    if not out.confirm(f"Remove all this from {', '.join(ours)}?", yes=options.yes):
        return False
    _remove(observation, ours, out, options)
    _forget(file, observation, out)
    _refuse_unreached(observation)
    out.say(f"gone: {', '.join(ours)} {'are' if len(ours) > 1 else 'is'} as found")
    return True


def _remove(observation: Observation, ours: list[str], out: Out, options: Options) -> None:
    """The gateway's host last: it keeps the lock and the record."""
    record = observation.record or keys.first_record(observation.file.stack.stack, observation.gateway.name)
    home = observation.record.gateway_host if observation.record else observation.gateway.name
    gateway = observation.host(home) if home in ours else observation.host(ours[0])
    with session(record, gateway, observation.every, ours, out, why="down") as run:
        others = [name for name in ours if name != gateway.name]
        run.everywhere(others, lambda name: _empty(run, name, options))
        _empty(run, gateway.name, options)
        _read_back(observation, ours)


def _empty(run: Session, name: str, options: Options) -> None:
    run.out.live(f"{name}: taking away what is ours")
    empty(run, name, keep_models=options.keep_models)
    run.out.say(f"{name}: removed")


def _read_back(observation: Observation, ours: list[str]) -> None:
    hosts = tuple(observation.host(name) for name in ours)
    left = rows(look(hosts), keep_models=True)
    if left:
        raise ConfigureError(
            *(
                Problem(where=host, expected="gone", got=f"{kind} {name} still there")
                for host, kind, name in left
            )
        )


def _forget(file: StackFile, observation: Observation, out: Out) -> None:
    """Local state goes when no host of the stack is left out there."""
    if any(not seen.reached for seen in observation.seen.values()):
        out.say("note: some hosts did not answer; this machine keeps its state of the stack for them")
        return
    import shutil

    from hostler.provision.fleet import Fleet

    Fleet(file.stack.stack).forget()
    keys.forget_all(file.stack.stack)
    shutil.rmtree(operator.stack_home(file.stack.stack), ignore_errors=True)


def _uid(observation: Observation) -> str:
    uids = {seen.uid for seen in observation.seen.values() if seen.uid}
    if len(uids) > 1:
        raise LockedError.of(
            "the hosts",
            expected="one stack's uid",
            got=", ".join(sorted(uids)),
            next_step="take the hosts of the other stack out of this file",
        )
    return next(iter(uids), "")


def _refuse_foreign(observation: Observation, uid: str) -> None:
    for name, seen in sorted(observation.seen.items()):
        if seen.uid and seen.uid != uid:
            raise LockedError.of(
                name, expected=f"a host of this stack ({uid})", got=f"one of another ({seen.uid})"
            )


def _refuse_unreached(observation: Observation) -> None:
    problems = tuple(
        Problem(
            where=n, expected="an answer", got=s.error, next_step="run `hostler down` again when it is back"
        )
        for n, s in sorted(observation.seen.items())
        if not s.reached
    )
    if problems:
        raise HostError(*problems)
