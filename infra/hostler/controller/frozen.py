"""Which newer versions wait to be taken, and which may be taken now. Pure.

A candidate is frozen when it is first seen: it grows old while newer ones pass by, else a tag that moves each day would
never be old enough. It is let go when it is taken, when what runs has changed, or when something speaks against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hostler.models.types import Release, Runs
from hostler.rollout.update import Candidate, same
from hostler.stackfile import updating
from hostler.stackfile.outside import Updates

KEEP = ("", "young")  # bars of candidates that may still be taken
type Verdict = Literal["ripe", "young", "report", "not yet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A candidate of a model. `live`: what ran when it was seen; `seen`: seconds since 1970."""

    model: str
    runs: Runs
    live: Runs
    changed: tuple[str, ...]
    seen: float

    @property
    def words(self) -> str:
        return f"{self.model}: {'; '.join(self.changed) or 'a newer version'}"


def renewed(
    known: Mapping[str, Frozen], found: Sequence[Candidate], live: Release, now: float
) -> dict[str, Frozen]:
    """What waits after a look. `found`: what was found for each model, what is stopped as well; a model of which nothing
    was found runs the newest, and waits for nothing."""
    result: dict[str, Frozen] = {}
    for one in found:
        runs = live.models[one.model].runs
        before = known.get(one.model)
        if before and before.live == runs and (one.bar in KEEP or one.bar == "unknown"):
            result[one.model] = before
        elif one.bar in KEEP:
            result[one.model] = Frozen(
                model=one.model, runs=one.runs, live=runs, changed=one.changed, seen=now
            )
    return result


def let_go(known: Mapping[str, Frozen], live: Release) -> dict[str, Frozen]:
    """Without those that run already, or that were seen beside something else than what runs now."""
    return {
        name: one
        for name, one in known.items()
        if name in live.models
        and live.models[name].runs == one.live
        and not same(live.models[name].runs, one.runs)
    }


def moves(one: Frozen, updates: Updates) -> tuple[str, ...]:
    """How often what it changes is taken: the words of `engines`, `models`, or both."""
    image = one.runs.image.digest != one.live.image.digest
    weights = one.runs.weights != one.live.weights
    found = (*((updates.engines,) if image else ()), *((updates.models,) if weights else ()))
    return found or (updates.engines,)


def verdict(one: Frozen, updates: Updates, took: float, now: float) -> Verdict:
    """`took`: when an update of this model was taken last, 0: never. `report`: nobody is to take it unasked; `not yet`:
    the last one was taken too short a time ago."""
    words = moves(one, updates)
    if any(word in ("never", "report") for word in words):
        return "report"
    if now - one.seen < updates.min_age:
        return "young"
    if not all(updating.due(word, took, now) for word in words):
        return "not yet"
    return "ripe"


def ripe(
    known: Mapping[str, Frozen], updates: Updates, took: Mapping[str, float], now: float
) -> list[Frozen]:
    """Those that may be taken now, in the order in which they are."""
    names = [name for name, one in known.items() if verdict(one, updates, took.get(name, 0.0), now) == "ripe"]
    return [known[name] for name in updating.ordered(names, updates)]


def ripens(one: Frozen, updates: Updates, took: float) -> float | None:
    """From when on it may be taken, in seconds since 1970; None: nobody takes it unasked."""
    words = moves(one, updates)
    if any(word in ("never", "report") for word in words):
        return None
    again = [took + updating.EVERY_S[word] - updating.SPARE_S for word in words if took]
    return max((one.seen + updates.min_age, *again))
