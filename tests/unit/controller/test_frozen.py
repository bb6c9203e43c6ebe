"""What waits, for how long, and what is let go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.controller import frozen
from hostler.controller.frozen import Frozen
from hostler.models.types import Release, ReleasedModel, Runs
from hostler.rollout.ages import DAY_S
from hostler.rollout.update import Candidate
from hostler.stackfile.outside import Updates
from worlds import configure_world as world

LIVE = world.runs()
WEEKLY = Updates(engines="weekly", models="weekly", min_age=3 * DAY_S)
NOW = 1000 * DAY_S


def image(tag: str) -> Runs:
    return replace(LIVE, image=world.pin("ghcr.io/acme/engine-" + tag, tag))


def weights(name: str) -> Runs:
    return replace(LIVE, weights=replace(LIVE.weights, sha256=world.digest(name), revision=name))


def live(runs: Runs = LIVE) -> Release:
    return replace(world.release(), models={"chat": ReleasedModel(asked="asked", runs=runs)})


def found(runs: Runs, bar: Any = "") -> Candidate:
    return Candidate(model="chat", runs=runs, changed=("image 1 -> 2",), bar=bar)


def kept(runs: Runs, seen: float = NOW, before: Runs = LIVE) -> Frozen:
    return Frozen(model="chat", runs=runs, live=before, changed=(), seen=seen)


def test_the_first_that_is_seen_waits_and_newer_ones_pass_by() -> None:
    first = frozen.renewed({}, [found(image("b2"))], live(), NOW)
    later = frozen.renewed(first, [found(image("b3"))], live(), NOW + DAY_S)
    assert (later["chat"].runs, later["chat"].seen) == (image("b2"), NOW)


@pytest.mark.parametrize("bar", ["older", "back"])
def test_one_that_was_withdrawn_waits_no_more(bar: str) -> None:
    """The tag was moved back to something older, or what it names now went back before."""
    assert frozen.renewed({"chat": kept(image("b2"))}, [found(image("b1"), bar)], live(), NOW) == {}


def test_where_nothing_newer_is_found_nothing_waits() -> None:
    assert frozen.renewed({"chat": kept(image("b2"))}, [], live(), NOW) == {}


def test_a_registry_that_is_silent_for_a_day_costs_no_age() -> None:
    before = {"chat": kept(image("b2"))}
    assert frozen.renewed(before, [found(LIVE, "unknown")], live(), NOW + DAY_S) == before
    assert frozen.renewed({}, [found(LIVE, "unknown")], live(), NOW) == {}


def test_where_something_else_runs_by_now_the_age_begins_anew() -> None:
    before = {"chat": kept(image("b3"))}
    after = frozen.renewed(before, [found(image("b3"))], live(image("b2")), NOW + DAY_S)
    assert after["chat"].seen == NOW + DAY_S
    assert frozen.let_go(before, live(image("b2"))) == {}
    assert frozen.let_go(before, live()) == before
    assert frozen.let_go({"chat": kept(LIVE)}, live()) == {}


@pytest.mark.parametrize(
    ("runs", "updates", "age", "took", "verdict"),
    [
        (image("b2"), WEEKLY, 3.0, 0.0, "ripe"),
        (image("b2"), WEEKLY, 2.9, 0.0, "young"),
        (image("b2"), WEEKLY, 3.0, NOW - 2 * DAY_S, "not yet"),
        (image("b2"), WEEKLY, 3.0, NOW - 7 * DAY_S, "ripe"),
        (image("b2"), replace(WEEKLY, engines="report"), 9.0, 0.0, "report"),
        (image("b2"), replace(WEEKLY, models="report"), 9.0, 0.0, "ripe"),
        (weights("w2"), replace(WEEKLY, models="report"), 9.0, 0.0, "report"),
        (weights("w2"), replace(WEEKLY, engines="never"), 9.0, 0.0, "ripe"),
        (weights("w2"), replace(WEEKLY, models="monthly"), 9.0, NOW - 10 * DAY_S, "not yet"),
    ],
)
def test_what_is_taken(runs: Runs, updates: Updates, age: float, took: float, verdict: str) -> None:
    one = kept(runs, NOW - age * DAY_S)
    assert frozen.verdict(one, updates, took, NOW) == verdict
    assert bool(frozen.ripe({"chat": one}, updates, {"chat": took}, NOW)) is (verdict == "ripe")


def test_it_is_said_from_when_on() -> None:
    one = kept(image("b2"))
    assert frozen.ripens(one, WEEKLY, 0.0) == NOW + 3 * DAY_S
    assert frozen.ripens(one, WEEKLY, NOW) == NOW + 7 * DAY_S - 6 * 3600
    assert frozen.ripens(one, replace(WEEKLY, engines="report"), 0.0) is None
