"""The way back: what a failed or aborted change did is undone, and the release of before serves again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from hostler.configure.types import Change
from hostler.errors import ConfigureError, HostlerError, RolledBackError, StackFileError
from hostler.models.release import live_release
from hostler.models.types import Placement, Release
from hostler.record.types import Before, Journal, Record
from hostler.rollout import planning, recorded, turns, verify
from hostler.rollout.apply import apply
from hostler.rollout.observe import observe
from hostler.rollout.planning import Draft
from hostler.rollout.releases import FAILED
from hostler.rollout.session import Session
from hostler.stackfile.sections import StackFile

BACK = "back"  # a journal's stage


def from_here(record: Record | None) -> Before:
    """What was there before the change that begins now; where one was interrupted, before that one."""
    if record is None:
        return Before()
    if record.journal:
        return record.journal.before
    return Before(replicas=record.replicas, gateway_host=record.gateway_host, applied=record.applied)


def obstacle(record: Record) -> str:
    """Why there is no way back from the change that is under way; empty: there is one."""
    journal, live = record.journal, live_release(record)
    if journal is None:
        return "no change is under way"
    if live is None or live.ended != "good":
        return "no release was ever good"
    if not journal.before.applied:
        return "the stack file of before is not in the record"
    if journal.before.gateway_host != record.gateway_host:
        return f"the gateway moves from {journal.before.gateway_host} to {record.gateway_host}"
    return ""


@contextmanager
def guarded(own: StackFile, run: Session, *, cut: bool) -> Generator[None]:
    """What fails inside after replicas were exchanged is undone, and becomes RolledBackError (exit 7). Before that
    nothing that serves was touched: it stays as it is, and the next `up` goes on. `own`: this machine's stack file."""
    try:
        yield
    except (RolledBackError, ConfigureError) as error:
        run.lock.check()
        if obstacle(run.record) or not _new(run.record):
            raise
        said = f"failed: {error.problems[0] if error.problems else error}"
        touched_only = not isinstance(error, RolledBackError)
        try:
            draft = back(own, run, reason(error), cut=cut, touched_only=touched_only, said=said)
        except HostlerError as stuck:
            raise ConfigureError(*error.problems, *stuck.problems) from stuck
        if draft is None:
            raise
        raise RolledBackError(*error.problems) from error


def _new(record: Record) -> bool:
    """Whether the change makes another release live: only then another one can be gone back to."""
    return record.journal is not None and record.journal.release != record.release


def reason(error: HostlerError) -> str:
    problem = error.problems[0] if error.problems else None
    return f"{problem.where}: {problem.got}"[:500] if problem else str(error)[:500]


def back(
    own: StackFile, run: Session, why: str, *, cut: bool, touched_only: bool = False, said: str = ""
) -> Draft | None:
    """Makes the release of before true again and marks the other one failed; what was done. `touched_only`: only where
    replicas were exchanged already, else None. `said`: what a person reads first of it. Raises ConfigureError where it does not go back whole: the journal keeps
    that, and `hostler rollout abort` tries again."""
    journal, live = run.record.journal, live_release(run.record)
    if journal is None or live is None:
        return None
    try:
        draft = _draft_of_before(own, run, journal, live)
    except HostlerError as error:
        raise _stuck(live, error) from error
    exchanged = [change for change in draft.plan.changes if change.item.startswith("container:")]
    if touched_only and not exchanged:
        return None
    run.commit(failed(replace(run.record, journal=replace(journal, stage=BACK)), why))
    if said:  # else whoever reads the error reads it twice
        run.out.say(said)
    run.out.say(f"going back to release {live.number}: {_names(exchanged)}")
    try:
        apply(draft, run, cut=cut, allow_downtime=True)
        verify.differences(draft, run)
        there = [
            r for r in draft.plan.placement.replicas if draft.observation.seen[r.members[0].host].reached
        ]
        models = sorted({r.model for r in there if r.id in _replicas(exchanged)})
        verify.routed(run, [r for r in there if r.model in models])
        verify.smoke(draft, run, models)
    except HostlerError as error:
        raise _stuck(live, error) from error
    run.commit(settled(run.record, journal, draft))
    run.out.say(f"went back: release {live.number} is live again")
    for name, seen in sorted(draft.observation.seen.items()):
        if not seen.reached and not seen.parked:
            run.out.say(
                f"note: {name} does not answer; what it runs is not known, and `hostler up` settles it"
            )
    return draft


def _draft_of_before(own: StackFile, run: Session, journal: Journal, live: Release) -> Draft:
    """The plan that leads back: the stack file, the release and the seats of before, on the hosts as they are now,
    where replicas stand as the change has put them. What that file names of this machine is taken where `own` says the
    same."""
    file = recorded.load(journal.before.applied, own)
    if left := recorded.left(file):
        run.out.say(
            f"note: {', '.join(left)} stays as it is on {run.record.gateway_host}: where it came from before is not what this "
            "machine's stack file says"
        )
    turn = turns.back(run.record)
    record = replace(turns.turned(run.record, turn), journal=None)
    observation = replace(observe(file, pulumi=False, without=run.out.say, turn=turn), record=record)
    return planning.draft(observation, record, live, Placement(replicas=journal.before.replicas))


def failed(record: Record, why: str) -> Record:
    """The release that was being made live failed; one that is live, or that failed before, stays what it is."""
    number = record.journal.release if record.journal else 0
    releases = tuple(
        replace(one, ended=f"{FAILED}: {why}")
        if one.number == number != record.release and not one.ended.startswith(FAILED)
        else one
        for one in record.releases
    )
    return replace(record, releases=releases)


def settled(record: Record, journal: Journal, draft: Draft) -> Record:
    """The change is over, and replicas stand where they stood before it. Hosts that it had added are gone, but for
    those that do not answer."""
    seen, before = draft.observation.seen, journal.before
    silent = {name for name in record.hosts if name in seen and not seen[name].reached}
    return replace(
        record,
        replicas=before.replicas,
        slots=draft.record.slots,
        hosts={n: host for n, host in record.hosts.items() if n in draft.record.hosts or n in silent},
        applied=before.applied,
        file_digest="",
        journal=None,
    )


def _stuck(live: Release, error: HostlerError) -> ConfigureError:
    """A file of before that this machine does not trust has a next step of its own, before that."""
    step = "`hostler rollout abort` goes on going back; `hostler status` shows what serves"
    mend = isinstance(error, StackFileError)
    problems = [
        replace(
            one,
            next_step=f"{one.next_step}, then `hostler rollout abort`" if mend and one.next_step else step,
        )
        for one in error.problems
    ]
    problems[:1] = [replace(problems[0], where=f"back to release {live.number}: {problems[0].where}")]
    return ConfigureError(*problems)


def _replicas(changes: list[Change]) -> set[str]:
    return {change.replica for change in changes}


def _names(changes: list[Change]) -> str:
    return (
        ", ".join(sorted(name for name in _replicas(changes) if name)) or "nothing that serves was exchanged"
    )


def journal_of(
    record: Record | None, *, run: str, release: int, who: str, since: float, file: str
) -> Journal:
    """Of a change that begins now."""
    return Journal(
        run=run, stage="apply", release=release, who=who, since=since, file=file, before=from_here(record)
    )
