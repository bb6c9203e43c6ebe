"""hostler update: newer versions of what floats (tags of engine images, revisions of models), shown or rolled out."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hostler.console.out import Out
from hostler.errors import RefusedError, UsageError
from hostler.models import mirror
from hostler.models.registry import Registry
from hostler.models.release import live_release, pools_of
from hostler.models.resolver import Resolver
from hostler.models.rooms import rooms_of
from hostler.models.types import Release, ReleasedModel, Runs
from hostler.record.types import Record
from hostler.rollout import home, networks, releases, secret, seen_files, up
from hostler.rollout.observe import Observation
from hostler.rollout.planning import Draft
from hostler.rollout.seen_files import HostFiles
from hostler.stackfile.outside import Updates
from hostler.stackfile.sections import StackFile

DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model's newer version. `why_not`: what stops it, empty: nothing; `young`: that is all that does. `built`: when
    its image was made, in seconds since 1970."""

    model: str
    runs: Runs
    changed: tuple[str, ...]
    why_not: str = ""
    young: bool = False
    built: float | None = None


def candidates(
    file: StackFile, out: Out, models: Collection[str] = ()
) -> tuple[Observation, tuple[Candidate, ...]]:
    """Asks registries and hubs, changes nothing. `models`: those alone; none: all. Raises UsageError for a model that
    the live release does not have, UnreachableError, StackFileError."""
    observation = up.look(file, up.Options(), out)
    record = home.running(observation)
    live = live_release(record)
    if live is None:
        raise RefusedError.of(
            file.stack.stack,
            expected="a release that is live",
            got="none",
            next_step="run `hostler up` first",
        )
    if unknown := [name for name in models if name not in live.models]:
        raise UsageError.of(
            "hostler update",
            expected=f"one of {', '.join(sorted(live.models))}",
            got=", ".join(unknown),
            next_step="`hostler status` shows what runs",
        )
    out.live("asking registries and hubs")
    wanted = [name for name in file.stack.models if name in live.models and (not models or name in models)]
    return observation, tuple(_asked(observation, record, live, wanted, out))


def _asked(
    observation: Observation, record: Record, live: Release, models: Sequence[str], out: Out
) -> Iterator[Candidate]:
    file, updates = observation.file, observation.file.stack.updates or Updates()
    registry = Registry(mirror=mirror.of(file.stack).images)
    with HostFiles(observation.hosts, observation.seen) as there:
        resolver = Resolver(
            rooms_of(observation.hosts, observation.seen, record.replicas),
            weights=seen_files.weights(
                file, secret.value(file, secret.HUB), observation.seen, there, out.live
            ),
            registry=registry,
            where=file.where,
            folder=str(Path(file.path).resolve().parent),
        )
        for name in models:
            runs, model = live.models[name].runs, file.stack.models[name]
            if live.models[name].asked != releases.asked_of(file, name):
                out.say(f"note: {name}: the stack file asks for something else by now; `hostler up` first")
                continue
            fresh = resolver.model(name, model, pools_of(file.stack, model), floating(runs, updates))
            if found := candidate(name, runs, fresh, record, registry, updates, time.time()):
                yield found


def floating(live: Runs, updates: Updates) -> Runs:
    """What a model runs, forgetting what is looked for anew."""
    if updates.engines != "never":
        live = replace(live, image=replace(live.image, tag=""))
    if updates.models != "never":
        live = replace(live, weights=replace(live.weights, source=""))
    return live


def candidate(
    name: str, live: Runs, fresh: Runs, record: Record, registry: Registry, updates: Updates, now: float
) -> Candidate | None:
    """None: it is what runs. A commit that changes no file that is used is none, and keeps its old id."""
    if _contents(fresh) == _contents(live):
        fresh = replace(fresh, weights=live.weights)
    words = tuple(releases.differences(live, fresh))
    if not words:
        return None
    moved = fresh.image.digest != live.image.digest
    built = registry.built(fresh.image) if moved else None
    before = registry.built(live.image) if moved and built else None
    young = built is not None and now - built < updates.min_age
    why = _refused(name, fresh, record, built, before) or (
        _young(built, updates, now) if young and built else ""
    )
    return Candidate(
        model=name,
        runs=fresh,
        changed=words,
        why_not=why,
        young=young and not _refused(name, fresh, record, built, before),
        built=built,
    )


def _contents(runs: Runs) -> list[tuple[str, str, int]]:
    return [(file.file, file.sha256 or file.url, file.size) for file in runs.weights.files]


def _refused(name: str, fresh: Runs, record: Record, built: float | None, before: float | None) -> str:
    """What no waiting helps against."""
    for release in record.releases:
        tried = release.models.get(name)
        if release.ended.startswith(releases.FAILED) and tried and same(tried.runs, fresh):
            return f"release {release.number} tried it and went back: {release.ended.partition(': ')[2]}"
    if built is not None and before is not None and built < before:
        days = (before - built) / DAY_S
        return f"it is older than what runs, by {days:.1f} days: the tag was moved back"
    return ""


def same(one: Runs, other: Runs) -> bool:
    """Whether two would run the same: image and files, and words."""
    return (one.image.digest, _contents(one), one.argv) == (other.image.digest, _contents(other), other.argv)


def _young(built: float, updates: Updates, now: float) -> str:
    waits = built + updates.min_age - now
    return f"it is {(now - built) / DAY_S:.1f} days old; min_age lets it in in {waits / DAY_S:.1f} days (--now: at once)"


def rows(found: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [
        {"model": one.model, "changed": list(one.changed), "built": one.built, "why_not": one.why_not}
        for one in found
    ]


def apply(
    file: StackFile, observation: Observation, found: Sequence[Candidate], out: Out, options: up.Options
) -> Draft | None:
    """Rolls out what nothing stops, as a release of its own."""
    record = home.running(observation)
    live = live_release(record)
    if live is None or not found:
        return None
    models = {
        **live.models,
        **{one.model: ReleasedModel(asked=live.models[one.model].asked, runs=one.runs) for one in found},
    }
    number = max(release.number for release in record.releases) + 1
    why = f"update of {', '.join(one.model for one in found)}"
    made = replace(
        live, number=number, models=models, who=networks.owner(), when=releases.now(), why=why, ended=""
    )
    return up.up(file, out, replace(options, release=made, why=why))
