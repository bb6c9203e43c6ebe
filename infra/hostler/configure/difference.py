"""What differs between a manifest and a host, both ways. Pure.

What is as it should be is not mentioned. What could not be seen is a change whose `now` says unknown:
the role makes it true, and the next look must see it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from hostler.configure import compare_certificates, compare_files, compare_runs, idling, leftovers, power
from hostler.configure.types import Change
from hostler.hosts.types import Absent, Observed, Seen, Unknown, Value
from hostler.manifest.items import Manifest, Part, digest_of
from hostler.models.kept import Kept

PARTS = tuple(Part)
NOTHING = Kept()


def difference(manifest: Manifest, seen: Seen, kept: Kept = NOTHING) -> tuple[Change, ...]:
    """All changes of one host, in the order in which roles run. A host that was not reached has none:
    nothing is known of it, and the plan says so in a notice. `kept`: what may stay there for a rollback."""
    if not seen.reached:
        return ()
    return tuple(sorted(_changes(manifest, seen, kept), key=_rank))


def _changes(manifest: Manifest, seen: Seen, kept: Kept) -> Iterator[Change]:
    for package in manifest.packages:
        yield from compare_files.package(manifest, seen, package)
    for directory in manifest.directories:
        yield from compare_files.directory(manifest, seen, directory)
    for name in manifest.made:
        yield from compare_certificates.made(manifest, seen, name)
    for file in compare_files.own_files(manifest, seen):
        yield from compare_files.file(manifest, seen, file)
    for merged in manifest.merged:
        yield from compare_files.merged(manifest, seen, merged)
    for image in manifest.images:
        yield from compare_runs.image(manifest, seen, image)
    for model in manifest.models:
        yield from compare_runs.model(manifest, seen, model)
    for unit in manifest.units:
        yield from compare_runs.unit(manifest, seen, unit)
    for limit in manifest.power:
        yield from power.difference(manifest, seen, limit)
    for port in manifest.ports:
        yield from compare_runs.port(manifest, seen, port)
    for container in manifest.containers:
        yield from compare_runs.container(manifest, seen, container)
    yield from leftovers.leftovers(manifest, seen, kept)


def _rank(change: Change) -> tuple[int, bool, str]:
    removed = change.action == "remove"
    return (PARTS.index(Part(change.part)), removed, change.item)


def observed_digest(seen: Mapping[str, Seen]) -> str:
    """Identity of what a plan was made from. Values that move by themselves (times, memory in use, requests
    in flight, disk space) are left out."""
    return digest_of({name: _stable(host) for name, host in sorted(seen.items())})


def _stable(seen: Seen) -> dict[str, Any]:
    facts = seen.facts
    resting = {name.partition(":")[2] for name, one in seen.observed.items() if _rests(name, one)}
    return {
        "reached": seen.reached,
        "uid": seen.uid,
        "epoch": seen.epoch,
        "observed": {
            n: _reduced(n, v, resting) for n, v in sorted(seen.observed.items()) if not n.startswith(MOVING)
        },
        "ours": {kind: sorted(names) for kind, names in sorted(seen.ours.items())},
        "facts": facts
        and {
            "machine": facts.machine_id,
            "os": (facts.os_id, facts.os_version),
            "driver": (facts.driver.state, facts.driver.version),
            "cards": sorted(card.uuid for card in facts.cards),
            "swarm": facts.docker_swarm,
        },
    }


MOVING = ("replica:", "route:", "routes:", "json:/run/")
KEPT: Mapping[str, Sequence[str]] = {
    "unit": ("enabled", "active"),
    "container": ("spec", "image", "running"),
    "path": ("type", "mode", "owner", "group", "sha256"),
    "model": ("size", "sha256"),
    "made": ("sha256",),
}
AWAKE: Mapping[str, Mapping[str, Any]] = {
    "unit": {"enabled": True, "active": "active"},
    "container": {"running": True},
}


def _rests(name: str, found: Observed) -> bool:
    return name.startswith("replica:") and isinstance(found, Value) and idling.is_asleep(found.value)


def _reduced(name: str, found: Observed, resting: Container[str] = ()) -> Any:
    """Of a replica that sleeps: as if it ran, since it wakes by itself."""
    match found:
        case Absent():
            return "absent"
        case Unknown():
            return "unknown"
        case Value():
            kind, _, rest = name.partition(":")
            keep, value = KEPT.get(kind), found.value
            reduced = {k: value.get(k) for k in keep} if keep else value
            asleep = rest.removeprefix("hostler@").removesuffix(".service") in resting
            return {**reduced, **AWAKE.get(kind, {})} if asleep else reduced
