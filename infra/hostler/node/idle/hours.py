"""Hours in which nothing is ended: `Mon-Fri 08-18`, `Mon-Fri 08:00-18:00 Europe/Berlin`, `22:00-04:00 UTC`. Pure.

As the stack file reads its windows: UTC where no zone is named; one that ends before it starts goes on after midnight;
one that ends when it starts takes the whole day. What cannot be read, and a zone that this host does not know, counts as
within: nothing is ended then.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Optional, Set
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TEXT = re.compile(r"(?:(?P<days>[A-Z][A-Za-z,-]*) )?(?P<start>[0-9:]+)-(?P<end>[0-9:]+)(?: (?P<zone>\S+))?")


def within(text: str, wall: float) -> bool:
    """Whether these hours are now; `wall` in seconds since 1970. Empty text: never."""
    if not text:
        return False
    try:
        return _within(text, wall)
    except (ValueError, OverflowError, LookupError, OSError):
        return True


def _within(text: str, wall: float) -> bool:
    found = _TEXT.fullmatch(text)
    if not found:
        raise ValueError(text)
    days, zone = _days(found["days"]), _zone(found["zone"])
    start, end = _clock(found["start"]), _clock(found["end"])
    today = datetime.fromtimestamp(wall, zone).date()
    for day in (today - timedelta(days=1), today):
        last = day if end > start else day + timedelta(days=1)
        if day.weekday() in days and _at(day, start, zone) <= wall < _at(last, end, zone):
            return True
    return False


def _at(day: date, clock: time, zone: tzinfo) -> float:
    return datetime.combine(day, clock, zone).timestamp()


def _zone(name: Optional[str]) -> tzinfo:
    """A host without a table of zones still knows UTC. Raises KeyError, ValueError or OSError for one it lacks."""
    return timezone.utc if name in (None, "UTC") else ZoneInfo(str(name))


def _days(text: Optional[str]) -> Set[int]:
    if text is None:
        return set(range(7))
    found: Set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return found


def _clock(text: str) -> time:
    hour, _, minute = text.partition(":")
    if (int(hour), int(minute or 0)) == (24, 0):
        return time(0, 0)
    return time(int(hour), int(minute or 0))
