"""Newer versions of what floats: which count, which are taken, and why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.manifest.items import ImagePin
from hostler.models.types import Runs
from hostler.record.types import Record
from hostler.rollout import rollback, rollouts, up, update
from hostler.rollout.ages import DAY_S
from hostler.rollout.update import Candidate, candidate
from hostler.stackfile.outside import Updates
from worlds import configure_world as world

NOW = 100 * DAY_S * 365
LIVE = world.release().models["chat"].runs


class Dates:
    """A registry that knows when images were made; None: it does not say."""

    def __init__(self, **built: float | None) -> None:
        self.known = built

    def built(self, pin: ImagePin) -> float | None:
        return self.known.get(pin.tag)


def runs(tag: str = "", **more: Any) -> Runs:
    image = world.pin("ghcr.io/acme/engine-" + tag, tag) if tag else LIVE.image
    return replace(LIVE, image=image, **more)


def found(
    fresh: Runs, record: Record | None = None, dates: dict[str, float | None] | None = None
) -> Candidate | None:
    registry: Any = Dates(**(dates or {}))
    return candidate("chat", LIVE, fresh, record or world.record(), registry, Updates(), NOW)


def test_what_runs_is_no_candidate() -> None:
    assert found(LIVE) is None


def test_a_commit_that_changes_no_used_file_is_none() -> None:
    assert (
        found(replace(LIVE, weights=replace(LIVE.weights, revision="another", url="https://else/x"))) is None
    )


def test_other_weights_are_one() -> None:
    one = found(replace(LIVE, weights=replace(LIVE.weights, sha256="f" * 64, revision="abc")))
    assert one is not None
    assert "weights" in one.changed[0]
    assert one.why_not == ""


@pytest.mark.parametrize(
    ("dates", "why", "young"),
    [
        ({"new": NOW - 10 * DAY_S, LIVE.image.tag: NOW - 20 * DAY_S}, "", False),
        (
            {"new": NOW - 30 * DAY_S, LIVE.image.tag: NOW - 20 * DAY_S},
            "older than what runs, by 10.0 days",
            False,
        ),
        ({"new": NOW - 1 * DAY_S, LIVE.image.tag: NOW - 20 * DAY_S}, "1.0 days old; min_age", True),
        ({"new": NOW - 1 * DAY_S, LIVE.image.tag: NOW}, "older", False),  # no --now helps
        ({"new": None}, "", False),
        ({"new": NOW - 10 * DAY_S}, "", False),  # of what runs nobody says it
    ],
)
def test_images_by_their_age(dates: dict[str, float | None], why: str, young: bool) -> None:
    one = found(runs("new"), dates=dates)
    assert one is not None
    assert why in one.why_not
    assert bool(one.why_not) is bool(why)
    assert (one.bar == "young") is young


def test_what_went_back_is_not_taken_again() -> None:
    bad = world.release()
    chat = replace(bad.models["chat"], runs=runs("new"))
    bad = replace(bad, number=2, models={"chat": chat}, ended="failed: chat-0: not ready")
    record = replace(world.record(), releases=(bad,))
    one = found(runs("new"), record, {"new": NOW - 10 * DAY_S})
    assert one is not None
    assert "release 2 tried it and went back: chat-0: not ready" in one.why_not
    assert one.bar == "back"
    newer = found(runs("newer"), record, {"newer": NOW - 10 * DAY_S})
    assert newer is not None
    assert newer.why_not == ""


def test_only_what_is_looked_for_is_forgotten() -> None:
    engines = update.floating(LIVE, Updates(models="never"))
    assert (engines.image.tag, engines.weights) == ("", LIVE.weights)
    models = update.floating(LIVE, Updates(engines="never"))
    assert (models.image, models.weights.source) == (LIVE.image, "")


def test_no_newer_version_where_only_the_sizing_differs() -> None:
    """What fits may differ from day to day: that is no version."""
    assert found(replace(LIVE, context=1024, argv=("--other",))) is None


def record_of(*releases: Any) -> Record:
    return replace(world.record(), releases=releases)


def with_image(number: int, tag: str, ended: str = "good", why: str = "up", model: str = "chat") -> Any:
    base = world.release()
    return replace(
        base,
        number=number,
        models={model: replace(base.models["chat"], runs=runs(tag))},
        ended=ended,
        why=why,
    )


@pytest.mark.parametrize(
    ("releases", "words"),
    [
        (
            (with_image(2, "new"), with_image(3, "b1", why="rollback")),
            "release 2 ran it, and was rolled back",
        ),
        ((with_image(2, "new"), with_image(3, "b1")), ""),  # left by editing the file
        ((with_image(2, "new", "failed: aborted by ann@desk"),), ""),
        ((with_image(2, "new", "failed: gpu-1 engine: Exchange (chat-0): not ready"),), "went back"),
        ((with_image(2, "new", "failed: gateway: HTTP 503"),), "went back"),  # nobody is named
    ],
)
def test_what_did_not_stay_is_not_taken_by_itself(releases: tuple[Any, ...], words: str) -> None:
    one = found(runs("new"), record_of(*releases), {"new": NOW - 10 * DAY_S})
    assert one is not None
    assert words in one.why_not
    assert (one.bar == "back") is bool(words)


def test_another_models_failure_bars_nothing() -> None:
    both = with_image(2, "new", "failed: gpu-1 engine: Exchange (other-0): not ready")
    both = replace(both, models={**both.models, "other": both.models["chat"]})
    one = found(runs("new"), record_of(both), {"new": NOW - 10 * DAY_S})
    assert one is not None
    assert one.bar == ""


def test_what_is_taken_and_by_which_word() -> None:
    every = [
        Candidate(model=bar or "free", runs=LIVE, bar=bar)
        for bar in ("", "young", "back", "older", "unknown")
    ]

    def names(**how: bool) -> list[str]:
        return [one.model for one in update.taken(every, **{"now": False, "again": False, **how})]

    assert names() == ["free"]
    assert names(now=True) == ["free", "young"]
    assert names(again=True) == ["free", "back"]


class LookedError(Exception):
    """The look was asked for; what comes after it is of no interest here."""


@pytest.mark.parametrize("verb", ["update", "rollback", "abort", "resume"])
def test_a_look_at_the_record_needs_no_pulumi(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def observe(_: Any, **how: Any) -> Any:
        asked.append(how)
        raise LookedError

    monkeypatch.setattr(up, "observe", observe)
    file, out, options = world.stack(), Out(stderr=StringIO()), up.Options()
    begin: dict[str, Callable[[], Any]] = {
        "update": lambda: update.candidates(file, out),
        "rollback": lambda: rollback.rollback(file, None, out, options),
        "abort": lambda: rollouts.abort(file, out, yes=True, cut=False),
        "resume": lambda: rollouts.resume(file, out, options),
    }
    with pytest.raises(LookedError):
        begin[verb]()
    assert [how["pulumi"] for how in asked] == [False]
