"""From what was seen to a plan: resolve, place, manifest, difference. One code path for plan, up, render and down."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hostler.cloud.predicted import is_predicted
from hostler.configure import build, difference, disk_room, doors, observed, too_old
from hostler.configure.types import Change, Notice, Plan
from hostler.console import status
from hostler.hosts.types import Absent, Host, Observed, Seen, Unknown, Value
from hostler.manifest.items import Effect, Manifest, Part
from hostler.models import kept, mirror
from hostler.models.operator_files import quiet
from hostler.models.registry import Registry
from hostler.models.release import next_release, wanted_of
from hostler.models.resolver import Resolver
from hostler.models.rooms import Room, rooms_of
from hostler.models.types import Placement, Release, Replica
from hostler.placement.place import place
from hostler.placement.vacate import Vacated, vacated
from hostler.record import store
from hostler.record.types import Expected, Record
from hostler.rollout import carrying, gates, home, releases, secret, seen_files, slots
from hostler.rollout.observe import Observation, refuse_renamed
from hostler.rollout.seen_files import HostFiles
from hostler.stackfile.asked import asked_digests

SERVING = ("ready", "ready, route unknown")  # what is not known is not cut, either
LEFT_S = 60.0  # from a replica's end to the readiness of its successor elsewhere
DOOR_S = 10.0  # what a person should reckon with while the gateway's container is exchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A plan with the record that will be true when it is done."""

    plan: Plan
    record: Record
    observation: Observation


def make(
    observation: Observation,
    *,
    why: str = "up",
    release: Release | None = None,
    tell: Callable[[str], None] = quiet,
) -> Draft:
    """Resolves what floats and is new (network), everything else is pure. Changes nothing anywhere.

    `release`: one that was resolved before, for the same record; it is kept as it is. `tell` hears what takes long.
    """
    record = home.record_or_first(observation)
    store.refuse_foreign(observation.seen, record, observation.file.stack.stack)
    refuse_renamed(observation)
    rooms = rooms_of(observation.hosts, observation.seen, record.replicas)
    release = release or _release(observation, record, rooms, why, tell)
    placement = place(wanted_of(observation.file.stack, release), rooms, record.replicas)
    return draft(observation, record, release, placement)


def draft(observation: Observation, record: Record, release: Release, placement: Placement) -> Draft:
    """The plan for a given release and placement."""
    moved = observation.record is not None and record.gateway_host != observation.gateway.name
    keep = kept.of(record.releases, record.release, release)
    wanted = replace(
        record,
        epoch=record.epoch + moved,  # what the former gateway's host still has is of the past
        release=release.number,
        releases=kept.limited(_with(record.releases, release), record.release, release),
        replicas=placement.replicas,
        expected=_expected(observation, record),
        hosts={host.name: replace(host, where="") for host in observation.hosts if host.ssh.address},
        slots=observation.cloud.slots.slots if observation.cloud else record.slots,
        gateway_host=observation.gateway.name,
        file_digest=observation.file.digest,
        applied=observation.file.text,
    )
    manifests = build.manifests(
        observation.file, observation.hosts, observation.seen, release, placement, wanted
    )
    changes = (*_host_changes(observation, manifests, keep), *_provision_changes(observation))
    rooms = rooms_of(observation.hosts, observation.seen, record.replicas)
    leave_first = vacated(_running(record.replicas, observation.seen), placement, rooms)
    notices = gates.notices(
        observation.file,
        observation.hosts,
        observation.seen,
        placement,
        record,
        observation.gateway.name,
        resting=slots.resting(observation),
    )
    plan = Plan(
        stack=record.stack,
        file=observation.file.digest,
        observed=difference.observed_digest(observation.seen),
        release=release,
        placement=placement,
        changes=changes,
        notices=(
            *notices,
            *_moved(observation, record),
            *releases.tried(record, release),
            *slots.notices(observation),
            *too_old.notices(release, placement, observation.seen),
            *disk_room.notices(manifests, observation.seen, keep),
            *carrying.notices(observation.file, release, manifests, changes),
            *_unreached(observation.seen),
        ),
        manifests=manifests,
        removed_hosts=tuple(host.name for host in observation.gone),
        downtime_s={
            **cut_meanwhile(leave_first, placement, observation.seen, record),
            **downtime(changes, placement, observation.seen, manifests, record.gateway_host),
        },
        vacated=leave_first,
    )
    return Draft(plan=plan, record=wanted, observation=observation)


