"""Releases as people read them, and the way back to one of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.errors import HostlerError
from hostler.manifest.items import ImagePin
from hostler.models.types import Release
from hostler.record.types import Before, Journal, Record
from hostler.rollout import releases, undo
from hostler.stackfile.asked import asked_digests
from worlds import configure_world as world

ASKED = asked_digests(world.stack().stack)


def release(number: int, ended: str = "good", **runs: Any) -> Release:
    """One whose only model runs something else in what `runs` says."""
    base = world.release()
    chat = base.models["chat"]
    models = {"chat": replace(chat, asked=ASKED["chat"], runs=replace(chat.runs, **runs))}
    return replace(base, number=number, models=models, ended=ended, who="ann@desk", when=1000.0 + number)


def pin(tag: str) -> ImagePin:
    return world.pin("ghcr.io/acme/engine-" + tag, tag)


ONE, TWO = release(1, image=pin("b1")), release(2, image=pin("b2"))
BAD = release(3, "failed: chat-0: not ready", image=pin("b3"))


def record(live: int, *known: Release, **more: Any) -> Record:
    return replace(world.record(), release=live, releases=known, **more)


def test_rows_say_what_changed_and_which_is_live() -> None:
    rows = releases.rows(record(2, ONE, TWO, BAD))
    assert [row["release"] for row in rows] == [3, 2, 1]
    assert [row["live"] for row in rows] == [False, True, False]
    assert [row["kept"] for row in rows] == [False, True, True]
    assert rows[0]["ended"] == "failed: chat-0: not ready"
    assert rows[1]["changed"][0].startswith("chat: image b1 ")
    assert " -> b2 " in rows[1]["changed"][0]
    assert rows[2]["changed"][0].startswith("chat: new, ")


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ({"argv": ("--fast",)}, "words"),
        ({"context": 1}, "context"),
        ({"engine": "vllm"}, "engine"),
    ],
)
def test_what_differs_in_words(runs: dict[str, Any], words: str) -> None:
    (line,) = releases.changed(release(1), release(2, **runs))
    assert line.startswith(f"chat: {words} ")


def test_no_difference_is_no_line() -> None:
    assert list(releases.changed(ONE, replace(ONE, number=9))) == []


def test_a_model_that_is_gone() -> None:
    assert list(releases.changed(ONE, replace(ONE, models={}))) == ["chat: gone"]


@pytest.mark.parametrize(
    ("live", "number", "tag"),
    [(2, None, "b1"), (2, 1, "b1"), (1, 2, "b2")],
)
def test_back_to_what_an_older_one_ran(live: int, number: int | None, tag: str) -> None:
    made = releases.again(record(live, ONE, TWO, BAD), number, ASKED)
    assert made.number == 4
    assert made.ended == ""
    assert made.models["chat"].runs.image.tag == tag
    assert made.models["chat"].asked == ASKED["chat"]


def test_the_next_up_does_not_undo_it() -> None:
    """The file has changed since the old release: what it asks for now is what the new one says it was asked for."""
    old = replace(ONE, models={"chat": replace(ONE.models["chat"], asked="as the file was then")})
    assert releases.again(record(2, old, TWO), None, ASKED).models["chat"].asked == ASKED["chat"]


def test_back_to_what_is_live_is_nothing() -> None:
    assert releases.again(record(2, replace(TWO, number=1), TWO), 1, ASKED).number == 2


def test_a_model_that_came_later_keeps_what_it_runs() -> None:
    both = replace(TWO, models={**TWO.models, "more": replace(TWO.models["chat"], asked="m")})
    made = releases.again(record(2, ONE, both), 1, {**ASKED, "more": "m"})
    assert made.models["more"] == both.models["more"]


@pytest.mark.parametrize(
    ("known", "live", "number", "asked", "code"),
    [
        ((TWO,), 2, None, {}, 9),  # nothing before it
        ((ONE, TWO, BAD), 2, 3, {}, 2),  # it failed
        ((ONE, TWO), 1, None, {}, 2),  # nothing good before it, and one after it
        ((ONE, TWO), 2, 7, {}, 2),
        ((ONE, TWO), 2, 1, {"new": "x"}, 9),  # a change that is not applied yet
        ((), 0, None, {}, 9),
    ],
)
def test_no_way_back(
    known: tuple[Release, ...], live: int, number: int | None, asked: dict[str, str], code: int
) -> None:
    with pytest.raises(HostlerError) as raised:
        releases.again(record(live, *known), number, {**ASKED, **asked})
    assert int(raised.value.code) == code
    assert raised.value.problems[0].next_step


def test_what_went_back_before_is_said() -> None:
    (notice,) = releases.tried(record(2, ONE, TWO, BAD), replace(BAD, number=4, ended=""))
    assert notice.level == "warning"
    assert "chat-0: not ready" in notice.text
    assert list(releases.tried(record(2, ONE, TWO, BAD), TWO)) == []


# -- the way back -----------------------------------------------------------------------------------------

JOURNAL = Journal(run="r", stage="apply", release=3, before=Before(gateway_host="gpu-1", applied=world.STACK))


def under_way(**more: Any) -> Record:
    return record(2, ONE, TWO, replace(BAD, ended=""), journal=replace(JOURNAL, **more), gateway_host="gpu-1")


def test_there_is_a_way_back() -> None:
    assert undo.obstacle(under_way()) == ""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (record(2, ONE, TWO), "no change"),
        (replace(under_way(), release=0), "ever good"),
        (under_way(before=Before(gateway_host="gpu-1")), "stack file"),
        (replace(under_way(), gateway_host="gpu-2"), "moves"),
    ],
)
def test_why_there_is_none(found: Record, words: str) -> None:
    assert words in undo.obstacle(found)


def test_an_interrupted_change_that_is_begun_anew_goes_back_to_before_the_first() -> None:
    assert undo.from_here(under_way()).applied == world.STACK
    fresh = record(2, ONE, TWO, applied="new", gateway_host="gpu-2")
    assert undo.from_here(fresh) == Before(replicas=fresh.replicas, gateway_host="gpu-2", applied="new")
    assert undo.from_here(None) == Before()


def test_its_release_failed_and_the_live_one_stays_good() -> None:
    found = undo.failed(under_way(), "why")
    assert [one.ended for one in found.releases] == ["good", "good", "failed: why"]
    assert undo.failed(found, "another").releases == found.releases  # the first reason is the one that counts
    same = undo.failed(under_way(release=2), "why")  # a change of seats or of the gateway alone
    assert [one.ended for one in same.releases] == ["good", "good", ""]


def test_replicas_stand_as_before_and_hosts_of_the_change_are_forgotten() -> None:
    hosts = {one.name: one for one in world.hosts()}
    more = replace(hosts["gpu-1"], name="gpu-3"), replace(hosts["gpu-1"], name="gpu-4")
    record = replace(under_way(), hosts={**hosts, **{one.name: one for one in more}})
    seen = {"gpu-3": world.bare(1), "gpu-4": replace(world.bare(1), error="no answer")}
    draft: Any = SimpleNamespace(
        observation=SimpleNamespace(seen=seen), record=SimpleNamespace(hosts=hosts, slots={})
    )
    found = undo.settled(record, replace(JOURNAL, before=Before(applied="x")), draft)
    assert found.journal is None
    assert (found.release, found.applied, found.replicas) == (2, "x", ())
    assert set(found.hosts) == {"gpu-1", "gpu-2", "gpu-4"}
