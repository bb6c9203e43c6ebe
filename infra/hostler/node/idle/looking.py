"""One look at each replica of this host: its container, its engine's own counters, and the doors that send it requests.

Of an engine without counters the doors alone say what it does. What did not answer is unknown.
"""

from __future__ import annotations

import threading
from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple, TypeVar

from ..base import clock, engines, spec, wire
from ..base.protocol import NodeError, as_dict
from ..base.spec import Spec
from ..docker import docker
from ..doors import counting, drain
from ..watch import watch
from . import firsts
from .looks import Door, Json, Look

LIMIT_S = 5.0
GATEWAY = "gateway"
Doors = Dict[str, Optional[counting.Door]]
T = TypeVar("T")


class Told(NamedTuple):
    """By an engine's page; all of it None: it did not say."""

    running: Optional[int]
    waiting: Optional[int]
    work: Optional[Tuple[float, ...]]
    first: Optional[Json] = None  # how long first tokens took: firsts.py


SILENT = Told(None, None, None)
COUNTS_NOTHING = Told(0, 0, (), firsts.NOTHING)


def doors() -> Doors:
    """Those of this host by name; None: one does not answer."""
    found: Doors = {}
    for name in counting.NAMES:
        try:
            found[name] = counting.look(name)
        except FileNotFoundError:
            continue
    return found


def replicas(identifiers: Sequence[str], there: Doors) -> Dict[str, Optional[Look]]:
    """Side by side; None: one could not be looked at."""
    return together(identifiers, lambda identifier: replica(identifier, there))


def together(names: Sequence[str], one: Callable[[str], T]) -> Dict[str, Optional[T]]:
    found: Dict[str, Optional[T]] = dict.fromkeys(names)

    def run(name: str) -> None:
        try:
            found[name] = one(name)
        except (OSError, NodeError, ValueError):
            return

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def replica(identifier: str, there: Doors) -> Look:
    """Raises OSError or NodeError where nobody can tell, as of one that does not run."""
    at, found = clock.boottime(), spec.applied_or_error(identifier)
    seen = docker.inspect(spec.container_name(identifier))
    if seen is None or not docker.running(seen):
        raise NodeError("stopped", "%s does not run" % identifier)
    ready = watch.health_of(spec.port(found), str(as_dict(found.get("health")).get("path") or "/health"))
    told = _asked(found, sent=bool(there))
    doors = sent_by(there, identifier)
    return Look(at, born(seen), ready, told.running, told.waiting, told.work, doors, told.first)


def born(seen: docker.Json) -> str:
    return "%s %s %s" % (clock.boot(), seen["Id"], as_dict(seen.get("State")).get("StartedAt", ""))


def sent_by(there: Doors, identifier: str) -> Dict[str, Optional[Door]]:
    return {name: None if door is None else _door(door, identifier) for name, door in there.items()}


def _door(door: counting.Door, identifier: str) -> Door:
    count = counting.of_replica(door, identifier)
    return Door(count.busy, count.total, door.born)


def _asked(found: Spec, sent: bool) -> Told:
    """`sent`: doors are here that count for an engine which does not."""
    answer = wire.get(spec.port(found), "/metrics", LIMIT_S)
    if answer is None:
        return SILENT
    if answer.status == 200:
        told = counters(answer.body.decode("utf-8", "replace"))
    elif answer.status in drain.NO_METRICS:
        told = COUNTS_NOTHING
    else:
        return SILENT
    return told if sent or told != COUNTS_NOTHING else SILENT


def counters(page: str) -> Told:
    """Of a page of metrics; one that names no requests is as none."""
    sums: Dict[str, float] = {}
    for name, value in wire.SAMPLE.findall(page):
        sums[name] = sums.get(name, 0.0) + float(value)
    running, waiting = (_first(sums, names) for names in (engines.RUNNING, engines.WAITING))
    work = tuple(sums[name] for name in engines.WORK if name in sums)
    if running is None and not work:
        return COUNTS_NOTHING
    return Told(running, waiting, work, firsts.parsed(page))


def _first(sums: Dict[str, float], names: Sequence[str]) -> Optional[int]:
    return next((int(sums[name]) for name in names if name in sums), None)


# by the gateway's door alone


def routes(there: Doors) -> Dict[str, Look]:
    """A look at each replica that the gateway here knows, wherever it runs, by what it was sent. Whether it is ready says
    its own host."""
    door = there.get(GATEWAY)
    if door is None:
        return {}
    at = clock.boottime()
    return {
        name: Look(at, GATEWAY, True, 0, 0, (), {GATEWAY: _door(door, name)})
        for name in counting.replicas(door)
    }


def queues(there: Doors) -> Dict[str, int]:
    door = there.get(GATEWAY)
    return {} if door is None else counting.queues(door)
