"""What ran when: the releases of a record as rows, and one made of an older one's versions."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hostler.configure.types import Notice
from hostler.errors import RefusedError, UsageError
from hostler.models.kept import kept
from hostler.models.release import live_release
from hostler.models.types import Release, ReleasedModel, Runs
from hostler.record.types import Record

SHORT = 12  # digits of a digest that people read
FAILED = "failed"  # begins how a release ended that did not work
ROLLBACK = "rollback"  # begins why a release was made that runs an older one again
ABORTED = "aborted"  # and why, where a person ended it


def now() -> float:
    """When a release is made: whole seconds."""
    return round(time.time())


def rows(record: Record) -> list[dict[str, Any]]:
    """The newest first. `changed`: against the release before it, in words; `kept`: a way back without a download."""
    live = live_release(record)
    there = (
        {release.number for release in kept(record.releases, record.release, live)} if live else set[int]()
    )
    known = sorted(record.releases, key=lambda release: release.number)
    befores = [None, *known]
    return [
        {
            "release": release.number,
            "live": release.number == record.release,
            "when": release.when,
            "who": release.who,
            "why": release.why,
            "ended": _ended(release, record),
            "kept": release.number in there,
            "changed": list(changed(before, release)),
        }
        for before, release in zip(befores, known, strict=False)
    ][::-1]


def _ended(release: Release, record: Record) -> str:
    if release.ended:
        return release.ended
    under_way = record.journal and record.journal.release == release.number
    return "under way" if under_way else "never live"


def changed(before: Release | None, after: Release) -> Iterator[str]:
    """What differs, a line a model or part: `chat: image server-b1 -> server-b2`."""
    was: Mapping[str, ReleasedModel] = before.models if before else {}
    for name in sorted({*was, *after.models}):
        if name not in after.models:
            yield f"{name}: gone"
        elif name not in was:
            yield f"{name}: new, {_words(after.models[name].runs)}"
        elif words := list(differences(was[name].runs, after.models[name].runs)):
            yield f"{name}: {', '.join(words)}"
    for name, pin in sorted(after.parts.items()):
        old = before.parts.get(name) if before else None
        if old and old.digest != pin.digest:
            yield f"{name}: {old.tag} {_digest(old.digest)} -> {pin.tag} {_digest(pin.digest)}"


def _words(runs: Runs) -> str:
    return f"{runs.engine} {runs.image.tag}, {runs.weights.file}"


def differences(old: Runs, new: Runs) -> Iterator[str]:
    """Of two versions of a model, in words."""
    if old.engine != new.engine:
        yield f"engine {old.engine} -> {new.engine}"
    if old.image.digest != new.image.digest:
        yield f"image {old.image.tag} {_digest(old.image.digest)} -> {new.image.tag} {_digest(new.image.digest)}"
    if [file.sha256 or file.url for file in old.weights.files] != [
        f.sha256 or f.url for f in new.weights.files
    ]:
        yield f"weights {_version(old)} -> {_version(new)}"
    if old.context != new.context:
        yield f"context {old.context} -> {new.context}"
    if old.argv != new.argv and old.context == new.context:
        yield f"words {' '.join(_only(old.argv, new.argv)) or 'fewer'} -> {' '.join(_only(new.argv, old.argv)) or 'none'}"


def _only(words: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    return [word for word in words if word not in others]


def _digest(digest: str) -> str:
    return digest.removeprefix("sha256:")[:SHORT]


def _version(runs: Runs) -> str:
    return f"{runs.weights.file} {(runs.weights.revision or runs.weights.sha256)[:SHORT]}".strip()


def again(record: Record, number: int | None, asked: Mapping[str, str]) -> Release:
    """A new release with what release `number` ran, under what the file asks for now, so that the next `up` leaves it.
    None: the newest good one before the live one. A model that it did not have keeps what it runs."""
    live = live_release(record)
    if live is None:
        raise RefusedError.of(
            record.stack, expected="a release that is live", got="none", next_step="run `hostler up` first"
        )
    old = _chosen(record, live, number)
    models = {name: _model(name, asked[name], old, live) for name in sorted(asked)}
    last = max(release.number for release in record.releases)
    now = {name: model.runs for name, model in live.models.items()}
    if {**live.parts, **old.parts} == dict(live.parts) and all(
        now.get(name) == model.runs for name, model in models.items()
    ):
        return live
    parts = {**live.parts, **old.parts}  # one that came since then stays
    return replace(old, number=last + 1, models=models, parts=parts, why="", ended="", who="", when=0.0)


def _chosen(record: Record, live: Release, number: int | None) -> Release:
    good = sorted(
        (r for r in record.releases if r.ended == "good" and r.number != live.number), key=lambda r: r.number
    )
    wanted = [r for r in good if r.number == number] if number is not None else _older(good, live)
    if wanted:
        return wanted[-1]
    known = ", ".join(str(release.number) for release in good)
    if not good:
        raise RefusedError.of(
            record.stack,
            expected="an older release that was good",
            got="none",
            next_step="`hostler releases` shows what ran",
        )
    raise UsageError.of(
        "hostler rollback",
        expected=f"one of {known}" if number is not None else f"a good release before {live.number}",
        got=str(number) if number is not None else "none",
        next_step=f"`hostler releases` shows them: `hostler rollback {good[-1].number}`",
    )


def _older(good: list[Release], live: Release) -> list[Release]:
    return [release for release in good if release.number < live.number]


def _model(name: str, asked: str, old: Release, live: Release) -> ReleasedModel:
    if name in old.models:
        return ReleasedModel(asked=asked, runs=old.models[name].runs)
    if name in live.models and live.models[name].asked == asked:
        return live.models[name]
    raise RefusedError.of(
        f"model {name}",
        expected=f"a model of release {old.number}, or one that runs now",
        got="a change of the stack file that is not applied yet",
        next_step="`hostler up` first, or take it out of the file",
    )


def tried(record: Record, release: Release) -> Iterator[Notice]:
    """A release that did not work is about to be tried again."""
    for failed in record.releases:
        if (
            failed.ended.startswith(FAILED)
            and _runs(failed) == _runs(release)
            and failed.number != release.number
        ):
            text = f"release {failed.number} ran the same and went back: {failed.ended.partition(': ')[2]}"
            yield Notice(level="warning", text=text)


def left_for_another(record: Record) -> Iterator[Release]:
    """Good releases that a person rolled back from."""
    for before, after in pairwise(record.releases):
        if after.why.startswith(ROLLBACK) and before.ended == "good":
            yield before


def blamed(release: Release, model: str) -> bool:
    """Whether a release failed because of a model: the replica that its reason names, or any where it names none."""
    reason = release.ended.removeprefix(f"{FAILED}: ")
    if not release.ended.startswith(FAILED) or reason.startswith(ABORTED):
        return False
    named = [name for name in release.models if re.search(rf"\b{re.escape(name)}(-\d+)?\b", reason)]
    return model in named or not named


def _runs(release: Release) -> dict[str, Any]:
    return {**{name: model.runs for name, model in release.models.items()}, **dict(release.parts)}
