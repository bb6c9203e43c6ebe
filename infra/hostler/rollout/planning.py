"""From what was seen to a plan: resolve, place, manifest, difference. One code path for plan, up, render and down."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hostler.cloud.predicted import is_predicted
from hostler.configure import build, controller, difference, disk_room, doors, too_old
from hostler.configure.types import Change, Notice, Plan
from hostler.errors import RefusedError
from hostler.hosts import ways
from hostler.hosts.types import Host, Seen
from hostler.manifest.items import Effect, Manifest, Part
from hostler.models import kept, mirror
from hostler.models.operator_files import quiet
from hostler.models.registry import Registry
from hostler.models.release import next_release, wanted_of
from hostler.models.resolver import Resolver
from hostler.models.rooms import Room, rooms_of
from hostler.models.types import Placement, Release
from hostler.placement.place import place
from hostler.placement.vacate import vacated
from hostler.record import store
from hostler.record.types import Expected, Record
from hostler.rollout import (
    carrying,
    downtime,
    gates,
    home,
    releases,
    rights,
    secret,
    seen_files,
    slots,
    strays,
)
from hostler.rollout.observe import Observation, refuse_renamed
from hostler.rollout.seen_files import HostFiles
from hostler.stackfile.asked import asked_digests


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
    if release:
        _refuse_unknown(observation, release)
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
        hosts=_known_hosts(observation, record),
        slots=observation.cloud.slots.slots if observation.cloud else record.slots,
        gateway_host=observation.gateway.name,
        file_digest=observation.file.digest,
        applied=observation.file.text,
    )
    manifests = build.manifests(
        observation.file,
        observation.hosts,
        observation.seen,
        release,
        placement,
        wanted,
        secret.digests(observation.file, controller.secrets_named(observation.file)),
    )
    changes = (
        *_host_changes(observation, manifests, keep),
        *_provision_changes(observation),
        *strays.changes(observation),
    )
    rooms = rooms_of(observation.hosts, observation.seen, record.replicas)
    leave_first = vacated(downtime.running(record.replicas, observation.seen), placement, rooms)
    scene = downtime.scene(observation, record, release)
    ways = downtime.exchanged(scene, changes, placement)
    gaps = {
        **downtime.cut_meanwhile(leave_first, placement, observation.seen, record),
        **downtime.gaps(scene, changes, placement, ways),
    }
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
            *strays.notices(observation),
            *too_old.notices(release, placement, observation.seen),
            *disk_room.notices(manifests, observation.seen, keep),
            *carrying.notices(observation.file, release, manifests, changes),
            *rights.notices(observation, changes),
            *_unreached(observation.seen),
        ),
        manifests=manifests,
        removed_hosts=tuple(host.name for host in observation.gone),
        downtime_s={model: gap.seconds for model, gap in gaps.items() if not gap.held},
        downtime_why={model: gap.why for model, gap in gaps.items() if not gap.held},
        held_s={model: gap.seconds for model, gap in gaps.items() if gap.held},
        vacated=leave_first,
        exchanges=ways,
    )
    return Draft(plan=plan, record=wanted, observation=observation)


def _known_hosts(observation: Observation, record: Record) -> dict[str, Host]:
    """How people reach them: the controller, which comes by another way, leaves what they wrote, but for machines that it
    has rented itself."""
    kept = {name for name in record.hosts if ways.folder()}
    return {
        host.name: record.hosts[host.name]
        if host.name in kept and not ways.is_fresh(host)
        else replace(host, where="")
        for host in observation.hosts
        if host.ssh.address
    }


def _refuse_unknown(observation: Observation, release: Release) -> None:
    """A release that is given cannot say what a model runs that came into the file after it."""
    file = observation.file
    for name, model in file.stack.models.items():
        if name not in release.models and not model.cloud:
            raise RefusedError.of(
                file.where(f"models.{name}"),
                expected=f"models that release {release.number} has",
                got=f"{name}, which came into the stack file after it",
                next_step="`hostler up` first; or, of a saved plan, make a new one",
            )


def _moved(observation: Observation, record: Record) -> Iterator[Notice]:
    serving = any(
        downtime.serves(observation.seen, record.gateway_host, replica) for replica in record.replicas
    )
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
        if known.ended.startswith(releases.FAILED):
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
        if not s.reached and not s.parked
    )
