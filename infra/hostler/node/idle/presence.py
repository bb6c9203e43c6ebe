"""One look at the host itself: people, processes on its cards that are not ours, and what must not be cut."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..base import clock
from ..base.protocol import NodeError
from ..cards import cardfacts, gpus
from ..docker import docker
from . import people, tasks
from .looks import Presence

UID = "hostler.uid"  # label of our containers


class Cards(NamedTuple):
    """`foreign`: processes that are not ours, in words; None: the driver does not say. `power_w` by UUID."""

    foreign: Optional[List[str]]
    power_w: Dict[str, float]


NO_CARDS = Cards([], {})


class Seen(NamedTuple):
    """`told`: who or what is there, in words."""

    look: Presence
    told: Tuple[str, ...]
    power_w: Dict[str, float]


def look(run: str = "") -> Seen:
    """`run`: whose own doings are no task."""
    at = clock.boottime()
    there = on_cards()
    sessions: Optional[List[str]] = None
    works: Optional[List[str]] = None
    try:
        there_are = people.table()
        sessions = people.sessions(there_are)
        works = tasks.look(there_are, run)
    except (OSError, ValueError, NodeError):
        pass
    found = Presence(
        at,
        clock.resumed(),
        None if sessions is None else len(sessions),
        None if there.foreign is None else len(there.foreign),
        None if works is None else tuple(works),
    )
    return Seen(found, (*(sessions or ()), *(there.foreign or ()), *(works or ())), there.power_w)


def on_cards() -> Cards:
    if not gpus.count_on_bus() and not gpus.present():
        return NO_CARDS
    asked, apps = gpus.ask(gpus.query("gpu", ("uuid", "power.draw")), gpus.query("compute-apps", gpus.APP))
    power = _power(asked.stdout) if asked.ok else {}
    if not apps.ok:
        return Cards(None, power)
    try:
        own = [(str(one["Id"]), UID) for one in docker.containers(UID)]
    except (OSError, NodeError):
        return Cards(None, power)
    found = gpus.owned(gpus.parse_apps(apps.stdout), own)
    return Cards([_words(one) for one in found if not one["ours"]], power)


def _words(process: Dict[str, Any]) -> str:
    return "%s (process %d) on a card" % (process["name"], process["pid"])


def _power(said: str) -> Dict[str, float]:
    rows = (line.split(",") for line in said.splitlines())
    pairs = ((row[0].strip(), cardfacts.real(row[1].strip())) for row in rows if len(row) == 2)
    return {uuid: watts for uuid, watts in pairs if watts is not None}
