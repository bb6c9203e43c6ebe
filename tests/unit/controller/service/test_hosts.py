"""Hosts as the service shows them: a stream that comes again is no silence, and what went on purpose is no alarm."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.controller.service import alarms
from hostler.controller.service.hosts import LOST_S, known, seen_of
from hostler.controller.service.world import World
from hostler.hosts.types import Host, Seen, Slot, Ssh
from hostler.leases.view import View
from hostler.record.types import Record
from worlds import configure_world

NOW, WALL = 1000.0, 1.8e9
HOST = Host(name="gpu-1", pool="rack", ssh=Ssh(address="gpu-1"))
ANSWER = Seen(host="gpu-1", at=WALL, seconds=0.1, facts=configure_world.facts(1))
GONE = {"do": "suspend", "at": WALL - 5}


def one(**words: Any) -> Seen:
    views = {"gpu-1": View(host=HOST, **words)} if words else {}
    world = World(file=configure_world.stack(), views=views, record=None, subjects=(), now=NOW)
    return seen_of([HOST], world, WALL)["gpu-1"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        pytest.param({}, "unknown", id="nobody was asked yet"),
        pytest.param({"at": 0.0}, "unknown", id="asked, and no answer yet"),
        pytest.param({"seen": ANSWER, "looked": {"at": 1.0}, "at": NOW - 1}, "", id="it answers"),
        pytest.param({"seen": ANSWER, "looked": {"at": 1.0}, "at": NOW - 5, "error": "ended"}, "", id="its stream comes again"),
        pytest.param(
            {"seen": ANSWER, "looked": {"at": 1.0}, "at": NOW - LOST_S - 1, "error": "no route"}, "timeout", id="lost"
        ),
        pytest.param({"error": "no route"}, "timeout", id="never reached"),
        pytest.param(
            {"seen": ANSWER, "looked": {"at": 1.0, "wall": WALL - 6, "end": GONE}, "at": NOW - 90, "error": "no route"},
            "suspended",
            id="suspended",
        ),
        pytest.param(
            {"seen": ANSWER, "looked": {"at": 1.0, "wall": WALL, "end": GONE}, "at": NOW - 90, "error": "no route"},
            "timeout",
            id="it was suspended once, and is lost now",
        ),
        pytest.param(
            {
                "seen": ANSWER,
                "looked": {"at": 1.0, "wall": WALL - 6, "end": {**GONE, "do": "terminate"}},
                "at": NOW - 90,
                "error": "no route",
            },
            "absent",
            id="it gave itself back",
        ),
    ],
)  # fmt: skip
def test_each(words: dict[str, Any], kind: str) -> None:
    found = one(**words)
    assert (found.error_kind, found.reached) == (kind, not kind)
    row = {"name": "gpu-1", "reached": found.reached, "error": found.error, "error_kind": kind, "next": ""}
    assert bool(alarms.on({"hosts": [row]})) is (kind == "timeout")


def test_a_slot_that_is_parked_is_no_host() -> None:
    burst = Host(name="burst-0", pool="burst", ssh=Ssh(address="203.0.113.9"), owned=False)
    names: dict[str, list[str]] = {}
    for state in ("wanted", "parked"):
        slots = {"burst-0": Slot(name="burst-0", pool="burst", state=state)}
        record = Record(uid="u", stack="office", hosts={"burst-0": burst}, slots=slots)
        names[state] = [host.name for host in known(configure_world.stack(), record)]
    assert set(names["wanted"]) - set(names["parked"]) == {"burst-0"}
