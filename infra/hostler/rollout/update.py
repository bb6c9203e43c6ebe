"""hostler update: newer versions of what floats (tags of engine images, revisions of models), shown or rolled out."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hostler.console.out import Out
from hostler.errors import HostlerError, RefusedError, UsageError
from hostler.hosts import ways
from hostler.models import mirror
from hostler.models.lying import is_operators
from hostler.models.registry import Registry
from hostler.models.release import live_release, pools_of
from hostler.models.resolver import Resolver
from hostler.models.rooms import rooms_of
from hostler.models.types import Release, ReleasedModel, Runs
from hostler.record.types import Record
from hostler.rollout import ages, home, networks, part_updates, releases, secret, seen_files, up
from hostler.rollout.ages import Bar
from hostler.rollout.observe import Observation
from hostler.rollout.part_updates import GROUPS, PartCandidate
from hostler.rollout.planning import Draft
from hostler.rollout.seen_files import HostFiles
from hostler.stackfile.asked import asked_digest
from hostler.stackfile.outside import Updates
from hostler.stackfile.sections import StackFile

type Found = Candidate | PartCandidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model's newer version. `bar`: what stops it, empty: nothing; `why_not`: the same for people. `built`: when its
    image was made, in seconds since 1970."""

    model: str
    runs: Runs
    changed: tuple[str, ...] = ()
    bar: Bar = ""
    why_not: str = ""
    built: float | None = None


def candidates(
    file: StackFile, out: Out, models: Collection[str] = (), *, yes: bool = False, changes: bool = False
) -> tuple[Observation, tuple[Found, ...]]:
    """Asks registries and hubs, changes nothing. `models`: those alone, `gateway` (with the edges) and `controller` among
    them; none: all. `changes`: what is found will be rolled out. Raises UsageError for a model that the live release does
    not have, RefusedError where there is none."""
    observation = up.look(file, up.Options(yes=yes), out if changes else None, pulumi=False)
    record = home.running(observation)
    live = live_release(record)
    if live is None:
        raise RefusedError.of(
            file.stack.stack,
            expected="a release that is live",
            got="none",
            next_step="run `hostler up` first",
        )
    parts = [name for name in GROUPS if name in live.parts and name not in live.models]
    if unknown := [name for name in models if name not in (*live.models, *parts)]:
        raise UsageError.of(
            "hostler update",
            expected=f"one of {', '.join((*sorted(live.models), *parts))}",
            got=", ".join(unknown),
            next_step="`hostler status` shows what runs",
        )
    out.live("asking registries and hubs")
    wanted = [name for name in file.stack.models if name in live.models and (not models or name in models)]
    parts = [name for name in parts if not models or name in models]
    updates, registry = file.stack.updates or Updates(), Registry(mirror=mirror.of(file.stack).images)
    return observation, (
        *_asked(observation, record, live, wanted, out),
        *part_updates.candidates(live, record, registry, updates, parts, time.time()),
    )


def _asked(
    observation: Observation, record: Record, live: Release, models: Sequence[str], out: Out
) -> Iterator[Candidate]:
    """One that cannot be asked for is a row of its own: the others are."""
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
            if live.models[name].asked != asked_digest(file.stack, name):
                out.say(f"note: {name}: the stack file asks for something else by now; `hostler up` first")
                continue
            try:
                fresh = resolver.model(name, model, pools_of(file.stack, model), _floating(runs, updates))
                found = candidate(name, runs, fresh, record, registry, updates, time.time())
            except HostlerError as error:
                found = Candidate(model=name, runs=runs, bar="unknown", why_not=f"not known: {error}")
            if found:
                yield found


def _floating(live: Runs, updates: Updates) -> Runs:
    """The controller has no files of a person's machine: their weights stay as they are."""
    kept = bool(ways.folder()) and is_operators(live.weights)
    return floating(live, replace(updates, models="never") if kept else updates)


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
    """None: the same image and files run. A commit that changes no file that is used is none, and keeps its old id."""
    moved = fresh.image.digest != live.image.digest
    if _contents(fresh) == _contents(live):
        if not moved:
            return None
        fresh = replace(fresh, weights=live.weights)
    built = registry.built(fresh.image) if moved else None
    before = registry.built(live.image) if moved and built else None
    back = went_back(name, fresh, record)
    bar, why_not = ages.stopped(built, before, updates.min_age, now, back=back)
    return Candidate(
        model=name,
        runs=fresh,
        changed=tuple(releases.differences(live, fresh)),
        bar=bar,
        why_not=why_not,
        built=built,
    )


def _contents(runs: Runs) -> list[tuple[str, str, int]]:
    return [(file.file, file.sha256 or file.url, file.size) for file in runs.weights.files]


def went_back(name: str, fresh: Runs, record: Record) -> str:
    """Which release ran the same for this model and did not stay; empty: none."""
    for release in record.releases:
        tried = release.models.get(name)
        if tried and same(tried.runs, fresh) and releases.blamed(release, name):
            return f"release {release.number} tried it and went back: {release.ended.partition(': ')[2]}"
    for release in releases.left_for_another(record):
        tried = release.models.get(name)
        if tried and same(tried.runs, fresh):
            return f"release {release.number} ran it, and was rolled back"
    return ""


def same(one: Runs, other: Runs) -> bool:
    """Whether two would run the same: image and files, and words."""
    return (one.image.digest, _contents(one), one.argv) == (other.image.digest, _contents(other), other.argv)


def taken(found: Sequence[Found], *, now: bool, again: bool) -> list[Found]:
    """What nothing stops. `now`: what is too young, too; `again`: what went back before, too."""
    allowed = {"", *(["young"] if now else []), *(["back"] if again else [])}
    return [one for one in found if one.bar in allowed]


def bake_of(file: StackFile) -> int:
    """Seconds that the first replica of an update is watched; none where the stack file says nothing of updates."""
    return int(file.stack.updates.bake) if file.stack.updates else 0


def rows(found: Sequence[Found]) -> list[dict[str, Any]]:
    return [
        {
            "model": one.model,
            "changed": list(one.changed),
            "built": one.built,
            "bar": one.bar,
            "why_not": one.why_not,
        }
        for one in found
    ]


def apply(
    file: StackFile, observation: Observation, found: Sequence[Found], out: Out, options: up.Options
) -> Draft | None:
    """Rolls out what nothing stops, as a release of its own."""
    record = home.running(observation)
    live = live_release(record)
    if live is None or not found:
        return None
    kept = {name: model for name, model in live.models.items() if name in file.stack.models}
    models, parts = {**kept}, {**live.parts}
    for one in found:
        if isinstance(one, PartCandidate):
            parts |= one.pins
        else:
            models[one.model] = ReleasedModel(asked=live.models[one.model].asked, runs=one.runs)
    number = max(release.number for release in record.releases) + 1
    why = f"update of {', '.join(one.model for one in found)}"
    made = replace(
        live,
        number=number,
        models=models,
        parts=parts,
        who=networks.owner(),
        when=releases.now(),
        why=why,
        ended="",
    )
    return up.up(file, out, replace(options, release=made, why=why))
