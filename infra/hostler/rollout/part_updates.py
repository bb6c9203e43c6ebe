"""Newer images of what is no model: HAProxy of gateway and edges, and what the controller runs in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from hostler.errors import HostlerError
from hostler.manifest.items import ImagePin
from hostler.models.registry import Registry
from hostler.models.release import IMAGES, PARTS
from hostler.models.types import Release
from hostler.record.types import Record
from hostler.rollout import ages
from hostler.rollout.ages import Bar
from hostler.rollout.releases import ABORTED, FAILED
from hostler.stackfile.outside import Updates

GROUPS: Mapping[str, tuple[str, ...]] = {"gateway": ("gateway", "edge"), "controller": ("controller",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCandidate:
    """As update.Candidate, of gateway and edges together, or of the controller. `pins`: by part."""

    model: str
    pins: Mapping[str, ImagePin]
    changed: tuple[str, ...] = ()
    bar: Bar = ""
    why_not: str = ""
    built: float | None = None


def candidates(
    live: Release, record: Record, registry: Registry, updates: Updates, names: Collection[str], now: float
) -> Iterator[PartCandidate]:
    """`names`: of GROUPS, those that are asked for. One that cannot be asked for is a row of its own."""
    for name in names:
        parts = [part for part in GROUPS[name] if part in live.parts]
        if not parts:
            continue
        try:
            fresh = registry.resolve(IMAGES[name], PARTS[name])
            found = _candidate(name, parts, fresh, live, record, registry, updates, now)
        except HostlerError as error:
            found = PartCandidate(model=name, pins={}, bar="unknown", why_not=f"not known: {error}")
        if found:
            yield found


def _candidate(
    name: str,
    parts: list[str],
    fresh: ImagePin,
    live: Release,
    record: Record,
    registry: Registry,
    updates: Updates,
    now: float,
) -> PartCandidate | None:
    old = live.parts[parts[0]]
    if all(live.parts[part].digest == fresh.digest for part in parts):
        return None
    built, before = registry.built(fresh), registry.built(old)
    why = _went_back(name, fresh, record)
    bar, why_not = ages.stopped(built, before, updates.min_age, now, back=why)
    return PartCandidate(
        model=name,
        pins={part: replace(fresh, part=PARTS[part]) for part in parts},
        changed=(f"image {old.tag} {_short(old.digest)} -> {fresh.tag} {_short(fresh.digest)}",),
        bar=bar,
        why_not=why_not,
        built=built,
    )


def _went_back(name: str, fresh: ImagePin, record: Record) -> str:
    """Which release tried that image and went back because of this part."""
    for release in record.releases:
        tried = release.parts.get(name)
        reason = release.ended.removeprefix(f"{FAILED}: ")
        ours = release.ended.startswith(FAILED) and not reason.startswith(ABORTED)
        if tried and tried.digest == fresh.digest and ours and any(part in reason for part in GROUPS[name]):
            return f"release {release.number} tried it and went back: {reason}"
    return ""


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
