"""NVIDIA's driver on hosts that have none: installed, and the host rebooted, before anything is planned there.

What cards a host has is known when their driver runs; so this is a plan of its own, with a yes of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from hostler.configure import ask, base, build, difference, nvidia, observed
from hostler.configure.run import Job, play
from hostler.configure.types import Change, Notice, Plan
from hostler.configure.wish import Wish
from hostler.console import plan as show
from hostler.console.out import Out
from hostler.errors import ConfigureError, HostError, HostlerError, Problem, RefusedError
from hostler.hosts.types import Host, Seen
from hostler.manifest.items import Effect, Manifest, Part
from hostler.models.types import Placement, Release, Replica
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import gates, home
from hostler.rollout.downtime import serves
from hostler.rollout.observe import Observation, refuse_renamed
from hostler.rollout.session import Session, session

if TYPE_CHECKING:
    from hostler.rollout.up import Options

REBOOT_S = 180.0  # what a person should reckon with until a host and its replicas are back
DRAIN_S = 900.0
SILENT = "look at its console; `hostler up` goes on with the hosts that are back"
LATER = "which cards are there is known when their driver runs: models are placed in a second plan, after the reboot"


def due(observation: Observation) -> tuple[Host, ...]:
    """Hosts that get a driver, or only wait for the reboot after it. This machine itself is not rebooted."""
    return tuple(
        host
        for host in observation.hosts
        if not host.ssh.local and (_lacks(observation.seen[host.name]) or waits(observation.seen[host.name]))
    )


def _lacks(seen: Seen) -> bool:
    return bool(seen.facts and not nvidia.obstacle(seen.facts))


def waits(seen: Seen) -> bool:
    """Whether a run that ended early began to install it in this very boot."""
    mark = observed.value(seen, f"path:{nvidia.MARK}")
    facts = seen.facts
    if not facts or not mark or facts.driver.state == "working":
        return False
    return str(mark.get("text", "")).strip() == facts.boot_id


def asked(observation: Observation, waiting: Sequence[Host]) -> Observation:
    """A second look at those hosts: which packages they need is known when their kernel is."""
    from hostler.hosts.probe import probe

    made = manifests(observation, waiting, _record(observation))
    seen = probe(waiting, {name: ask.ask(manifest) for name, manifest in made.items()})
    return replace(observation, seen={**observation.seen, **seen})


def plan(observation: Observation, waiting: Sequence[Host]) -> Plan:
    """What is installed on those hosts, and that they reboot."""
    record = _record(observation)
    store.refuse_foreign(observation.seen, record, observation.file.stack.stack)
    refuse_renamed(observation)
    made = manifests(observation, waiting, record)
    changes: list[Change] = []
    for host in waiting:
        seen = observation.seen[host.name]
        changes += [c for c in difference.difference(made[host.name], seen) if c.action != "remove"]
        changes.append(_reboot(host))
    return Plan(
        stack=record.stack,
        file=observation.file.digest,
        observed=difference.observed_digest(observation.seen),
        release=Release(number=record.release, models={}, parts={}),
        placement=Placement(replicas=()),
        changes=tuple(changes),
        notices=_notices(observation, waiting, record),
        manifests=made,
        downtime_s=downtime(observation, waiting),
    )


def _notices(observation: Observation, waiting: Sequence[Host], record: Record) -> tuple[Notice, ...]:
    """All that would stop the plan after this one, too: nothing is rebooted in vain."""
    everything = gates.notices(
        observation.file,
        observation.hosts,
        observation.seen,
        Placement(replicas=()),
        record,
        observation.gateway.name,
        waiting=[host.name for host in waiting],
    )
    others = (
        Notice(level="warning", where=host, text=f"the reboot stops {count} containers of others")
        for host, count in strangers(observation, waiting).items()
    )
    return (*everything, *others, Notice(level="note", text=LATER))


def strangers(observation: Observation, waiting: Sequence[Host]) -> dict[str, int]:
    """Containers that are not ours on hosts that reboot."""
    facts = {host.name: observation.seen[host.name].facts for host in waiting}
    return {name: one.docker_foreign for name, one in facts.items() if one and one.docker_foreign}


def _record(observation: Observation) -> Record:
    return home.record_or_first(observation)


def _reboot(host: Host) -> Change:
    return Change(
        host=host.name,
        part=Part.DRIVER,
        item=f"host:{host.name}",
        action="change",
        now="runs",
        then="rebooted",
        why="the kernel loads the driver at a boot",
        effect=Effect.REBOOT,
    )


def manifests(observation: Observation, waiting: Sequence[Host], record: Record) -> dict[str, Manifest]:
    """The agent, and what brings the driver; nothing else of the stack."""
    nothing = Release(number=record.release, models={}, parts={})
    wish = Wish(
        file=observation.file,
        hosts=observation.hosts,
        seen=observation.seen,
        release=nothing,
        placement=Placement(replicas=()),
        record=record,
    )
    found: dict[str, Manifest] = {}
    for host in waiting:
        seen = observation.seen[host.name]
        brings = nvidia.items(observation.file, seen.facts, waits(seen)) if seen.facts else ()
        found[host.name] = build.collect(wish, host, (*base.items(record, host, seen), *brings), ())
    return found


def downtime(observation: Observation, waiting: Sequence[Host]) -> Mapping[str, float]:
    """Models that nobody answers for while those hosts reboot."""
    record = observation.record
    if record is None:
        return {}
    names = {host.name for host in waiting}
    serving = [r for r in record.replicas if serves(observation.seen, record.gateway_host, r)]
    if record.gateway_host in names:
        return dict.fromkeys(sorted({r.model for r in serving}), REBOOT_S)
    stay = {r.model for r in serving if r.members[0].host not in names}
    return dict.fromkeys(sorted({r.model for r in serving} - stay), REBOOT_S)


def install(observation: Observation, waiting: Sequence[Host], out: Out, options: Options) -> bool:
    """Shows it, asks, does it; False when the answer was no. Raises ConfigureError with the hosts' own words."""
    if options.plan:
        raise not_yet({host.name for host in waiting})
    observation = asked(observation, waiting)
    made = plan(observation, waiting)
    # a JSON answer is that of the plan after the reboot
    show.show(
        made, Out(stdout=out.stderr, stderr=out.stderr) if out.as_json else out, details=options.details
    )
    gates.refuse(made, allow_downtime=options.allow_downtime)
    if options.yes and not options.allow_downtime:
        _refuse_unasked(strangers(observation, waiting))
    out.say(show.summary(made))
    if not out.confirm("Apply?", yes=options.yes):
        return False
    _apply(observation, waiting, made, out, cut=options.cut)
    return True


