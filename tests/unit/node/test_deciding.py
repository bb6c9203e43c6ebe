"""When a replica or a host is idle, case by case: a row is a look, and what is said of it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.node.idle import deciding
from hostler.node.idle.deciding import (
    BUSY,
    GAP_S,
    IDLE,
    LOADING,
    UNKNOWN,
    Door,
    Look,
    Presence,
    State,
    Verdict,
    asleep,
    judge,
    presence,
    together,
)

AT = 1000.0  # of the first look
EVERY = 5.0


def door(busy: int = 0, total: int = 7, born: str = "p1") -> Door:
    return Door(busy, total, born)


def look(**more: Any) -> Look:
    """One of a replica that does nothing."""
    usual: dict[str, Any] = {"at": 0.0, "born": "b1", "ready": True, "running": 0, "waiting": 0}
    return Look(**{**usual, "work": (10.0, 2.0), "doors": {"edge": door()}, **more})


class Row(NamedTuple):
    look: Look | None
    word: str
    since: float | None = None  # seconds after the first look
    after: float = EVERY  # seconds since the look before


QUIET = look()
FIRST = Row(QUIET, IDLE, 0.0, 0.0)
FAILED = Row(None, UNKNOWN)
CASES: dict[str, list[Row]] = {
    "nothing happens": [FIRST, Row(QUIET, IDLE, 0.0), Row(QUIET, IDLE, 0.0)],
    "a request runs": [FIRST, Row(look(running=1), BUSY), Row(QUIET, IDLE, 10.0)],
    "one waits": [FIRST, Row(look(waiting=1), BUSY), Row(QUIET, IDLE, 10.0)],
    "one is at the edge only": [FIRST, Row(look(doors={"edge": door(1)}), BUSY), Row(QUIET, IDLE, 10.0)],
    "one is at the second door only": [
        Row(look(doors={"edge": door(), "gateway": door(2)}), BUSY, None, 0.0),
        Row(look(doors={"edge": door(), "gateway": door()}), IDLE, 5.0),
    ],
    "one runs, and a door does not answer": [Row(look(running=1, doors={"edge": None}), BUSY, None, 0.0)],
    "a failed look": [FIRST, FAILED, Row(QUIET, IDLE, 10.0)],
    "a failed look before the first": [Row(None, UNKNOWN, None, 0.0), Row(QUIET, IDLE, 5.0)],
    "running is not told": [FIRST, Row(look(running=None), UNKNOWN), Row(QUIET, IDLE, 10.0)],
    "waiting is not told": [FIRST, Row(look(waiting=None), UNKNOWN), Row(QUIET, IDLE, 10.0)],
    "no counters": [FIRST, Row(look(work=None), UNKNOWN), Row(QUIET, IDLE, 10.0)],
    "one counter is missing": [
        FIRST,
        Row(look(work=(10.0,)), UNKNOWN),
        Row(look(work=(10.0,)), UNKNOWN),
        Row(QUIET, IDLE, 15.0),
    ],
    "one counter is missing after a failed look": [FIRST, FAILED, Row(look(work=(10.0,)), UNKNOWN)],
    "a counter is no number": [FIRST, Row(look(work=(10.0, float("nan"))), UNKNOWN), Row(QUIET, IDLE, 10.0)],
    "a counter is no number for ever": [
        Row(look(work=(float("nan"),)), UNKNOWN, None, 0.0),
        Row(look(work=(float("nan"),)), UNKNOWN),
    ],
    "a counter more than before": [FIRST, Row(look(work=(10.0, 2.0, 0.0)), IDLE, 5.0)],
    "an engine that has no counters": [Row(look(work=()), IDLE, 0.0, 0.0), Row(look(work=()), IDLE, 0.0)],
    "a request between two looks": [
        FIRST,
        Row(look(work=(90.0, 3.0)), IDLE, 5.0),
        Row(look(work=(90.0, 3.0)), IDLE, 5.0),
    ],
    "a request that only the door counted": [FIRST, Row(look(doors={"edge": door(total=8)}), IDLE, 5.0)],
    "counters start anew, the engine does not": [
        FIRST,
        Row(look(work=(0.0, 0.0)), IDLE, 5.0),
        Row(look(work=(0.0, 0.0)), IDLE, 5.0),
    ],
    "the door was reloaded": [
        FIRST,
        Row(look(doors={"edge": door(total=7, born="p2")}), IDLE, 5.0),
        Row(look(doors={"edge": door(total=7, born="p2")}), IDLE, 5.0),
    ],
    "the door does not answer": [FIRST, Row(look(doors={"edge": None}), UNKNOWN), Row(QUIET, IDLE, 10.0)],
    "a door more": [FIRST, Row(look(doors={"edge": door(), "gateway": door()}), IDLE, 5.0)],
    "a door less": [FIRST, Row(look(doors={}), IDLE, 5.0), Row(look(doors={}), IDLE, 5.0)],
    "the engine was restarted": [
        FIRST,
        Row(look(born="b2", ready=False), LOADING),
        Row(look(born="b2"), IDLE, 10.0),
        Row(look(born="b2"), IDLE, 10.0),
    ],
    "restarted between two looks, and ready": [FIRST, Row(look(born="b2"), IDLE, 5.0)],
    "never ready": [Row(look(ready=False), LOADING, None, 0.0), *[Row(look(ready=False), LOADING)] * 3],
    "never ready, and deaf": [Row(look(ready=None), LOADING, None, 0.0)],
    "never ready, and nothing is told": [
        Row(
            look(ready=False, running=None, waiting=None, work=None, doors={"edge": None}), LOADING, None, 0.0
        )
    ],
    "never ready, and a request waits": [Row(look(ready=False, doors={"edge": door(1)}), BUSY, None, 0.0)],
    "never ready for hours": [
        Row(look(ready=False), LOADING, None, 0.0),
        Row(look(ready=False), LOADING, None, 7200.0),
    ],
    "it was ready, and takes the question only": [
        FIRST,
        Row(look(ready=None), UNKNOWN),
        Row(QUIET, IDLE, 10.0),
    ],
    "it was ready, and says no": [FIRST, Row(look(ready=False), UNKNOWN), Row(QUIET, IDLE, 10.0)],
    "it was ready before a failed look": [FIRST, FAILED, Row(look(ready=False), UNKNOWN)],
    "nobody looked for a while": [FIRST, Row(QUIET, IDLE, 0.0, GAP_S)],
    "nobody looked for hours": [
        FIRST,
        Row(QUIET, UNKNOWN, None, 7200.0),
        Row(QUIET, UNKNOWN, None, GAP_S - 1),
        Row(QUIET, IDLE, 0.0, 1.0),
        Row(QUIET, IDLE, 0.0),
    ],
    "nobody looked for hours, twice": [
        FIRST,
        Row(QUIET, UNKNOWN, None, 7200.0),
        Row(QUIET, UNKNOWN, None, 7200.0),
        Row(QUIET, IDLE, 0.0, GAP_S),
    ],
    "it worked while nobody looked": [
        FIRST,
        Row(look(work=(90.0, 3.0)), IDLE, 7200.0, 7200.0),
        Row(look(work=(90.0, 3.0)), IDLE, 7200.0),
    ],
    "booted while nobody looked": [FIRST, Row(look(born="b2"), IDLE, 7200.0, 7200.0)],
    "booted, and the clock begins anew": [
        FIRST,
        Row(look(born="b2"), IDLE, -900.0, -900.0),
        Row(look(born="b2"), IDLE, -900.0),
    ],
    "the same look twice": [FIRST, Row(QUIET, IDLE, 0.0), Row(QUIET, IDLE, 0.0, 0.0), Row(QUIET, IDLE, 0.0)],
    "the same look twice, after a gap": [
        FIRST,
        Row(QUIET, UNKNOWN, None, 7200.0),
        Row(QUIET, UNKNOWN, None, 0.0),
        Row(QUIET, UNKNOWN, None, 0.0),
    ],
    "another look at the same time": [FIRST, Row(look(running=1), BUSY, None, 0.0), Row(QUIET, IDLE, 5.0)],
    "an older look comes late": [FIRST, Row(QUIET, IDLE, 0.0, 20.0), Row(QUIET, IDLE, 20.0, -10.0)],
    "an older look comes late, and is busy": [
        FIRST,
        Row(QUIET, IDLE, 0.0, 20.0),
        Row(look(running=1), BUSY, None, -10.0),
        Row(QUIET, IDLE, 25.0, 15.0),
    ],
    "an older look comes after one that failed": [
        FIRST,
        Row(None, UNKNOWN, None, 20.0),
        Row(QUIET, IDLE, 20.0, -10.0),
        Row(QUIET, IDLE, 20.0, 15.0),
    ],
    "no time": [FIRST, Row(look(), UNKNOWN, None, float("nan"))],
}


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES.keys())
def test_a_replica_is(rows: list[Row]) -> None:
    state: State = {}
    clock = AT
    for at, row in enumerate(rows):
        clock += row.after
        before = json.dumps(state)
        new, verdict = judge(state, row.look and row.look._replace(at=clock), clock)
        assert json.dumps(state) == before, "a state was changed in place"
        since = None if row.since is None else AT + row.since
        assert (verdict.word, verdict.since) == (row.word, since), f"look {at}: {verdict}"
        state = json.loads(json.dumps(new))


HOST = Presence(0.0, "boot1", 0, 0, ())
HERE = Row(HOST, IDLE, 0.0, 0.0)  # type: ignore[arg-type]


def host(word: str, since: float | None = None, after: float = EVERY, **more: Any) -> Row:
    return Row(HOST._replace(**more), word, since, after)  # type: ignore[arg-type]


HOSTS: dict[str, list[Row]] = {
    "nobody is there": [HERE, host(IDLE, 0.0), host(IDLE, 0.0)],
    "somebody is": [HERE, host(BUSY, sessions=1), host(IDLE, 10.0)],
    "a process that is not ours": [HERE, host(BUSY, foreign=2), host(IDLE, 10.0)],
    "a task of ours": [HERE, host(BUSY, tasks=("download",)), host(IDLE, 10.0)],
    "sessions are not known": [HERE, host(UNKNOWN, sessions=None), host(IDLE, 10.0)],
    "processes are not known": [HERE, host(UNKNOWN, foreign=None), host(IDLE, 10.0)],
    "tasks are not known": [HERE, host(UNKNOWN, tasks=None), host(IDLE, 10.0)],
    "one is there, another not known": [HERE, host(BUSY, sessions=1, foreign=None)],
    "a failed look": [HERE, FAILED, host(IDLE, 10.0)],
    "another boot": [HERE, host(IDLE, 5.0, boot="boot2"), host(IDLE, 5.0, boot="boot2")],
    "another boot, and the clock begins anew": [HERE, host(IDLE, -900.0, -900.0, boot="boot2")],
    "a short gap": [HERE, host(IDLE, 0.0, GAP_S)],
    "a gap, or suspended: whoever was there is counted nowhere": [
        HERE,
        host(IDLE, 7200.0, 7200.0),
        host(IDLE, 7200.0),
    ],
    "an older look comes late": [HERE, host(IDLE, 0.0, 20.0), host(IDLE, 20.0, -10.0)],
    "an older look comes late, and is busy": [
        HERE,
        host(IDLE, 0.0, 20.0),
        host(BUSY, None, -10.0, sessions=1),
        host(IDLE, 25.0, 15.0),
    ],
    "an older look comes after one that failed": [
        HERE,
        Row(None, UNKNOWN, None, 20.0),
        host(IDLE, 20.0, -10.0),
    ],
    "no time": [HERE, host(UNKNOWN, None, float("nan"))],
}


@pytest.mark.parametrize("rows", HOSTS.values(), ids=HOSTS.keys())
def test_a_host_is(rows: list[Row]) -> None:
    state: State = {}
    clock = AT
    for at, row in enumerate(rows):
        clock += row.after
        before = json.dumps(state)
        new, verdict = presence(state, row.look and row.look._replace(at=clock), clock)  # type: ignore[arg-type]
        assert json.dumps(state) == before, "a state was changed in place"
        since = None if row.since is None else AT + row.since
        assert (verdict.word, verdict.since) == (row.word, since), f"look {at}: {verdict}"
        state = json.loads(json.dumps(new))


def judged(*looks: Look | None, state: State | None = None) -> Verdict:
    """The last verdict."""
    kept, verdict = state or {}, Verdict(UNKNOWN, None, "")
    for one in looks:
        kept, verdict = judge(kept, one)
    return verdict


def still(*looks: Look | None) -> float | None:
    return judged(*looks).still


STUCK = look(running=1)


def test_nothing_moves() -> None:
    at = [STUCK._replace(at=float(second)) for second in range(0, 1000, 100)]
    assert still(*at) == 0.0
    assert still(*at, None, at[9]._replace(at=1000.0)) == 1000.0, "a failed look"
    assert still(*at, look(at=1000.0, running=2)) == 1000.0, "another request"
    assert still(*at, look(at=1000.0, running=1, work=(11.0, 2.0))) == 1000.0, "a token"
    assert still(*at, look(at=1000.0, running=1, work=None)) is None, "not known"
    assert still(*at, look(at=1000.0, running=1, doors={"edge": None})) is None
    assert still(*at, look(at=1000.0, running=1, doors={"edge": door(total=8)})) == 1000.0, "a new request"
    assert still(*at, look(at=1000.0, running=1, born="b2")) == 1000.0, "another run"
    assert still(*at, look(at=900.0 + GAP_S + 1, running=1)) == 900.0 + GAP_S + 1, "suspended meanwhile"


def test_an_engine_without_counters_is_never_taken_for_one_that_hangs() -> None:
    """A long answer of it looks the same all the time; once it has ended, it is known that nothing moves."""
    at = [look(at=float(second), running=1, work=()) for second in range(0, 1000, 100)]
    assert still(*at) is None
    assert still(*at, look(at=1000.0, work=())) == 1000.0
    door_only = [one._replace(running=0, doors={"edge": door(1)}) for one in at]
    assert still(*door_only) is None
    assert still(look(at=0.0, work=()), *(one._replace(at=one.at + 5) for one in door_only)) is None


def test_why_tells_what_was_before() -> None:
    assert judged(look(at=0.0, running=1, doors={"edge": door(2)})).why == "1 running, 2 at edge"
    assert judged(None).why == "it could not be looked at"
    assert judged(look(running=None, doors={"edge": None})).why == "not known: running, edge"
    before = "nothing in flight, and no counter moved; before: "
    assert judged(look(at=0.0)).why == before + "it was looked at for the first time"
    assert judged(look(at=0.0, running=1), look(at=5.0), look(at=9.0)).why == before + "1 running"
    assert judged(look(at=0.0), look(at=5.0, work=(11.0, 2.0))).why == before + "it worked"
    assert (
        judged(look(at=0.0), look(at=5.0, work=None), look(at=9.0)).why == before + "not known: its counters"
    )
    assert judged(look(at=0.0), look(at=5.0, born="b2")).why == before + "its engine was started"
    told = [look(at=0.0), look(at=5.0, doors={"edge": door(total=8)})]
    assert judged(*told).why == before + "a request came, or a door was restarted"


GARBAGE: list[Any] = [
    {},
    {"born": "b1"},
    {"born": "b1", "at": "5"},
    {"since": 1.0, "born": "b1", "boot": "boot1"},
    {"boot": "boot1", "at": None, "since": 0.0, "why": ""},
    dict.fromkeys(("born", "at", "first", "ready", "width", "marks", "load", "since", "still", "gap", "why")),
]


@pytest.mark.parametrize("state", GARBAGE)
def test_a_state_that_is_not_ours_is_none(state: State) -> None:
    assert judged(look(at=AT), state=state).since == AT
    assert presence(state, HOST._replace(at=AT))[1].since == AT


def idle(since: float, at: float = 5000.0) -> Verdict:
    return Verdict(IDLE, since, "nothing", at, 0.0, since)


def busy(still: float | None = None) -> Verdict:
    return Verdict(BUSY, None, "1 running", 5000.0, 0.0, still)


OTHERS = Verdict(UNKNOWN, None, "?", 4990.0, 0.0), Verdict(LOADING, None, "loads", 4990.0, 0.0)
TOGETHER: dict[str, tuple[dict[str, Verdict], Verdict, tuple[str, float | None, float | None]]] = {
    "idle since the latest": ({"a": idle(100.0), "b": idle(300.0)}, idle(200.0), (IDLE, 300.0, 300.0)),
    "idle since nobody is there": ({"a": idle(100.0)}, idle(200.0), (IDLE, 200.0, 200.0)),
    "no replica": ({}, idle(200.0), (IDLE, 200.0, 200.0)),
    "asleep is idle": ({"a": asleep(400.0, ""), "b": idle(1.0)}, idle(2.0), (IDLE, 400.0, 400.0)),
    "all asleep": ({"a": asleep(0.0, "")}, idle(2.0), (IDLE, 2.0, 2.0)),
    "asleep since an earlier boot": ({"a": asleep(9e6, "")}, idle(2.0), (IDLE, 2.0, 2.0)),
    "asleep just now": ({"a": asleep(5005.0, "")}, idle(2.0), (IDLE, 5005.0, 5005.0)),
    "one is busy": ({"a": busy(), "b": idle(1.0)}, idle(2.0), (BUSY, None, None)),
    "one is not known": ({"a": OTHERS[0], "b": idle(1.0)}, idle(2.0), (UNKNOWN, None, None)),
    "one loads": ({"a": OTHERS[1], "b": idle(1.0)}, idle(2.0), (LOADING, None, None)),
    "somebody is there": ({"a": idle(1.0)}, busy(), (BUSY, None, None)),
    "who is there is not known": ({"a": idle(1.0)}, OTHERS[0], (UNKNOWN, None, None)),
    "busy is said first": ({"a": OTHERS[1], "b": OTHERS[0], "c": busy()}, idle(2.0), (BUSY, None, None)),
    "all stand still": ({"a": busy(50.0), "b": idle(60.0)}, idle(20.0), (BUSY, None, 60.0)),
    "one moves": ({"a": busy(50.0), "b": busy(None)}, idle(20.0), (BUSY, None, None)),
    "one is stuck, one not known": ({"a": busy(50.0), "b": OTHERS[0]}, idle(20.0), (BUSY, None, None)),
    "one is stuck, and somebody is there": ({"a": busy(50.0)}, busy(None), (BUSY, None, None)),
}


@pytest.mark.parametrize(("verdicts", "there", "expected"), TOGETHER.values(), ids=TOGETHER.keys())
def test_a_host_is_as_all_of_it(
    verdicts: dict[str, Verdict], there: Verdict, expected: tuple[str, float | None, float | None]
) -> None:
    found = together(verdicts, there)
    assert (found.word, found.since, found.still) == expected


def test_a_host_is_proven_as_far_as_the_earliest() -> None:
    assert together({"a": idle(1.0, 40.0), "b": idle(1.0, 50.0)}, idle(1.0, 60.0)).at == 40.0
    assert together({"a": idle(1.0, 70.0)}, idle(1.0, 60.0)).at == 60.0
    assert together({"a": asleep(1.0, "")}, idle(1.0, 60.0)).at == 60.0
    assert together({"a": Verdict(IDLE, 1.0, "")}, idle(1.0, 60.0))[:2] == (UNKNOWN, None)
    assert together({"a": Verdict(IDLE, None, "", 50.0)}, idle(1.0, 60.0))[:2] == (UNKNOWN, None)
    assert together({"chat-0": busy(), "b": idle(1.0)}, idle(1.0)).why == "chat-0: 1 running"


COUNTS = st.none() | st.integers(0, 2)
SOME_DOORS = st.dictionaries(
    st.sampled_from(["edge", "gateway"]),
    st.none() | st.builds(Door, st.integers(0, 1), st.integers(0, 3), st.sampled_from(["p1", "p2"])),
)
SOME_WORK = st.none() | st.lists(st.sampled_from([0.0, 1.0]), max_size=2).map(tuple)
LOOKS = st.builds(
    Look,
    st.floats(0.0, 1e6),
    st.sampled_from(["b1", "b2"]),
    st.sampled_from([True, True, True, False, None]),
    COUNTS,
    COUNTS,
    SOME_WORK,
    SOME_DOORS,
    st.none() | st.just({}) | st.just({"bounds": [0.1], "counts": [1.0, 2.0], "sum": 0.5}),
)
STEPS = st.sampled_from([0.0, 5.0, 20.0, 100.0, 301.0, 4000.0, -7.0])
QUIETS = st.just(QUIET)


def shows(one: Look | None) -> bool:
    """Whether a look proves that nothing happens, by itself; told in another way than the product tells it."""
    if one is None or one.ready is not True or one.work is None:
        return False
    return [one.running, one.waiting, *(d and d.busy for d in one.doors.values())] == [0] * (
        2 + len(one.doors)
    )


def window(seen: list[Look | None]) -> list[Look]:
    """From the last look back, as far as all prove quiet and show the very same; told in another way than the product."""
    last, found = seen[-1], []
    for one in reversed(seen):
        if one is None or last is None or not shows(one):
            break
        if (one.born, one.work, one.doors) != (last.born, last.work, last.doors):
            break
        found.append(one)
    return found


def counters(seen: list[Look | None]) -> int:
    """The most that this run has shown."""
    most, born = 0, ""
    for one in (one for one in seen if one is not None):
        most = max(most if one.born == born else 0, len(one.work or ()))
        born = one.born
    return most


@settings(max_examples=400, deadline=None, database=None)
@given(st.lists(st.tuples(STEPS, st.none() | LOOKS | QUIETS | QUIETS), min_size=1, max_size=25))
def test_idle_is_just_what_every_look_of_the_window_proves(steps: list[tuple[float, Look | None]]) -> None:
    state: State = {}
    clock = AT
    seen: list[Look | None] = []
    for step, one in steps:
        clock += max(0.0, step)
        seen.append(one and one._replace(at=clock))
        state, verdict = judge(json.loads(json.dumps(state)), seen[-1])
        found = window(seen)
        if not found or len(found[0].work or ()) < counters(seen):
            assert verdict.word != IDLE
            continue
        ats = [one.at for one in found]
        gaps = [after for after, before in pairwise(ats) if after - before > GAP_S]
        if gaps and clock - gaps[0] < GAP_S:
            assert (verdict.word, verdict.since) == (UNKNOWN, None)
        else:
            assert (verdict.word, verdict.since) == (IDLE, ats[-1])


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.tuples(STEPS, st.none() | LOOKS | QUIETS | QUIETS), max_size=12), LOOKS)
def test_whatever_was_before_one_look_that_is_not_quiet_begins_anew(
    steps: list[tuple[float, Look | None]], odd: Look
) -> None:
    """However long it was idle: after a look that shows no quiet, the next begins the window."""
    state: State = {}
    clock = AT
    for step, one in steps:
        clock = max(0.0, clock + step)
        state, _ = judge(state, one and one._replace(at=clock))
    if not shows(odd):
        state, verdict = judge(state, odd._replace(at=clock + 5.0))
        assert verdict.word != IDLE
        _, verdict = judge(
            state, odd._replace(at=clock + 10.0, ready=True, running=0, waiting=0, work=(1.0, 1.0), doors={})
        )
        assert verdict.since is not None
        assert verdict.since >= clock + 10.0


def test_the_names_that_others_use_are_there() -> None:
    assert all(hasattr(deciding, name) for name in deciding.__all__)
