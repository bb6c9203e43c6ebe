"""Preview and probe, side by side: what Pulumi expects, and what the hosts say now."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hostler.configure import ask
from hostler.errors import HostError, Problem, RefusedError
from hostler.hosts.types import Host, Seen
from hostler.models.resolver import host_paths
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import givenback, homes, lastknown, rented, turns
from hostler.rollout.lastknown import Tell
from hostler.rollout.rented import Cloud, Turn
from hostler.rollout.sweep import Beside, Swept
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.sections import StackFile

if TYPE_CHECKING:
    from hostler.cloud.offer import Offer
    from hostler.provision.types import ProvisionPreview

PROBE_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The world as it was seen once."""

    file: StackFile
    hosts: tuple[Host, ...]
    gone: tuple[Host, ...]  # in the record, no longer in the file
    seen: Mapping[str, Seen]
    record: Record | None
    gateway: Host
    preview: ProvisionPreview | None = None
    problems: tuple[str, ...] = field(default=())
    cloud: Cloud | None = None  # what is rented; None: nothing, by file and state
    offers: Mapping[str, Offer] | None = None  # by pool with slots to fill; None: AWS was not asked
    swept: Swept | None = None  # what no state knows; None: nobody looked

    @property
    def every(self) -> tuple[Host, ...]:
        return (*self.hosts, *self.gone)

    @property
    def home_known(self) -> bool:
        """Whether the gateway's host answered, or is a rented one that no `up` has set up yet: then `record` None means
        that there is none. Otherwise it means that nobody knows."""
        home = self.gateway.name
        if self.cloud and not self.cloud.why and (home in self.cloud.slots.fill or home in self.cloud.unmet):
            return True
        return home in self.seen and self.seen[home].reached

    @property
    def owned(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.owned)

    def host(self, name: str) -> Host:
        return next(host for host in self.every if host.name == name)


def observe(
    file: StackFile,
    *,
    pulumi: bool = True,
    limit_s: float = PROBE_LIMIT_S,
    after_first: float | None = None,
    turn: Turn | None = None,
    without: Tell | None = None,
    sweep: bool = False,
) -> Observation:
    """One look at everything. Unreachable hosts are in `seen` with their error; Pulumi's preview runs meanwhile.
    `after_first`: seconds that are waited for the others once one host has answered. `without`: hears of it where what
    is rented cannot be found out, and the look goes on with what was last known; None: that is an error. `sweep`: with
    strays, as far as AWS tells of them in the time that the hosts have."""
    hosts = hosts_of(file)
    if rented.rents(file):
        return _with_rented(file, hosts, limit_s, after_first, turn or Turn(), without, sweep)
    waiting: Future[Mapping[str, Seen]] = Future()
    with ThreadPoolExecutor(1) as pool:
        preview = pool.submit(_preview, file, hosts, waiting) if pulumi else None
        try:
            seen = look(hosts, questions_of(file), limit_s, after_first)
        except BaseException as error:
            waiting.set_exception(error)
            raise
        waiting.set_result(seen)
        found = _with_record(file, hosts, seen, limit_s, preview.result() if preview else None)
    if found.record and found.record.slots:  # it rented, though neither its file nor this machine says so
        return _with_rented(file, hosts, limit_s, after_first, turn or Turn(), without, sweep)
    return found


def _with_rented(
    file: StackFile,
    owned: tuple[Host, ...],
    limit_s: float,
    after_first: float | None,
    turn: Turn,
    without: Tell | None,
    sweep: bool,
) -> Observation:
    """Where machines are is asked first; which of them are wanted says the record, on the gateway's host. Pulumi's
    preview needs to know that, and comes later (renting.planned)."""
    cloud = lastknown.known(file, without)
    began, beside = time.monotonic(), Beside(file, cloud) if sweep else None
    if cloud.why and after_first is None:
        after_first = lastknown.AFTER_FIRST_S
    still = rented.stopped(cloud, time.time())  # nobody is asked who is not there
    there = (host for name, host in cloud.hosts.items() if name not in still)
    seen = {**still, **look((*owned, *there), questions_of(file), limit_s, after_first)}
    named = (file.stack.gateway.host, cloud.home or next((host.name for host in owned), ""))
    home = store.at_home(seen, homes.trusted(file.stack.stack, *filter(None, named)))
    record = homes.found(file.stack.stack, home)
    record = turns.turned(record, turn) if record else None
    if cloud.why:
        before, cloud = cloud, lastknown.with_record(file, cloud, record)
        fresh = tuple(host for name, host in cloud.hosts.items() if host != before.hosts.get(name))
        seen = {**seen, **(look(fresh, questions_of(file), limit_s, after_first) if fresh else {})}
        seen = lastknown.seen_of(cloud, (*owned, *rented.wanted(file, cloud)), seen)
    else:
        cloud = rented.decided(file, cloud, record, turn)
        seen = {name: one for name, one in seen.items() if name not in cloud.resting}
        seen |= {name: rented.goes(still[name]) for name in cloud.slots.retire if name in still}
        seen = {**seen, **rented.absent(cloud, time.time())}
    asleep = givenback.asleep(file, cloud, record)
    seen = {**seen, **{host.name: givenback.seen(host) for host in asleep}}
    hosts = (*owned, *rented.wanted(file, cloud), *asleep)
    if cloud.why and record is None:
        lastknown.refuse_homeless(file, cloud, hosts)
    found = _with_record(file, hosts, seen, limit_s, None, known=cloud.hosts, before=cloud.home, turn=turn)
    left = max(0.0, limit_s - (time.monotonic() - began))
    return replace(found, cloud=cloud, swept=beside.answer(record, left) if beside else None)


