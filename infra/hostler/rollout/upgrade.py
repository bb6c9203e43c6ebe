"""hostler upgrade: what is under the replicas, host by host: packages, Docker, NVIDIA's driver, the kernel, a reboot.

What touches nothing that runs is installed while everything serves. For the rest a host's replicas are drained first, and
serve again when they do as well as before; only then comes the next host. One that fails stays drained until `up`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from hostler.console.out import Out, size
from hostler.errors import ConfigureError, HostlerError, RefusedError, UsageError
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.trouble import AgentError
from hostler.hosts.types import Host
from hostler.record.types import Journal, Record
from hostler.rollout import elsewhere, home, networks, rebooting, undo, up, upgrading, verify
from hostler.rollout.apply import or_refused
from hostler.rollout.observe import Observation, home_of, observe, refuse_unreached
from hostler.rollout.session import Session, session
from hostler.rollout.upgrading import NONE, REBOOT, Looked, Outlook, Turn
from hostler.stackfile.sections import StackFile

LOOK_S = 1200.0  # lists of packages over a slow line, and another package manager that is waited for
FETCH_S = 4000.0
INSTALL_S = 4 * 3600.0 + 60  # longer than the agent's own limit
DRAIN_S = 600.0
BACK_S = 3600.0  # a model's load has a limit of its own
WHY = "upgrade"
UP_AGAIN = "; {host} stays drained, the others are as they were; `hostler up` lets it serve as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`hosts` empty: all. `reboot`: hosts that wait for one; `in_any_case`: those that are named, too."""

    hosts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = (upgrading.SECURITY,)
    reboot: bool = False
    in_any_case: bool = False
    yes: bool = False
    allow_downtime: bool = False
    cut: bool = False


def look(
    file: StackFile, options: Options, out: Out, *, changes: bool = False
) -> tuple[Observation, Outlook]:
    """What is newer on each host that answers, and what `options` would do there. `changes`: to be applied, so what an
    interrupted run left is put right first. Raises UsageError for a host that the stack has not, ConfigureError for a
    package manager that must be mended first."""
    observation = observe(file, pulumi=False, without=out.say)
    record = home.running(observation)
    if changes and record.journal:
        _refuse_unlike(record.journal)
        observation = up.undisturbed(observation, out, up.Options())
        record = home.running(observation)
    hosts = _chosen(observation, options.hosts, out)
    named = options.hosts if options.in_any_case else ()
    found = upgrading.outlook(
        observation, record, _looked(hosts, options, out), reboot=options.reboot, named=named
    )
    return observation, found


def _refuse_unlike(journal: Journal) -> None:
    """Only an upgrade that was interrupted is gone on with here."""
    if journal.stage != WHY:
        raise RefusedError.of(
            "hostler upgrade",
            expected="no change that was interrupted",
            got=f"one of release {journal.release}, begun by {journal.who}",
            next_step="`hostler up` or `hostler rollout resume` goes on with it, `hostler rollout abort` goes back",
        )


def _chosen(observation: Observation, names: Sequence[str], out: Out) -> list[Host]:
    """Those that answer. Raises HostError for one that is named and does not."""
    known = {host.name: host for host in observation.hosts}
    for name in names:
        if name not in known:
            raise UsageError.of(
                "hostler upgrade",
                expected=f"one of {', '.join(known)}",
                got=name,
                next_step="`hostler status` lists the hosts",
            )
    refuse_unreached({name: observation.seen[name] for name in names})
    for name in known:
        if not observation.seen[name].reached:
            out.say(f"note: {name} is left out: {observation.seen[name].error}")
    return [known[name] for name in names or known if observation.seen[name].reached]


def _looked(hosts: Sequence[Host], options: Options, out: Out) -> list[Looked]:
    """All hosts at once. One that fails is said, and left out. Raises ConfigureError where it was named, or all fail."""
    out.live(f"asking the package sources of {', '.join(host.name for host in hosts)}")

    def one(host: Host) -> Looked:
        transport = transport_for(host)
        try:
            with _configuring():
                answer = agent_call(transport, "upgrade-look", timeout=LOOK_S, kinds=list(options.kinds))
            return upgrading.looked(host.name, answer)
        finally:
            transport.close()

    def tried(host: Host) -> Looked:
        try:
            return one(host)
        except HostlerError as error:
            return Looked(host=host.name, failed=error.problems)

    with ThreadPoolExecutor(min(32, max(1, len(hosts)))) as pool:
        found = list(pool.map(tried, hosts))
    failed = [problem for looked in found for problem in looked.failed]
    if failed and (options.hosts or all(looked.failed for looked in found)):
        raise ConfigureError(*failed)
    for problem in failed:
        out.say(f"warning: {problem.where} is left out: {problem.got}\n  next: {problem.next_step}")
    return found


def refuse(observation: Observation, found: Outlook, options: Options) -> None:
    """Raises RefusedError with everything that stops it."""
    problems = tuple(
        upgrading.refusals(observation, found, allow_downtime=options.allow_downtime, yes=options.yes)
    )
    if problems:
        raise RefusedError(*problems)


