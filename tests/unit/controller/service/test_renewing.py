"""Who gets a successor: a rented machine that is too old, at work, where the controller may rent, and not in its hours."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.console.out import Out
from hostler.controller.holder_waking import WakeError
from hostler.controller.service.renewing import AGAIN_S, Renewing
from hostler.controller.service.rents import Rents
from hostler.controller.service.world import World
from hostler.leases.judging import Subject
from hostler.node.idle import looks
from hostler.node.idle.looks import Due, Policy, Verdict

POLICY = Policy(1800.0, "terminate", "", 43200.0, False, False)
OLD = Subject(
    kind="host", name="burst-0", host="burst-0", model="", verdict=Verdict(looks.BUSY, None, "2 requests"), boottime=1.0,
    policy=POLICY, due=Due(looks.REPLACE, "13.0 h old: to be replaced (2 requests)", 1.0),
)  # fmt: skip


def world(one: Subject, *, may: bool = True, parked: bool = False, now: float = 1000.0) -> World:
    found = SimpleNamespace(
        record=SimpleNamespace(gateway_host="door-1"), views={"door-1": SimpleNamespace(host="door-1")}, subjects=(one,),
        now=now, may_rent=lambda _: may, parked=lambda _: parked,
    )  # fmt: skip
    return cast("World", found)


class Asked:
    def __init__(self, error: Exception | None = None) -> None:
        self.rented: list[tuple[str, str]] = []
        self.said = StringIO()
        self._error = error
        self.it = Renewing(cast("Rents", self), Out(stderr=self.said))

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
    assert asked.look(world(OLD)) == ["burst-0"]
    assert asked.rented == [("door-1", "burst-0")]
    assert "another machine takes its place: 13.0 h old" in asked.said.getvalue()
    assert len(asked.look(world(OLD, now=1001.0))) == 1
    assert len(asked.look(world(OLD, now=1000.0 + AGAIN_S))) == 2


@pytest.mark.parametrize(
    ("one", "more", "renewed"),
    [
        (OLD, {"may": False}, False),
        (OLD, {"parked": True}, False),
        (replace(OLD, due=None), {}, False),
        (replace(OLD, due=Due("terminate", "", 1.0)), {}, False),
        (replace(OLD, policy=None), {}, False),
        (replace(OLD, policy=POLICY._replace(shadow=True)), {}, False),
        (replace(OLD, policy=POLICY._replace(hours="00:00-00:00")), {}, False),
        (replace(OLD, kind="replica"), {}, False),
        (replace(OLD, verdict=Verdict(looks.IDLE, 1.0, "")), {}, False),  # it is given back soon
        (replace(OLD, verdict=Verdict(looks.IDLE, 1.0, ""), policy=POLICY._replace(kept=True)), {}, True),
    ],
)
def test_which(one: Subject, more: dict[str, Any], renewed: bool) -> None:
    assert Asked().look(world(one, **more)) == (["burst-0"] if renewed else [])


def test_that_it_failed_is_said() -> None:
    asked = Asked(WakeError("its machine could not be rented: no capacity"))
    asked.look(world(OLD))
    assert "burst-0: its machine could not be rented: no capacity" in asked.said.getvalue()
