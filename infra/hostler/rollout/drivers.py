"""NVIDIA's driver on hosts that have none: installed, and the host rebooted, before anything is planned there.

What cards a host has is known when their driver runs; so this is a plan of its own, with a yes of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hostler.configure import ask, base, build, difference, driver, nvidia, observed
from hostler.configure.run import Job, play
from hostler.configure.types import Change, Notice, Plan
from hostler.configure.wish import Wish
from hostler.console import plan as show
from hostler.console.out import Out
from hostler.errors import HostError, Problem, RefusedError
from hostler.hosts.types import Host, Seen
from hostler.manifest.items import Effect, Manifest, Part
from hostler.models.types import Placement, Release
from hostler.record.types import Record
from hostler.rollout import gates, keys
from hostler.rollout.observe import Observation
from hostler.rollout.planning import serves
from hostler.rollout.session import session

if TYPE_CHECKING:
    from hostler.rollout.up import Options

REBOOT_S = 180.0  # what a person should reckon with until a host and its replicas are back
DRAIN_S = 900.0
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
        notices=(*_refusals(observation, waiting), Notice(level="note", text=LATER)),
        manifests=made,
        downtime_s=downtime(observation, waiting),
    )


def _refusals(observation: Observation, waiting: Sequence[Host]) -> Iterator[Notice]:
    """What would stop the plan after this one, too: nothing is rebooted in vain."""
    for host in observation.hosts:
        seen = observation.seen[host.name]
        if host not in waiting:
            yield from driver.refusals(seen)
        yield from base.account_notices(seen)


def _record(observation: Observation) -> Record:
    return observation.record or keys.first_record(observation.file.stack.stack, observation.gateway.name)


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
        found[host.name] = build.collect(wish, host, (*base.items(record, host), *brings), ())
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
    if not out.as_json:
        show.show(made, out, details=options.details)
    gates.refuse(made, allow_downtime=options.allow_downtime)
    out.say(show.summary(made))
    if not out.confirm("Apply?", yes=options.yes):
        return False
    _apply(observation, waiting, made, out)
    return True


def not_yet(hosts: Collection[str]) -> RefusedError:
    """Of a saved plan, which would have to be made before the cards are known."""
    return RefusedError.of(
        "a saved plan",
        expected="hosts whose cards are known",
        got=f"no driver yet on {', '.join(sorted(hosts))}",
        next_step="run `hostler up` once without it: it installs the driver, and goes on",
    )


def _apply(observation: Observation, waiting: Sequence[Host], made: Plan, out: Out) -> None:
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
        for replica in observation.record.replicas if observation.record else ():
            if replica.members[0].host in names:
                out.live(f"{replica.id}: gets nothing new until its host is back")
                run.call(replica.members[0].host, "drain", DRAIN_S + 30, id=replica.id, limit=DRAIN_S)
    out.live(f"rebooting {', '.join(names)}")
    play(replace(job, playbook="reboot.yml", lost=None), teller)


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
