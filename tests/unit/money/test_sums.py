"""Drawn months: what the ledger adds up to is what a count of each minute says, whichever way it is cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hostler.money.folding import folded
from hostler.money.looks import Draw, Look, Machine, RunState
from hostler.money.report import BYS, Report, report
from hostler.money.rows import COSTS, Rate, Row
from unit.money.looks import ledger, run

MINUTE = 60
ZONES: tuple[tzinfo, ...] = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu"))
STARTS = ("2026-10-24T20:00", "2026-10-31T20:00", "2026-11-10T08:07", "2026-12-31T20:00", "2027-03-28T00:10")
NOTHING = Rate(amount=None, currency="USD", source="not told")
WORTH = {"USD": 0.5}


@dataclass(frozen=True)
class Step:
    """How long a host is so, in minutes; `blind`: nobody looks meanwhile, it is the same after it."""

    minutes: int
    state: RunState
    price: float | None
    watts: float
    share: float
    blind: bool


STEP = st.builds(
    Step,
    minutes=st.integers(3, 200),
    state=st.sampled_from(["running", "running", "stopped"]),
    price=st.sampled_from([0.0, 0.7, 1.3, None]),
    watts=st.floats(10, 700),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    blind=st.booleans(),
)


def machines(step: Step) -> tuple[Machine, Machine]:
    models = {"chat": step.share, "small": (1 - step.share) / 2}
    price = Rate(amount=step.price, currency="USD", source="list") if step.price is not None else NOTHING
    disk = Rate(amount=0.02, currency="USD", source="list")
    kwh = Rate(amount=0.4, currency="EUR", source="file")
    burst = Machine(
        name="burst-0",
        owned=False,
        born="i-1",
        since=0.0,
        state=step.state,
        price=price,
        disk=disk,
        models=models,
    )
    card = Draw(watts=step.watts)
    rack = Machine(
        name="gpu-1", born="b", state=step.state, cards={"a": card}, kwh=kwh, models=models, idle_w=60
    )
    return burst, rack


def looks_of(steps: list[Step], start: int) -> list[Look]:
    """A minute apart, but for the blind ones' middle."""
    found, at = list[Look](), start
    for step in steps:
        minutes = (0, step.minutes - 1) if step.blind else range(step.minutes)
        found += [Look(at=at + MINUTE * i, machines=machines(step)) for i in minutes]
        at += MINUTE * step.minutes
    return found


def naive(steps: list[Step], start: int, zone: tzinfo) -> tuple[dict[str, float], float, float]:
    """(EUR by day, hours at no price, kWh), minute by minute: each belongs to the step in which it begins, its last one to
    the change, in which a host runs at what it became."""
    days, dark, kwh = dict[str, float](), 0.0, 0.0
    at, minutes = start, [step for step in steps for _ in range(step.minutes)]
    for one, after in pairwise(minutes):
        day = datetime.fromtimestamp(at, zone).date().isoformat()
        days.setdefault(day, 0.0)
        at += MINUTE
        days[day] += 0.02 / 60 * 0.5  # its disk
        if one.state != "running":
            continue
        if after.price is None:
            dark += 1 / 60
        else:
            days[day] += after.price / 60 * 0.5
        energy = ((one.watts + after.watts) / 2 + 60) / 60 / 1000
        kwh += energy
        days[day] += energy * 0.4
    return days, dark, kwh


# without shrinking, which takes minutes here: what is drawn is readable as it is
@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.lists(STEP, min_size=2, max_size=6), st.sampled_from(STARTS), st.sampled_from(ZONES))
def test_the_ledger_is_what_each_minute_costs(steps: list[Step], begin: str, zone: tzinfo) -> None:
    start = int(datetime.fromisoformat(begin).replace(tzinfo=UTC).timestamp())
    rows = ledger(run(looks_of(steps, start)))
    days, dark, kwh = naive(steps, start, zone)
    by_day, unknown = dict[str, float](), 0.0
    for month in sorted({day[:7] for day in days}):
        found = report(rows, start, zone=zone, currency="EUR", rating=WORTH.get, month=month)
        fewer = folded(folded(rows[::2], 1e10, zone) + rows[1::2], 1e10, zone)
        _alike(found, report(fewer, start, zone=zone, currency="EUR", rating=WORTH.get, month=month))
        by_day |= {line.name: line.cost.amount for line in found.by["day"]}
        unknown += found.so_far.unknown.get("host h", 0.0)
        for by in BYS:
            assert math.fsum(line.cost.amount for line in found.by[by]) == pytest.approx(found.so_far.amount)
            dark_of = sum(line.cost.unknown.get("host h", 0.0) for line in found.by[by])
            assert dark_of == pytest.approx(found.so_far.unknown.get("host h", 0.0))
    assert by_day == pytest.approx(days)
    assert unknown == pytest.approx(dark)
    assert sum(row.amount or 0 for row in rows if row.kind == "energy") == pytest.approx(kwh)
    assert len({row.id for row in rows}) == len(rows)
    _one_after_the_other(rows)


def _alike(one: Report, other: Report) -> None:
    for by in BYS:
        for first, second in zip(one.by[by], other.by[by], strict=True):
            assert first.name == second.name
            assert first.cost.measured == pytest.approx(second.cost.measured)
            assert first.cost.estimated == pytest.approx(second.cost.estimated)
            assert dict(first.cost.unknown) == pytest.approx(dict(second.cost.unknown))
    assert len(one.notes) == len(other.notes)  # their figures are rounded


def _one_after_the_other(rows: tuple[Row, ...]) -> None:
    """No moment of a host counts twice."""
    ends = dict[str, float]()
    for row in sorted(rows, key=lambda one: one.start):
        if row.kind in COSTS:
            name = row.id.partition("@")[0].replace(" gap", "")
            assert row.start >= ends.get(name, 0)
            ends[name] = row.end
