"""What is seen of a replica and of a host, what is wished, and what is said of it; each as JSON, and back.

What is not known is None, and None is busy. JSON that is not as it was written raises ValueError: nothing is guessed.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, cast

Json = Dict[str, Any]

IDLE = "idle"
BUSY = "busy"
UNKNOWN = "unknown"
LOADING = "loading"  # never seen ready in this run
ASLEEP = "asleep"
WORDS = (IDLE, BUSY, UNKNOWN, LOADING, ASLEEP)
ENDS = ("sleep", "stop", "terminate", "suspend")  # what is done to what is idle
REPLACE = "replace"  # of what is too old: it is only reported, and nothing is ended by it


class Door(NamedTuple):
    """A HAProxy that sends requests to the replica: in flight and queued for it; requests ever, as this process of the
    door counts; which process (another one counts anew)."""

    busy: int
    total: int
    born: str

    def to_json(self) -> Json:
        return dict(self._asdict())

    @classmethod
    def from_json(cls, data: Any) -> "Door":
        busy, total, born = _values(cls, data)
        return cls(_whole(busy), _whole(total), _text(born))


class Look(NamedTuple):
    """One look at one replica. `at`: CLOCK_BOOTTIME, seconds; `born`: boot, container and its start (another one is a
    restart of the engine); `ready`: its health says so, None: it takes the question and does not answer; `work`: counters
    of work done, in a fixed order; `doors` by name, None: it did not answer; `first`: as firsts.parsed says it, None: not
    known. It decides nothing."""

    at: float
    born: str
    ready: Optional[bool]
    running: Optional[int]
    waiting: Optional[int]
    work: Optional[Tuple[float, ...]]
    doors: Mapping[str, Optional[Door]]
    first: Optional[Json] = None

    def to_json(self) -> Json:
        doors = {name: None if door is None else door.to_json() for name, door in self.doors.items()}
        work = None if self.work is None else list(self.work)
        return {**self._asdict(), "work": work, "doors": doors}

    @classmethod
    def from_json(cls, data: Any) -> "Look":
        at, born, ready, running, waiting, work, doors, first = _values(cls, data)
        return cls(
            _number(at),
            _text(born),
            None if ready is None else _flag(ready),
            None if running is None else _whole(running),
            None if waiting is None else _whole(waiting),
            None if work is None else tuple(_number(one) for one in _list(work)),
            {
                _text(name): None if door is None else Door.from_json(door)
                for name, door in _dict(doors).items()
            },
            None if first is None else _dict(first),
        )


class Presence(NamedTuple):
    """One look at the host itself. `boot`: which boot, and how often it was suspended since; `sessions`: people's, by SSH
    and console, without the controller's own account; `foreign`: processes on its cards that are not ours; `tasks` of ours
    that must not be cut."""

    at: float
    boot: str
    sessions: Optional[int]
    foreign: Optional[int]
    tasks: Optional[Tuple[str, ...]]

    def to_json(self) -> Json:
        return {**self._asdict(), "tasks": None if self.tasks is None else list(self.tasks)}

    @classmethod
    def from_json(cls, data: Any) -> "Presence":
        at, boot, sessions, foreign, tasks = _values(cls, data)
        return cls(
            _number(at),
            _text(boot),
            None if sessions is None else _whole(sessions),
            None if foreign is None else _whole(foreign),
            None if tasks is None else tuple(_text(one) for one in _list(tasks)),
        )


class Policy(NamedTuple):
    """What is wished of one replica or host. `do`: one of ENDS, empty: nothing; `hours`: never in these; `max_age_s`: 0:
    none; `shadow`: only reported; `kept`: one of those that stay."""

    after_s: float
    do: str
    hours: str
    max_age_s: float
    shadow: bool
    kept: bool

    def to_json(self) -> Json:
        return dict(self._asdict())

    @classmethod
    def from_json(cls, data: Any) -> "Policy":
        after_s, do, hours, max_age_s, shadow, kept = _values(cls, data)
        if do not in ("", *ENDS):
            raise ValueError("do: %r" % (do,))
        after, age = _number(after_s), _number(max_age_s)
        return cls(after, do, _text(hours), age, _flag(shadow), _flag(kept))


class Verdict(NamedTuple):
    """`since`: when its window began, boottime seconds, of what is idle or asleep. `at`: its last look, how far it is
    proven; `first`: as old it is at least; `still`: since when nothing at all moved, known at each look."""

    word: str
    since: Optional[float]
    why: str
    at: Optional[float] = None
    first: Optional[float] = None
    still: Optional[float] = None

    def to_json(self) -> Json:
        return dict(self._asdict())

    @classmethod
    def from_json(cls, data: Any) -> "Verdict":
        word, since, why, *times = _values(cls, data)
        if word not in WORDS:
            raise ValueError("word: %r" % (word,))
        since, at, first, still = (None if one is None else _number(one) for one in (since, *times))
        return cls(word, since, _text(why), at, first, still)


class Due(NamedTuple):
    """`do`: one of ENDS; empty: shadow, nothing is done, and `why` says what would be; REPLACE: only to be reported."""

    do: str
    why: str
    since: float

    def to_json(self) -> Json:
        return dict(self._asdict())


def _values(cls: Any, data: Any) -> List[Any]:
    found = _dict(data)
    missing = [name for name in cls._fields if name not in found]
    if missing:
        raise ValueError("%s: expected %s, got %r" % (cls.__name__, ", ".join(missing), data))
    return [found[name] for name in cls._fields]


def _dict(value: Any) -> Json:
    if not isinstance(value, dict):
        raise ValueError("an object: %r" % (value,))
    return cast(Json, value)


def _number(value: Any) -> float:
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass  # a whole number of hundreds of digits
    raise ValueError("a number: %r" % (value,))


def _whole(value: Any) -> int:
    if _number(value) != int(value):
        raise ValueError("a whole number: %r" % (value,))
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false: %r" % (value,))
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text: %r" % (value,))
    return value


def _list(value: Any) -> List[Any]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list: %r" % (value,))
    return list(cast(List[Any], value))