def apply(observation: Observation, found: Outlook, out: Out, options: Options) -> None:
    """After the yes. Raises RefusedError where a host's requests do not end in time, or nothing else serves any more what
    it serves: it serves on; ConfigureError where
    something fails: the host stays drained, and no further one is touched."""
    record = home.running(observation)
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    at = home_of(observation)
    started = time.monotonic()
    last: Turn | None = None
    with session(record, at, observation.every, reached, out, why=WHY) as run:
        _fetch(run, found.busy)
        if any(turn.effect != NONE for turn in found.busy):
            _begin(run, record)
        for turn in found.busy:
            with _let_go(run):
                if turn.effect != NONE and not options.allow_downtime:
                    elsewhere.refuse_alone(run, record, found, turn)
                if turn.effect == REBOOT and turn.host == at.name:  # the last: the lock goes with it
                    _before(run, turn, cut=options.cut)
                    last = turn
                else:
                    _turn(run, turn, cut=options.cut)
        if last is None:
            _end(run)
    if last is not None:
        host = observation.host(last.host)
        rebooting.reboot(host, run.run, out)
        with session(run.record, at, observation.every, reached, out, why=WHY, run_id=run.run) as run:
            _after(run, last)
            _end(run)
    out.say(f"done in {time.monotonic() - started:.0f} s: {_done(found)}")


def security(file: StackFile, out: Out) -> Outlook:
    """Security fixes on every host that answers, where nothing that serves is touched for them: for who does it without
    anyone. What was done; a host where a fix would bring more with it is said, and left out. Raises ConfigureError, when
    the others are done, for hosts whose package manager must be mended."""
    options = Options(yes=True)
    observation, found = look(file, options, out, changes=True)
    for turn in found.turns:
        if turn.effect != NONE:
            out.say(
                f"note: {turn.host} is left out: its replicas would be {upgrading.SAID[turn.effect]} for it"
            )
    plain = replace(found, turns=tuple(turn for turn in found.turns if turn.effect == NONE), away=())
    if not plain.empty:
        apply(observation, plain, out, options)
    if found.failed:
        raise ConfigureError(*found.failed)
    return plain


def _done(found: Outlook) -> str:
    return "; ".join(
        f"{turn.host}: {len(turn.looked.steps)} package{'s' * (len(turn.looked.steps) != 1)}"
        + (", rebooted" if turn.effect == REBOOT else "")
        for turn in found.busy
    )


def _fetch(run: Session, turns: Sequence[Turn]) -> None:
    """Everywhere at once, while everything serves."""
    names = {turn.host: turn.names for turn in turns if turn.names}
    total = sum(turn.looked.size for turn in turns)
    run.out.live(f"fetching {size(total)} of packages while everything serves")

    def one(host: str) -> None:
        with _configuring():
            run.call(host, "upgrade-fetch", FETCH_S, names=names[host])

    run.everywhere(list(names), one)


def _begin(run: Session, record: Record) -> None:
    """From here on whoever comes next knows that hosts may be drained. The stack file that belongs to it is the one that
    was applied: `rollout resume` makes no other one true."""
    begun = undo.journal_of(
        record,
        run=run.run,
        release=record.release,
        who=networks.owner(),
        since=time.time(),
        file=record.file_digest,
    )
    run.commit(replace(run.record, journal=replace(begun, stage=WHY)))


def _end(run: Session) -> None:
    if run.record.journal:
        run.commit(replace(run.record, journal=None))


@contextmanager
def _let_go(run: Session) -> Generator[None]:
    """A host that serves on is no interrupted change."""
    try:
        yield
    except RefusedError:
        _end(run)
        raise


def _turn(run: Session, turn: Turn, *, cut: bool) -> None:
    if turn.effect == NONE:
        _install(run, turn, "; nothing was drained")
        verify.routed(run, turn.serving)
        return
    _before(run, turn, cut=cut)
    if turn.effect == REBOOT:
        rebooting.reboot(next(h for h in run.hosts if h.name == turn.host), run.run, run.out)
    _after(run, turn)


def _before(run: Session, turn: Turn, *, cut: bool) -> None:
    """Drained, and what is new installed."""
    names = ", ".join(replica.id for replica in turn.replicas) or "no replica"
    run.out.live(f"{turn.host}: {names} gets nothing new until it is back")
    try:
        with or_refused():
            run.call(turn.host, "host-away", DRAIN_S + BACK_S, limit=DRAIN_S, cut=cut)
    except KeyboardInterrupt:
        with suppress(HostlerError):
            run.call(turn.host, "host-back", unproven=True)
        raise
    _install(run, turn, UP_AGAIN.format(host=turn.host))


def _install(run: Session, turn: Turn, also: str) -> None:
    if not turn.names:
        return
    run.out.live(f"{turn.host}: installing {len(turn.looked.steps)} packages")
    with _configuring(also):
        answer = run.call(
            turn.host,
            "upgrade-install",
            INSTALL_S,
            names=turn.names,
            effect=turn.effect,
            repair=turn.effect == NONE,
        )
    run.out.say(f"changed  {turn.host}: {answer['why']}")
    for replica in answer.get("repaired", ()):
        run.out.say(f"changed  {turn.host}: {replica} had lost its cards, and was exchanged")


def _after(run: Session, turn: Turn) -> None:
    """Ready, as good as before, and sent requests again."""
    run.out.live(f"{turn.host}: waiting for {', '.join(r.id for r in turn.replicas) or 'its containers'}")
    with _configuring(UP_AGAIN.format(host=turn.host)):
        answer = run.call(turn.host, "host-back", BACK_S)
    if answer.get("unproven"):
        run.out.say(f"note: {turn.host}: {answer['unproven']}")
    verify.routed(run, [replica for replica in turn.replicas if replica.id in answer["proven"]])
    run.out.say(f"back     {turn.host}: {', '.join(answer['replicas']) or 'nothing was drained there'}")


@contextmanager
def _configuring(also: str = "") -> Generator[None]:
    """A host whose packages or replicas fail was reached: exit 6. `also`: of how things stand then."""
    try:
        yield
    except AgentError as error:
        raise ConfigureError(
            *(replace(problem, next_step=(problem.next_step or "look at it there") + also) for problem in error.problems)
        ) from error  # fmt: skip
