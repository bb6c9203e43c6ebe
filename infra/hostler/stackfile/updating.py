"""Section `updates`: what the types cannot say, and when its window is open. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from . import alarms
from .notes import Notes, nearest
from .outside import BY_ITSELF, Updates
from .sections import Stack

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
AHEAD = 9  # days in which every window opens once
EVERY_S = {"daily": 86400.0, "weekly": 7 * 86400.0, "monthly": 28 * 86400.0}
BEGIN_S = 300.0  # what is left of a window besides the bake, so that something is begun
SPARE_S = 6 * 3600.0  # a window that opens an hour earlier than last week's is still next week's
_WINDOW = re.compile(
    r"(?:(?P<days>[A-Z][A-Za-z,-]*) )?(?P<start>[0-9:]+)-(?P<end>[0-9:]+)(?: (?P<zone>\S+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Open from `start` until `end`, on the clock of `zone`, on the days on which it starts (Monday: 0). One that ends
    before it starts goes on after midnight; one that ends when it starts takes the whole day."""

    days: frozenset[int]
    start: time
    end: time
    zone: tzinfo

    @property
    def length_s(self) -> float:
        """Of a usual day."""
        minutes = (self.end.hour - self.start.hour) * 60 + self.end.minute - self.start.minute
        return (minutes if minutes > 0 else minutes + 24 * 60) * 60.0

    def open_until(self, now: float) -> float | None:
        """When it closes, in seconds since 1970; None: it is closed."""
        return next((end for start, end in self._around(now) if start <= now < end), None)

    def opens(self, now: float) -> float:
        """When it opens next, in seconds since 1970; `now` where it is open."""
        if self.open_until(now) is not None:
            return now
        return min(start for start, _ in self._around(now) if start > now)

    def _around(self, now: float) -> Iterator[tuple[float, float]]:
        """Each start and end from yesterday on. Clocks that are put back or forward move both, as people's do."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for day in (today + timedelta(days=ahead) for ahead in range(-1, AHEAD)):
            if day.weekday() in self.days:
                last = day if self.end > self.start else day + timedelta(days=1)
                start = datetime.combine(day, self.start, self.zone)
                end = datetime.combine(last, self.end, self.zone)
                yield start.timestamp(), end.timestamp()


def window(text: str) -> Window:
    """`Sun 03:00-05:00 Europe/Berlin`, `Mon-Fri 22:00-04:00`, `Mon-Fri 08-18`, `03:00-05:00 UTC`. UTC where no zone is named. Raises
    ValueError for a zone, a day or a time that there is not."""
    found = _WINDOW.fullmatch(text)
    if not found:
        raise ValueError(text)
    try:
        zone = ZoneInfo(found["zone"]) if found["zone"] else UTC
    except (ZoneInfoNotFoundError, IsADirectoryError) as error:
        raise ValueError(f"no time zone {found['zone']}") from error
    return Window(
        days=frozenset(_days(found["days"])),
        start=_clock(found["start"]),
        end=_clock(found["end"]),
        zone=zone,
    )


def _days(text: str | None) -> Iterator[int]:
    if text is None:
        yield from range(7)
        return
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        yield from ((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _clock(text: str) -> time:
    hours, _, minutes = text.partition(":")
    if (int(hours), int(minutes or 0)) == (24, 0):
        return time(0, 0)
    return time(int(hours), int(minutes or 0))


def unattended(updates: Updates | None) -> bool:
    """Whether the controller is to be there: something is taken without anyone, or somebody is told of what is new."""
    if updates is None:
        return False
    words = (updates.engines, updates.models, updates.packages)
    return any(word in BY_ITSELF for word in words) or bool(updates.notify)


def ordered(names: Sequence[str], updates: Updates) -> list[str]:
    """Those that `order` names first, the others by name."""
    order = {name: at for at, name in enumerate(updates.order)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def due(word: str, last: float, now: float) -> bool:
    """Whether what is `daily`, `weekly` or `monthly` may be taken again after `last` (seconds since 1970, 0: never)."""
    return word in EVERY_S and now - last >= EVERY_S[word] - SPARE_S


def check(stack: Stack, notes: Notes) -> None:
    """Notes a window that never opens, models that are not there, and somebody who cannot be told."""
    updates = stack.updates
    if updates is None:
        return
    if updates.window:
        _window(updates, notes)
    if unattended(updates):
        _alone(stack, updates, notes)
    for index, name in enumerate(updates.order):
        if name not in stack.models and not notes.troubled("models"):
            near = nearest(name, stack.models)
            got = name + (f": did you mean {near}?" if near else "")
            known = f"one of models: {', '.join(stack.models)}"
            notes.about(f"updates.order[{index}]", known, got, f"write {near}" if near else "take it out")
    alarms.told("updates.notify", updates.notify, stack, notes)


def known_window(path: str, text: str, notes: Notes) -> Window | None:
    """The window; None, and noted, where it has a day, a time or a zone that there is not."""
    try:
        return window(text)
    except ValueError as error:
        expected = 'days, times and a time zone that there are, such as "Sun 03:00-05:00 Europe/Berlin"'
        notes.about(path, expected, str(error), "mend it; without a zone it is UTC")
        return None


def _window(updates: Updates, notes: Notes) -> None:
    found = known_window("updates.window", updates.window or "", notes)
    if found is None:
        return
    if found.length_s <= updates.bake + BEGIN_S:
        expected = f"a window longer than `bake` ({updates.bake / 60:.0f} min) and {BEGIN_S / 60:.0f} min"
        got = f"{found.length_s / 60:.0f} min, in which nothing could be begun"
        notes.about("updates.window", expected, got, "make it longer, or `bake` shorter")


def _alone(stack: Stack, updates: Updates, notes: Notes) -> None:
    """What the controller cannot do yet, or could never do."""
    owned = {host.name for pool in stack.pools.values() for host in pool.hosts}
    if not owned or (stack.gateway.host and stack.gateway.host not in owned):
        notes.about(
            "updates",
            "`report` or `never` where the gateway is rented: its host is not let in to the others yet",
            "a gateway on a machine of AWS",
            "`hostler update --apply` by hand takes what is newer",
        )
    carried = next((name for name, pool in stack.pools.items() if pool.downloads == "operator"), "")
    if carried and updates.models in BY_ITSELF:
        notes.about(
            "updates.models",
            "`report` or `never`, as weights come through the machine of a person",
            f"{updates.models}, and pools.{carried}.downloads: operator",
            "`hostler update --apply` by hand takes them",
        )
