"""Ansible on just the hosts and parts that differ; hosts that left the file are emptied."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager

from hostler.configure import leftovers
from hostler.configure.events import Event
from hostler.configure.run import run_playbooks
from hostler.configure.types import Change
from hostler.configure.variables import GIVER, secrets_named
from hostler.console.out import Out
from hostler.errors import ConfigureError, HostlerError, RefusedError
from hostler.hosts.trouble import AgentError
from hostler.rollout import carrying, exchanges, secret
from hostler.rollout.planning import Draft
from hostler.rollout.session import Session

PURGE_S = 900.0
RETIRE_S = 3600.0  # the drain has a limit of its own
REFUSED = 3  # the agent's exit status: requests would be cut


def apply(
    draft: Draft, run: Session, *, cut: bool = False, bake_s: int = 0, allow_downtime: bool = False
) -> None:
    """Makes the plan's changes; the first replica of each model that is exchanged is watched `bake_s` seconds at least.
    `allow_downtime`: in place also where nothing else serves and nothing waits. Raises ConfigureError (exit 6) with the
    hosts' own words, or RolledBackError (exit 7) when a new replica did not pass and the old one is back."""
    changes = tuple(change for change in draft.plan.changes if change.host and change.part != "pulumi")
    gone = [name for name in draft.plan.removed_hosts if name in run.transports]
    here = tuple(
        change
        for change in changes
        if change.host not in draft.plan.removed_hosts and not leftovers.goes_last(change)
    )
    for leaving in draft.plan.vacated:
        if leaving.host in run.transports:
            _retire(run, leaving.replica, leaving.host, cut=cut)
    if here:
        stay = () if allow_downtime else exchanges.beside_only(draft.plan.exchanges, draft.plan.downtime_s)
        _play(draft, run, here, cut=cut, bake_s=bake_s, beside=stay)
    for name in gone:
        retire(run, name, draft, cut=cut)
        if draft.observation.host(name).owned:  # a rented one goes as a whole
            run.out.live(f"{name}: taking away what is ours")
            empty(run, name)


def prune(draft: Draft, run: Session) -> None:
    """Takes away weights and images that nothing needs any more; call it when the new release has answered."""
    gone = tuple(
        change
        for change in draft.plan.changes
        if leftovers.goes_last(change) and change.host not in draft.plan.removed_hosts
    )
    if gone:
        _play(draft, run, gone)


def _play(
    draft: Draft,
    run: Session,
    changes: tuple[Change, ...],
    *,
    cut: bool = False,
    bake_s: int = 0,
    beside: Collection[str] = (),
) -> None:
    file, hosts = draft.observation.file, draft.observation.hosts
    with _or_lost(run), carrying.giving(draft.plan, file, hosts, changes, run.out) as giving:
        run_playbooks(
            manifests=giving.manifests,
            hosts=hosts,
            changes=changes,
            run=run.run,
            cut=cut,
            bake_s=bake_s,
            order=[one.replica for one in draft.plan.exchanges],
            beside=beside,
            secrets={**secret.values(file, secrets_named(giving.manifests)), GIVER: giving.token},
            on_event=Teller(run.out),
            lost=run.lock.lost,
        )


def retire(run: Session, host: str, draft: Draft, *, cut: bool) -> None:
    """The replicas of a host that leaves: the gateway sends them nothing by now. Of a rented one also those that it runs
    and the record has elsewhere since: it did not answer then, and may answer requests still."""
    record = draft.observation.record
    known = record.replicas if record else ()
    begun = (
        record.journal.before.replicas if record and record.journal else ()
    )  # by a run that was interrupted
    there = {r.id for r in (*known, *begun) if r.members[0].host == host}
    if not draft.observation.host(host).owned:
        there |= leftovers.replicas(draft.observation.seen[host])
    for replica in sorted(there):
        _retire(run, replica, host, cut=cut)


def _retire(run: Session, replica: str, host: str, *, cut: bool) -> None:
    """It gets nothing new; what it is answering is waited for, or the plan stops here with what would be cut (exit 9)."""
    run.out.live(f"{replica} on {host}: waiting for its last requests")
    with or_refused():
        answer = run.call(host, "retire", RETIRE_S, id=replica, force=cut)
    if answer.get("changed"):
        run.out.say(f"changed  {host}: retired {replica}")


@contextmanager
def or_refused() -> Generator[None]:
    """A host that would cut requests was reached: it says no (exit 9)."""
    try:
        yield
    except AgentError as error:
        if error.rc != REFUSED:
            raise
        raise RefusedError(*error.problems) from error


@contextmanager
def _or_lost(run: Session) -> Generator[None]:
    """That the lock was lost is the reason, whatever came of it."""
    try:
        yield
    except (HostlerError, KeyboardInterrupt):
        run.lock.check()
        raise


def empty(run: Session, host: str, *, keep_models: bool = False) -> dict[str, list[object]]:
    """Removes all that is ours from a host and says what stays on purpose; raises ConfigureError when something
    could not be removed."""
    asked = {"keep-models": keep_models, "uid": run.record.uid, "host": host}
    answer = run.call(host, "purge", PURGE_S, **asked)
    for kept in answer.get("kept", ()):
        run.out.say(f"{host}: kept {kept['what']}: {kept['why']}")
    if answer.get("left"):
        raise ConfigureError.of(
            host,
            expected="nothing of the stack left",
            got="; ".join(f"{left['what']}: {left['why']}" for left in answer["left"]),
            next_step="run it again; what cannot be removed is yours to look at",
        )
    return answer


class Teller:
    """Ansible's story, a line a thing: on a terminal what goes on is overwritten, changes and failures stay."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._told: set[tuple[str, str, str]] = set()

    def __call__(self, event: Event) -> None:
        line = f"{event.host}: {event.task}" + (f": {said}" if (said := self._said(event)) else "")
        if event.status not in ("changed", "failed", "unreachable"):
            self._out.live(line)
            return
        told = (event.host, event.task, event.status)
        if event.item or told not in self._told:  # the task's own line says no more than those of its items
            self._out.say(f"{event.status:8} {line}")
        self._told.add(told)

    def _said(self, event: Event) -> str:
        item = event.item.rpartition("/")[2].partition("@")[0]
        return ": ".join(word for word in (item, event.message) if word)
