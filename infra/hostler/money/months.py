"""Days and months on the clock of a zone: a day has 23 or 25 hours where clocks are put forward or back."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from hostler.errors import UsageError

BEFORE_S = 2 * 3600  # what ran so shortly before the month is what runs at its start
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def month_at(at: float, zone: tzinfo) -> str:
    """`2026-11`"""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m")


def checked(month: str) -> str:
    """Raises UsageError for what is no month."""
    if not _MONTH.fullmatch(month) or month.startswith("0000"):
        raise UsageError.of("--month", expected="a month such as 2026-11", got=month)
    return month


def days(month: str, zone: tzinfo) -> list[tuple[str, float, float]]:
    """(day, its start, its end) in seconds since 1970."""
    first = date.fromisoformat(f"{month}-01")
    found, day = list[tuple[str, float, float]](), first
    while day.month == first.month:
        then = day + timedelta(days=1)
        found.append((day.isoformat(), _midnight(day, zone), _midnight(then, zone)))
        day = then
    return found


def end(month: str, zone: tzinfo) -> float:
    """Its last moment, and the first one of the next: seconds since 1970."""
    return days(month, zone)[-1][2]


def files(month: str, zone: tzinfo) -> list[str]:
    """Of the ledger, whose months are UTC's and whose rows begin and end in one; with what ran just before."""
    spans = days(month, zone)
    return sorted({month_at(at, UTC) for at in (spans[0][1] - BEFORE_S, spans[0][1], spans[-1][2] - 1)})


def file_of(start: float) -> str:
    """The month whose file has what begins then."""
    return month_at(start, UTC)


def _midnight(day: date, zone: tzinfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
