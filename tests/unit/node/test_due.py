"""What is due of something idle, or too old, case by case; and the hours in which nothing is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.node.idle import hours
from hostler.node.idle.deciding import (
    ASLEEP,
    BUSY,
    IDLE,
    LOADING,
    REPLACE,
    STALE_S,
    STALLED_S,
    SWITCH_EXTRA_S,
    UNKNOWN,
    Due,
    Policy,
    Verdict,
    due,
    span,
)
from hostler.stackfile import updating

WISH = Policy(1200.0, "terminate", "", 0.0, False, False)
NOW = 10000.0
NOON = 1_700_049_600.0  # Wednesday, 2023-11-15, 12:00 UTC
DO = "terminate"


def for_s(seconds: float, at: float = NOW) -> Verdict:
    """Idle for so long."""
    return Verdict(IDLE, at - seconds, "nothing", at, 0.0, at - seconds)


def stuck_s(seconds: float) -> Verdict:
    return Verdict(BUSY, None, "1 running", NOW, 0.0, NOW - seconds)


AGED = WISH._replace(max_age_s=9000.0)
DUES: dict[str, tuple[Policy, Verdict, dict[str, float], str | None]] = {
    "the window is over": (WISH, for_s(1200.0), {}, DO),
    "not yet": (WISH, for_s(1199.0), {}, None),
    "the switch waits longer": (WISH, for_s(1499.0), {"extra_s": SWITCH_EXTRA_S}, None),
    "the switch has waited": (WISH, for_s(1500.0), {"extra_s": SWITCH_EXTRA_S}, DO),
    "nothing is wished": (WISH._replace(do=""), for_s(5000.0), {}, None),
    "nothing is wished, of age": (AGED._replace(do=""), stuck_s(5000.0), {}, None),
    "no window": (WISH._replace(after_s=0.0), for_s(5000.0), {}, None),
    "no number": (WISH._replace(after_s=float("nan")), for_s(5000.0), {}, None),
    "it stays": (WISH._replace(kept=True), for_s(5000.0), {}, None),
    "only told": (WISH._replace(shadow=True), for_s(1200.0), {}, ""),
    "busy": (WISH, Verdict(BUSY, None, "", NOW, 0.0, None), {}, None),
    "busy, whatever else is said": (WISH, Verdict(BUSY, 1.0, "", NOW, 0.0, 1.0), {}, None),
    "unknown": (WISH, Verdict(UNKNOWN, 1.0, "", NOW, 0.0, 1.0), {}, None),
    "loading": (WISH, Verdict(LOADING, 1.0, "", NOW, 0.0, 1.0), {}, None),
    "asleep already": (AGED, Verdict(ASLEEP, 1.0, "", NOW, 0.0, 1.0), {}, None),
    "idle, and nobody knows until when": (WISH, Verdict(IDLE, 1.0, "nothing"), {}, None),
    "idle, and nobody knows since when": (WISH, Verdict(IDLE, None, "", NOW, 0.0, None), {}, None),
    "the last look is old": (WISH, for_s(5000.0), {"now": NOW + STALE_S + 1}, None),
    "the last look is not old yet": (WISH, for_s(5000.0), {"now": NOW + STALE_S}, DO),
    "no look since proves the rest": (WISH, for_s(1190.0), {"now": NOW + 30.0}, None),
    "now is before the window's end": (WISH, for_s(1200.0), {"now": NOW - 1.0}, None),
    "the look is of another time": (WISH, for_s(5000.0), {"now": NOW - STALE_S - 1}, None),
    "within hours": (WISH._replace(hours="Mon-Fri 08-18"), for_s(5000.0), {}, None),
    "outside of hours": (WISH._replace(hours="Mon-Fri 08-12"), for_s(5000.0), {}, DO),
    "hours of a zone that nobody knows": (
        WISH._replace(hours="Sun 01-02 Mars/Base"),
        for_s(5000.0),
        {},
        None,
    ),
    "hours that nobody can read": (WISH._replace(hours="at night"), for_s(5000.0), {}, None),
    "old, and it works": (AGED, Verdict(BUSY, None, "", NOW, 0.0, NOW), {}, REPLACE),
    "old, and it works, and is only told": (
        AGED._replace(shadow=True),
        Verdict(BUSY, None, "", NOW, 0.0, None),
        {},
        REPLACE,
    ),
    "old and stuck": (AGED, stuck_s(STALLED_S), {}, DO),
    "old and stuck, only told": (AGED._replace(shadow=True), stuck_s(STALLED_S), {}, ""),
    "old and stuck, not for long": (AGED, stuck_s(STALLED_S - 1), {}, REPLACE),
    "old and stuck, and the switch waits": (AGED, stuck_s(STALLED_S), {"extra_s": 300.0}, REPLACE),
    "old and stuck, and the switch has waited": (AGED, stuck_s(STALLED_S + 300.0), {"extra_s": 300.0}, DO),
    "old and stuck, and it stays": (AGED._replace(kept=True), stuck_s(5000.0), {}, REPLACE),
    "old and stuck, within hours": (AGED._replace(hours="Wed 11-13"), stuck_s(5000.0), {}, REPLACE),
    "stuck, and no age is set": (WISH, stuck_s(5000.0), {}, None),
    "stuck, and not old": (AGED._replace(max_age_s=NOW + 1), stuck_s(5000.0), {}, None),
    "old, and not known": (AGED, Verdict(UNKNOWN, None, "", NOW, 0.0, 1.0), {}, REPLACE),
    "old, and never ready": (AGED, Verdict(LOADING, None, "", NOW, 0.0, 1.0), {}, REPLACE),
    "old, and nobody knows how": (AGED, Verdict(BUSY, None, "", NOW, None, 1.0), {}, None),
    "old, and the last look is, too": (AGED, stuck_s(5000.0), {"now": NOW + STALE_S + 1}, None),
    "old, and idle not for long": (AGED, for_s(100.0), {}, REPLACE),
    "old, and idle for long": (AGED, for_s(1200.0), {}, DO),
}


@pytest.mark.parametrize(("policy", "verdict", "more", "do"), DUES.values(), ids=DUES.keys())
def test_what_is_due(policy: Policy, verdict: Verdict, more: dict[str, float], do: str | None) -> None:
    found = due(policy, verdict, more.get("now", NOW), NOON, more.get("extra_s", 0.0))
    assert (found and found.do) == do


def test_what_is_due_says_why_and_since() -> None:
    found = due(WISH, for_s(1500.0), NOW, NOON)
    assert found == Due("terminate", "idle for 25 min: nothing", NOW - 1500.0)
    would = due(WISH._replace(shadow=True), for_s(1500.0), NOW, NOON)
    assert would == Due("", "would terminate: idle for 25 min: nothing", NOW - 1500.0)
    stuck = due(AGED, stuck_s(1800.0), NOW, NOON)
    assert stuck == Due("terminate", "2.8 h old, and nothing moved for 30 min: 1 running", NOW - 1800.0)
    old = due(AGED, stuck_s(5.0), NOW, NOON)
    assert old == Due(REPLACE, "2.8 h old: to be replaced (1 running)", 0.0)
    assert [span(seconds) for seconds in (0.0, 119.0, 120.0, 7199.0, 12600.0)] == [
        "0 s",
        "119 s",
        "2 min",
        "119 min",
        "3.5 h",
    ]


HOURS = [
    ("", NOON, False),
    ("Mon-Fri 08-18", NOON, True),
    ("Mon-Fri 08:00-18:00", NOON, True),
    ("Mon-Fri 08:00-12:00", NOON, False),  # its end is outside
    ("Mon-Fri 12:00-13:00", NOON, True),  # its begin is within
    ("Sat,Sun 08-18", NOON, False),
    ("Fri-Mon 08-18", NOON, False),
    ("Mon-Fri 08-13 Europe/Berlin", NOON, False),  # 13:00 there
    ("Mon-Fri 08-13 America/New_York", NOON, False),  # 07:00 there
    ("Mon-Fri 07-13 America/New_York", NOON, True),
    ("Tue 22:00-13:00", NOON, True),  # since yesterday
    ("Wed 22:00-13:00", NOON, False),
    ("Wed 00-24", NOON, True),
    ("Wed 12-12", NOON, True),
    ("08-18 UTC", NOON, True),
    ("08-18 Nowhere/Atall", NOON + 43200.0, True),
    ("08-18 ../../etc/passwd", NOON + 43200.0, True),
    ("Mon-Fri 25-26", NOON, True),
    ("Monday 08-09", NOON, True),
    ("08", NOON, True),
    ("Sat 08-09", float("nan"), True),
    ("Sat 08-09", 1e20, True),
]


@pytest.mark.parametrize(("text", "wall", "expected"), HOURS)
def test_hours(text: str, wall: float, expected: bool) -> None:
    assert hours.within(text, wall) is expected


CLOCKS = st.one_of(
    st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    st.builds("{:02}".format, st.integers(0, 24)),
)
SPANS = st.builds(
    "{} {}-{}{}".format,
    st.sampled_from(["Mon-Fri", "Sat,Sun", "Fri-Mon", "Wed"]),
    CLOCKS,
    CLOCKS,
    st.sampled_from(["", " UTC", " Europe/Berlin", " Australia/Lord_Howe", " America/New_York"]),
)


@settings(max_examples=200, deadline=None, database=None)
@given(text=SPANS, wall=st.integers(1_600_000_000, 1_900_000_000))
def test_hours_are_read_as_the_stack_file_reads_its_windows(text: str, wall: int) -> None:
    assert hours.within(text, float(wall)) is (updating.window(text).open_until(float(wall)) is not None)
