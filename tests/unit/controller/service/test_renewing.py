"""Who gets a successor: a rented machine that is too old, at work, where the controller may rent, and not in its hours."""

from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.console.out import Out
from hostler.controller.holder_waking import WakeError
from hostler.controller.service.renewing import AGAIN_S, LEFT_S, Renewing
from hostler.controller.service.rents import FailedError, Rents
from hostler.controller.service.world import World
from hostler.hosts import ways
from hostler.hosts.types import Slot
from hostler.leases.judging import Subject
from hostler.node.idle import looks
from hostler.node.idle.looks import Due, Policy, Verdict

POLICY = Policy(1800.0, "terminate", "", 43200.0, False, False)
OLD = Subject(
    kind="host", name="burst-0", host="burst-0", model="", verdict=Verdict(looks.BUSY, None, "2 requests"), boottime=1.0,
    policy=POLICY, due=Due(looks.REPLACE, "13.0 h old: to be replaced (2 requests)", 1.0),
)  # fmt: skip
HOUR_S = 3600.0


def slot(state: Any = "wanted", hours: float | None = 13.0, machine: str = "i-1") -> Slot:
    since = None if hours is None else time.time() - hours * HOUR_S
    return Slot(name="burst-0", pool="burst", state=state, since=since, machine=machine)


def world(
    one: Subject, first: Slot | None = None, *, may: bool = True, now: float = 1000.0, journal: Any = None
) -> World:
    there = first or slot()
    found = SimpleNamespace(
        record=SimpleNamespace(gateway_host="door-1", slots={"burst-0": there}, journal=journal),
        views={"door-1": SimpleNamespace(host="door-1")}, subjects=(one,), now=now, may_rent=lambda _: may,
        parked=lambda _: there.state == "parked", slot=lambda _: there,
    )  # fmt: skip
    return cast("World", found)


class Asked:
    def __init__(self, error: Exception | None = None, busy: bool = False) -> None:
        self.rented: list[tuple[str, str]] = []
        self.said = StringIO()
        self._error = error
        self.it = Renewing(cast("Rents", self), Out(stderr=self.said), lambda: busy)

    def rent(self, home: Any, slot: str, serves: Any) -> None:
        assert not serves()
        self.rented.append((home, slot))
        if self._error:
            raise self._error

    def look(self, world: World) -> list[str]:
        self.it.look(world)
        if self.it._thread:
            self.it._thread.join(10)
        return [slot for _, slot in self.rented]


def test_one_that_works_gets_a_successor_once() -> None:
    asked = Asked()
    assert asked.look(world(OLD)) == ["renew.burst-0"]
    assert asked.rented == [("door-1", "renew.burst-0")]
    assert "another machine takes its place: 13.0 h old (2 requests)" in asked.said.getvalue()
    assert len(asked.look(world(OLD, now=1001.0))) == 1
    assert len(asked.look(world(OLD, now=1000.0 + AGAIN_S))) == 2


def test_wakes_come_first() -> None:
    """It would keep them waiting until the other one serves, and this one is drained."""
    assert Asked(busy=True).look(world(OLD)) == []


@pytest.mark.parametrize(
    ("one", "more", "renewed"),
    [
        (OLD, {"may": False}, False),
        (OLD, {"first": slot("parked")}, False),
        (OLD, {"first": slot("retiring")}, False),
        (OLD, {"first": slot(hours=11.0)}, False),
        (OLD, {"first": slot(hours=None)}, False),
        (replace(OLD, due=None), {}, True),  # it was booted, and is no younger for that
        (replace(OLD, due=Due("terminate", "", 1.0)), {}, False),
        (replace(OLD, policy=None), {}, False),
        (replace(OLD, policy=POLICY._replace(max_age_s=0.0)), {}, False),
        (replace(OLD, policy=POLICY._replace(shadow=True)), {}, False),
        (replace(OLD, policy=POLICY._replace(hours="00:00-00:00")), {}, False),
        (replace(OLD, kind="replica"), {}, False),
        (replace(OLD, verdict=Verdict(looks.IDLE, 1.0, "")), {}, False),  # it is given back soon
        (replace(OLD, verdict=Verdict(looks.IDLE, 1.0, ""), policy=POLICY._replace(kept=True)), {}, True),
    ],
)
def test_which(one: Subject, more: dict[str, Any], renewed: bool) -> None:
    assert Asked().look(world(one, **more)) == (["renew.burst-0"] if renewed else [])


def test_what_nobody_brought_to_its_end_is() -> None:
    """Whoever began it was killed: the machine costs, and nobody uses it."""
    asked, goes = Asked(), slot("retiring", 1.0)
    assert asked.look(world(OLD, goes)) == []
    assert asked.look(world(OLD, goes, now=1000.0 + LEFT_S)) == ["renew.burst-0"]
    assert (
        len(asked.look(world(OLD, goes, now=1000.0 + 9 * LEFT_S))) == 1
    )  # it has ended, though the record has it
    again = slot("retiring", 1.0, "i-2")
    assert len(asked.look(world(OLD, again, now=1000.0 + 9 * LEFT_S))) == 1
    assert len(asked.look(world(OLD, again, now=1000.0 + 10 * LEFT_S))) == 2


def test_one_that_was_tried_in_vain_is_seen_to_its_end_later() -> None:
    """It needed none when it was asked; then one was begun, and whoever did that was killed."""
    asked, begun = Asked(), 1000.0 + AGAIN_S
    asked.look(world(OLD))
    asked.look(world(OLD, slot("retiring"), now=begun))
    assert len(asked.look(world(OLD, slot("retiring"), now=begun + LEFT_S))) == 2
    asked.look(world(OLD, slot(hours=1.0), now=begun + 2 * LEFT_S))  # it went back, and later on again
    asked.look(world(OLD, slot("retiring"), now=begun + 3 * LEFT_S))
    assert len(asked.look(world(OLD, slot("retiring"), now=begun + 4 * LEFT_S))) == 3


def test_what_failed_is_tried_again() -> None:
    asked, goes = Asked(FailedError("no capacity")), slot("retiring", 1.0)
    asked.look(world(OLD, goes))
    assert len(asked.look(world(OLD, goes, now=1000.0 + LEFT_S))) == 1
    assert len(asked.look(world(OLD, goes, now=1000.0 + LEFT_S + AGAIN_S))) == 2


@pytest.mark.parametrize(("who", "asks"), [("anna@desk", 0), (f"{ways.ACCOUNT}@door", 1)])
def test_what_people_are_at_is_theirs(who: str, asks: int) -> None:
    asked, journal = Asked(), SimpleNamespace(who=who)
    for now in (1000.0, 1000.0 + LEFT_S):
        asked.look(world(OLD, slot("retiring"), now=now, journal=journal))
    assert len(asked.rented) == asks


def test_that_it_failed_is_said() -> None:
    asked = Asked(WakeError("its machine could not be rented: no capacity"))
    asked.look(world(OLD))
    assert "burst-0: its machine could not be rented: no capacity" in asked.said.getvalue()