def look(
    hosts: tuple[Host, ...],
    questions: Sequence[str] = (),
    limit_s: float = PROBE_LIMIT_S,
    after_first: float | None = None,
) -> Mapping[str, Seen]:
    from hostler.hosts.probe import probe

    questions = questions or ask.generic()
    return probe(hosts, {host.name: questions for host in hosts}, timeout=limit_s, after_first=after_first)


def questions_of(file: StackFile) -> tuple[str, ...]:
    """The generic questions, and the weights that the file says lie on the hosts."""
    return (*ask.generic(), *of_paths(host_paths(file.stack.models)))


def of_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """About files of weights, or folders of them."""
    return tuple(f"{kind}:{path}" for path in paths for kind in ("path", "folder"))


def gateway_host(file: StackFile, hosts: tuple[Host, ...], before: str = "") -> Host:
    """`before`: the host that has it now. Raises RefusedError where the stack has no host at all."""
    wanted = file.stack.gateway.host or rented.gateway_slot(file, hosts, before)
    if not hosts:
        raise RefusedError.of(
            file.stack.stack,
            expected="a host for the gateway",
            got="none: all slots are parked, or could not be filled",
            next_step="hostler wake POOL",
        )
    return next((host for host in hosts if host.name == wanted), hosts[0])


def _preview(
    file: StackFile, hosts: tuple[Host, ...], waiting: Future[Mapping[str, Seen]]
) -> ProvisionPreview:
    from hostler.provision.fleet import Fleet

    return Fleet(file.stack.stack).preview(hosts, lambda name: waiting.result()[name])


def _with_record(
    file: StackFile,
    hosts: tuple[Host, ...],
    seen: Mapping[str, Seen],
    limit_s: float,
    preview: ProvisionPreview | None,
    known: Mapping[str, Host] | None = None,
    before: str = "",
    turn: Turn | None = None,
) -> Observation:
    """`known`: rented hosts that are there. One that the record has and that is not there any more is past. `before`:
    the host that had the gateway, where no record says so."""
    named = (gateway_host(file, hosts, before).name, before)
    record = homes.found(file.stack.stack, store.at_home(seen, homes.trusted(file.stack.stack, *named)))
    record = turns.turned(record, turn) if record and turn else record
    past: Mapping[str, Host] = {**(record.hosts if record else {}), **(known or {})}
    wanted = {host.name for host in hosts}
    gone = tuple(
        host
        for name, host in sorted(past.items())
        if name not in wanted and (host.owned or name in (known or {}))
    )
    if unseen := tuple(host for host in gone if host.name not in seen):
        seen = {**seen, **look(unseen, limit_s=limit_s)}
    return Observation(
        file=file,
        hosts=hosts,
        gone=gone,
        seen=seen,
        record=record,
        gateway=gateway_host(file, hosts, record.gateway_host if record else before),
        preview=preview,
    )


def restore(observation: Observation) -> Observation:
    """`up --restore`: goes on with the newest copy of the record, at a higher epoch."""
    if observation.record and not lost(observation):
        return observation
    copy = store.best_copy(observation.seen)
    if not copy:
        raise RefusedError.of(
            "--restore",
            expected="a copy of the record on one of the hosts",
            got=f"none on {', '.join(sorted(observation.seen))}",
            next_step="run `hostler up` without --restore to begin anew",
        )
    return replace(observation, record=store.restored(copy[1], observation.gateway.name))


def lost(observation: Observation) -> str:
    """The host with the newest copy when no home has it, or just an older one (a gateway of the past): somebody
    must decide. Empty: the record at home is the newest there is."""
    copy = store.best_copy(observation.seen)
    record = observation.record
    if copy is None or (record and rank(copy[1]) <= rank(record)):
        return ""
    return copy[0]


def rank(record: Record) -> tuple[int, int]:
    return record.epoch, record.number


def home_of(observation: Observation) -> Host:
    """Where lock and record are: on the gateway's host of the last `up`, while it is known and answers."""
    home = observation.record.gateway_host if observation.record else ""
    known = {host.name: host for host in observation.every}
    seen = observation.seen.get(home)
    return known[home] if home in known and seen and seen.reached else observation.gateway


def refuse_renamed(observation: Observation) -> None:
    """A host's name is its identity: the same machine under another name would be emptied under its old one."""
    machines = {
        facts.machine_id: host for host in observation.hosts if (facts := observation.seen[host.name].facts)
    }
    for old in observation.gone:
        facts = observation.seen[old.name].facts
        if facts and (new := machines.get(facts.machine_id)):
            raise RefusedError.of(
                new.where or new.name,
                expected=f"the name {old.name}, under which this machine is in the stack",
                got=new.name,
                next_step=f"add `name: {old.name}` to it; a name is the identity of a host",
            )


def refuse_unreached(seen: Mapping[str, Seen], next_step: str = "") -> None:
    """Raises HostError with every host that did not answer, though something should be there. `next_step`: instead of
    the hosts' own."""
    silent = [(n, one) for n, one in sorted(seen.items()) if not one.reached and not one.parked]
    if silent:
        raise HostError(*(unreached(name, one, next_step) for name, one in silent))


def unreached(name: str, seen: Seen, next_step: str = "") -> Problem:
    """Its error is a sentence of the same kind already."""
    expected, found, got = seen.error.removeprefix("expected ").partition("; got ")
    if not found:
        expected, got = "an answer", seen.error
    return Problem(where=name, expected=expected, got=got, next_step=next_step or seen.next_step)