def _moved(observation: Observation, record: Record) -> Iterator[Notice]:
    serving = any(serves(observation.seen, record.gateway_host, replica) for replica in record.replicas)
    return gates.moved(observation.file, observation.record, observation.gateway, serves=serving)


def _release(
    observation: Observation, record: Record, rooms: Sequence[Room], why: str, tell: Callable[[str], None]
) -> Release:
    file = observation.file
    with HostFiles(observation.hosts, observation.seen) as there:
        resolver = Resolver(
            rooms,
            weights=seen_files.weights(file, secret.value(file, secret.HUB), observation.seen, there, tell),
            registry=Registry(mirror=mirror.of(file.stack).images),
            where=file.where,
            folder=str(Path(file.path).resolve().parent),
        )
        release = next_release(file.stack, record, asked_digests(file.stack), resolve=resolver)
    for known in record.releases:  # one that an interrupted run began is gone on with
        if known.ended.startswith("failed"):
            continue
        if known.number == release.number or (known.models, known.parts) == (release.models, release.parts):
            return known
    # the first one is dated as its record is, so that a plan says the same each time until an `up` has kept it
    when = record.keys[0].made if record.keys and not record.releases else time.time()
    return replace(release, who=f"{getpass.getuser()}@{socket.gethostname()}", when=round(when), why=why)


def _with(releases: tuple[Release, ...], release: Release) -> tuple[Release, ...]:
    return (*(r for r in releases if r.number != release.number), release)


def _expected(observation: Observation, record: Record) -> Mapping[str, Expected]:
    """What was seen is what is expected from now on; of an unreachable host, what was expected before."""
    found = {host.name: _expected_of(host, observation.seen[host.name]) for host in observation.hosts}
    before = record.expected
    known = {name: fresh or before[name] for name, fresh in found.items() if fresh or name in before}
    return dict(sorted(known.items()))


def _expected_of(host: Host, seen: Seen) -> Expected | None:
    facts = seen.facts
    return facts and Expected(
        machine_id=facts.machine_id,
        cards=tuple((card.uuid, card.name, card.memory_mib) for card in facts.cards),
        driver=facts.driver.version,
        boot_id=facts.boot_id,
        address=doors.edge_address(host, seen),
        edge=doors.certificate(seen, "edge")[1],
    )


def _host_changes(
    observation: Observation, manifests: Mapping[str, Manifest], keep: kept.Kept
) -> tuple[Change, ...]:
    changes: list[Change] = []
    for host in observation.hosts:
        seen = observation.seen[host.name]
        if seen.facts and is_predicted(seen):
            changes.append(slots.prepared(host.name, seen.facts))
        elif seen.reached:
            changes.extend(difference.difference(manifests[host.name], seen, keep))
    for host in observation.gone:
        if observation.seen[host.name].reached and observation.seen[host.name].uid:
            changes.append(_leave(host.name) if host.owned else slots.leaves(host.name, observation))
    return tuple(changes)


def _leave(host: str) -> Change:
    return Change(
        host=host,
        part=Part.BASE,
        item=f"host:{host}",
        action="remove",
        now="part of the stack",
        then="as it was found",
        why="no longer in the stack file",
        effect=Effect.DRAIN,
    )