def _refuse_unasked(others: Mapping[str, int]) -> None:
    """--yes is a yes to what happens to this stack."""
    if others:
        raise RefusedError(
            *(
                Problem(
                    where=host,
                    expected="no containers but our own on a host that is rebooted unasked",
                    got=f"{count} of others",
                    next_step="repeat with --allow-downtime, or without --yes",
                )
                for host, count in others.items()
            )
        )


def not_yet(hosts: Collection[str]) -> RefusedError:
    """Of a saved plan, which would have to be made before the cards are known."""
    return RefusedError.of(
        "a saved plan",
        expected="hosts whose cards are known",
        got=f"no driver yet on {', '.join(sorted(hosts))}",
        next_step="run `hostler up` once without it: it installs the driver, and goes on",
    )


def _apply(observation: Observation, waiting: Sequence[Host], made: Plan, out: Out, *, cut: bool) -> None:
    """Under the lock, but for the reboot: the lock is on a host that may reboot itself."""
    from hostler.rollout.apply import Teller

    names = [host.name for host in waiting]
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    record = _record(observation)
    teller = Teller(out)
    with session(record, observation.gateway, observation.every, reached, out, why="driver") as run:
        run.claim(names)
        job = Job(
            manifests=made.manifests,
            hosts=waiting,
            changes=None,
            run=run.run,
            claimed=True,
            playbook="driver.yml",
            lost=run.lock.lost,
        )
        play(job, teller)
        drain(run, [r for r in record.replicas if r.members[0].host in names], cut=cut)
    out.live(f"rebooting {', '.join(names)}")
    try:
        play(replace(job, playbook="reboot.yml", lost=None), teller)
    except ConfigureError as error:
        raise ConfigureError(
            *(replace(p, next_step=p.next_step or SILENT) for p in error.problems)
        ) from error


def drain(run: Session, replicas: Sequence[Replica], *, cut: bool) -> None:
    """They get nothing new until their host is back, and what they are answering is waited for. Where that takes too
    long (exit 9, unless `cut`), or anything else goes wrong, they serve on."""
    from hostler.rollout.apply import or_refused

    drained: list[Replica] = []
    try:
        for replica in replicas:
            drained.append(replica)
            run.out.live(f"{replica.id}: gets nothing new until its host is back")
            try:
                with or_refused():
                    run.call(replica.members[0].host, "drain", DRAIN_S + 30, id=replica.id, limit=DRAIN_S)
            except RefusedError:
                if not cut:
                    raise
    except BaseException:
        for replica in drained:
            with suppress(HostlerError):
                run.call(replica.members[0].host, "undrain", id=replica.id)
        raise


def proved(observation: Observation, rebooted: Sequence[Host]) -> Observation:
    """The driver of each of those hosts answers; raises HostError with what is seen instead."""
    bad: list[Problem] = []
    for host in rebooted:
        seen = observation.seen[host.name]
        state = seen.facts.driver.state if seen.facts else "unknown"
        if state != "working":
            detail = seen.facts.driver.detail if seen.facts else seen.error
            bad.append(
                Problem(
                    where=host.name,
                    expected="a driver that answers after the reboot",
                    got=f"{state}: {detail}",
                    next_step="`hostler doctor` says what may be in its way; `journalctl -b -k | grep -i nvidia` there, too",
                )
            )
    if bad:
        raise HostError(*bad)
    return observation
