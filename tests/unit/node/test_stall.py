"""When a replica is stalled, case by case: a row is a look, and what is said of it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from hostler.node.watch import stall
from hostler.node.watch.stall import (
    COMPUTING,
    IDLE,
    LOADING,
    SERVING,
    SILENT,
    STALLED,
    UNKNOWN,
    Limits,
    Look,
    State,
)

EVERY = 30.0
LIMITS = Limits()
BORN = "one"


class Row(NamedTuple):
    look: Look
    verdict: str
    after: float = EVERY  # seconds since the look before


def served(
    mark: float, *, requests: int | None = 1, works: bool | None = None, steps: bool = False, born: str = BORN
) -> Look:
    return Look(born, True, requests, [mark], works, steps)


def idle(mark: float = 1.0) -> Look:
    return served(mark, requests=0)


def quiet(works: bool | None, mark: float = 5.0, *, steps: bool = False) -> Look:
    """A request runs, and no counter moves; whether anything computes."""
    return served(mark, works=works, steps=steps)


def deaf(works: bool | None, requests: int | None = 2, born: str = BORN) -> Look:
    """It takes connections, and answers nobody."""
    return Look(born, None, requests, None, works)


NOT_READY = Look(BORN, False, 0)
FIRST = [Row(idle(), IDLE), Row(served(5.0), SERVING)]
DEAF = Row(deaf(works=False), SILENT)
SILENT_3 = [Row(quiet(works=False), SILENT)] * 3
CASES: dict[str, list[Row]] = {
    "no token and no work for 120 s, three looks long": [*FIRST, *SILENT_3, Row(quiet(works=False), STALLED)],
    "an engine that answers nothing at all": [*FIRST, *[DEAF] * 3, Row(deaf(works=False), STALLED)],
    "nor does anybody ask it any more: the gateway took it out": [
        *FIRST, *[Row(deaf(works=False, requests=0), SILENT)] * 3, Row(deaf(works=False, requests=None), STALLED),
    ],
    "looks that come late: still three of them": [
        *FIRST, Row(quiet(works=False), SILENT, 100), Row(quiet(works=False), SILENT, 100), Row(quiet(works=False), STALLED, 1),
    ],
    "three looks, and no 120 s": [*FIRST, *[Row(quiet(works=False), SILENT, 10)] * 11],
    "a long prompt: no counter moves for an hour, and it computes": [*FIRST, *[Row(quiet(works=True), COMPUTING)] * 120],
    "busy: it does not even answer health checks, and computes": [*FIRST, *[Row(deaf(works=True), COMPUTING)] * 120],
    "a long prompt, then a token, then the next": [
        *FIRST, *SILENT_3, Row(served(6.0), SERVING), *[Row(quiet(works=False, mark=6.0), SILENT)] * 3,
        Row(quiet(works=False, mark=6.0), STALLED),
    ],
    "it worked once in between": [*FIRST, *SILENT_3, Row(quiet(works=True), COMPUTING), *SILENT_3, Row(quiet(works=False), STALLED)],
    "slow under load: a token each look": [*FIRST, *[Row(served(float(n)), SERVING) for n in range(6, 60)]],
    "whether it works is unknown: never stalled": [*FIRST, *[Row(quiet(works=None), UNKNOWN)] * 50],
    "unknown counts neither way": [
        *FIRST, Row(quiet(works=None), UNKNOWN), *SILENT_3[:2], Row(quiet(works=None), UNKNOWN), Row(quiet(works=False), STALLED),
    ],
    "unknown is no look of the three": [
        *FIRST, *[Row(quiet(works=None), UNKNOWN)] * 5, *[Row(quiet(works=False), SILENT)] * 2, Row(quiet(works=False), STALLED),
    ],
    "nobody knows what is in flight": [*FIRST, *[Row(Look(BORN, True, None, [5.0], works=False), UNKNOWN)] * 9],
    "idle for hours, then a request, then nothing": [
        Row(idle(), IDLE), *[Row(idle(), IDLE)] * 50, *[Row(quiet(works=False, mark=1.0), SILENT)] * 3,
        Row(quiet(works=False, mark=1.0), STALLED),
    ],
    "asleep: nothing runs, nothing moves": [*FIRST, *[Row(idle(5.0), IDLE)] * 50],
    "loading: nothing answers, nothing is expected": [*[Row(NOT_READY, LOADING)] * 50, Row(idle(), IDLE)],
    "frozen before anybody saw it ready: longer than any load": [
        *[Row(Look(BORN, None, 0, None, load_s=900.0), LOADING)] * 31, Row(Look(BORN, None, 0, None, works=False, load_s=900.0), SILENT),
        *[Row(Look(BORN, None, 0, None, works=False, load_s=900.0), SILENT)] * 2,
        Row(Look(BORN, None, 0, None, works=False, load_s=900.0), STALLED),
    ],
    "loading from a slow disk behind an open port": [*[Row(Look(BORN, None, 0, None, works=False), LOADING)] * 50],
    "counters start anew with the engine": [
        *FIRST, *SILENT_3, Row(served(0.0, born="two"), SERVING), *[Row(served(0.0, works=False, born="two"), SILENT)] * 3,
    ],
    "another container is not ready because the former one was": [*FIRST, *[Row(deaf(works=False, born="two"), LOADING)] * 20],
    "counters that went back without a start": [*FIRST, *SILENT_3, Row(served(2.0), SERVING)],
    "refused, or another answer than 200": [*FIRST, *[Row(Look(BORN, False, 3, None, works=False), UNKNOWN)] * 50],
    "metrics that fail now and then": [
        *FIRST, Row(quiet(works=False), SILENT), Row(Look(BORN, True, 1, None, works=False), SILENT), Row(quiet(works=False), SILENT),
        Row(quiet(works=False), STALLED),
    ],
    "an engine without counters": [
        Row(Look(BORN, True, 0), IDLE), Row(Look(BORN, True, 2, None, works=True), COMPUTING),
        *[Row(Look(BORN, True, 2, None, works=False), SILENT)] * 3, Row(Look(BORN, True, 2, None, works=False), STALLED),
    ],
    "the host slept, or the timer stood still: looks begin anew": [
        *FIRST, *SILENT_3, Row(quiet(works=False), SERVING, 4000.0), *SILENT_3, Row(quiet(works=False), STALLED),
    ],
    "the kernel's clock began anew": [*FIRST, *SILENT_3, Row(quiet(works=False), SERVING, -1000.0)],
    "vLLM on cards: a step takes seconds, so ten minutes of computing without one are no long prompt": [
        *FIRST, *[Row(quiet(works=True, steps=True), COMPUTING)] * 19, Row(quiet(works=True, steps=True), STALLED),
    ],
    "vLLM on cards: a long prompt, whose steps fill the cache": [
        *FIRST, *[Row(served(5.0 + n, works=True, steps=True), SERVING) for n in range(1, 60)],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_looks(name: str) -> None:
    state: State = {}
    now, said = 1000.0, [row.verdict for row in CASES[name]]
    heard: list[str] = []
    for row in CASES[name]:
        now += row.after
        works = row.look.works if stall.suspect(state, row.look, now) else None  # nobody looks for it else
        state, verdict = stall.judge(state, row.look._replace(works=works), now, LIMITS)
        heard.append(verdict)
    assert heard == said


def test_how_long_it_was_silent() -> None:
    state: State = {}
    now = 1000.0
    for row in [*FIRST, *SILENT_3]:
        now += EVERY
        state, _ = stall.judge(state, row.look, now, LIMITS)
    assert stall.silence(state, now) == 90.0
    assert stall.silence({}, now) == 0.0


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ({}, LIMITS),
        ({"stalled_s": 5, "checks": 2}, LIMITS._replace(stalled_s=5.0, checks=2)),
        ({"stalled_s": "soon", "checks": -1, "other": 3, "starts": None}, LIMITS),
    ],
)
def test_limits_that_are_no_numbers_are_as_they_were(values: dict[str, object], limits: Limits) -> None:
    assert Limits.of(values) == limits