def _provision_changes(observation: Observation) -> tuple[Change, ...]:
    if not observation.preview:
        return ()
    actions = {"create": "add", "delete": "remove"}
    return tuple(
        Change(
            host="",
            part="pulumi",
            item=change.name,
            action=actions.get(change.op, "change"),  # type: ignore[arg-type]
            now="",
            then=change.op,
            why="; ".join(change.details) or "not in Pulumi's state yet",
        )
        for change in observation.preview.changes
    )


def _unreached(seen: Mapping[str, Seen]) -> tuple[Notice, ...]:
    return tuple(
        Notice(level="warning", text=s.error + (f" ({s.next_step})" if s.next_step else ""), where=name)
        for name, s in sorted(seen.items())
        if not s.reached
    )


def downtime(
    changes: tuple[Change, ...],
    placement: Placement,
    seen: Mapping[str, Seen],
    manifests: Mapping[str, Manifest],
    gateway: str,
) -> dict[str, float]:
    """Seconds in which a model that is served now cannot answer, for models whose only serving replica changes."""
    serving = {r.id: r.model for r in placement.replicas if serves(seen, gateway, r)}
    touched = {
        c.replica
        for c in changes
        if c.replica in serving and c.effect in (Effect.RESTART, Effect.DRAIN, Effect.REBOOT)
    }
    doors = {c.host for c in changes if _restarts(c, "edge", seen)} - {gateway}  # asked on loopback there
    touched |= {r.id for r in placement.replicas if r.id in serving and r.members[0].host in doors}
    if any(_restarts(c, "gateway", seen) for c in changes):
        return dict.fromkeys(sorted(set(serving.values())), DOOR_S)
    limits = {c.id: c.health.limit_s if c.health else 60 for m in manifests.values() for c in m.containers}
    alone = {replica for replica in touched if list(serving.values()).count(serving[replica]) < 2}
    return {serving[replica]: float(min(limits.get(replica, 60), 60)) for replica in sorted(alone)}


def cut_meanwhile(
    leave_first: Sequence[Vacated], placement: Placement, seen: Mapping[str, Seen], before: Record
) -> dict[str, float]:
    """The same for models that are wanted further on, of which a replica that serves leaves before its successor has
    started, and nothing else serves."""
    seats = {(gone.replica, gone.host) for gone in leave_first}
    leaving = {
        r.model
        for r in before.replicas
        if (r.id, r.members[0].host) in seats and serves(seen, before.gateway_host, r)
    }
    placed = {r.model for r in placement.replicas}
    serving = {r.model for r in placement.replicas if serves(seen, before.gateway_host, r)}
    return dict.fromkeys(sorted(leaving & placed - serving), LEFT_S)


def _running(replicas: Sequence[Replica], seen: Mapping[str, Seen]) -> tuple[Replica, ...]:
    """Those whose container is there, or may be: what an interrupted run took away need not leave again."""
    return tuple(r for r in replicas if not isinstance(_container(r, seen), Absent))


def _container(replica: Replica, seen: Mapping[str, Seen]) -> Observed:
    host = seen.get(replica.members[0].host)
    return observed.of(host, f"container:{replica.id}") if host else Unknown("it was not probed", 0.0)


def _restarts(change: Change, door: str, seen: Mapping[str, Seen]) -> bool:
    """Whether a door that is open now is closed for a moment."""
    found = seen[change.host].observed.get(f"container:{door}") if change.host in seen else None
    runs = isinstance(found, Value) and bool(found.value.get("running"))
    return change.item == f"container:{door}" and change.effect is Effect.RESTART and runs


def serves(seen: Mapping[str, Seen], gateway: str, replica: Replica) -> bool:
    """Whether clients are answered by it now: its engine is ready, and the gateway sends it requests."""
    host = replica.members[0].host
    found = seen[host].observed.get(f"replica:{replica.id}") if host in seen else None
    route = status.route_of(replica, gateway, seen)
    return isinstance(found, Value) and status.state_of(found.value, route) in SERVING
