"""What hosts cost, from what is seen of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.hosts.types import Card, Host, Seen, Slot, Ssh
from hostler.models.types import Member, Replica
from hostler.money import metering
from hostler.money.looks import Machine
from hostler.rollout import costs
from worlds import configure_world as world
from worlds import rented_world

PRICED = world.STACK.replace(
    "user: ops}]}", "user: ops}], power: {price: 0.32 EUR/kWh, idle: 80 W}}"
)  # of both hosts
CARD = Card(index=0, uuid="GPU-1", name="RTX 3090", memory_mib=24576, power_w=220.0, power_limit_w=350.0)
SLOT = Slot(
    name="burst-0", pool="burst", disk_gib=100, machine="i-1", region="eu-central-1", zone="eu-central-1a",
    market="spot", price=0.4, price_source="spot price history of eu-central-1a, 14:05 UTC", since=500.0,
)  # fmt: skip
STOPPED = replace(SLOT, state="parked", given_back=True, stopped=True)
BURST = Host(name="burst-0", pool="burst", ssh=Ssh(address="203.0.113.9"), owned=False)


def replica(model: str, host: str, *cards: str) -> Replica:
    one = world.placement(host).replicas[0]
    return replace(one, model=model, members=(replace(one.members[0], host=host, cards=cards),))


@pytest.mark.parametrize(
    ("cards", "replicas", "expected"),
    [
        (4, [("chat", "a"), ("small", "b")], {"chat": 0.25, "small": 0.25}),
        (1, [("chat", "a"), ("small", "a")], {"chat": 0.5, "small": 0.5}),  # two on one card
        (1, [("chat", "a"), ("tiny",)], {"chat": 1.0}),
        (0, [("chat",), ("tiny",)], {"chat": 0.5, "tiny": 0.5}),
        (2, [("chat", "a"), ("chat", "b")], {"chat": 1.0}),
        (2, [], {}),
    ],
    ids=["half of it", "one card", "one without", "no cards", "two of a model", "none"],
)
def test_shares(cards: int, replicas: list[tuple[str, ...]], expected: dict[str, float]) -> None:
    found = costs.shares("gpu-1", cards, [replica(one[0], "gpu-1", *one[1:]) for one in replicas])
    assert found == expected
    assert Member is type(replica("chat", "gpu-1").members[0])


def machine(seen: Seen | None, slot: Slot | None = SLOT, rented: Any = None) -> Machine:
    slots = {"burst-0": slot} if slot else {}
    stack = world.stack(rented_world.HYBRID).stack
    known = {"burst-0": seen} if seen else {}
    return costs.machines(stack, [BURST], known, [], slots, rented=rented)[0]


UP = world.bare(3, host="burst-0")
THERE = rented_world.cloud().rented


def test_an_owned_host_costs_its_electricity() -> None:
    stack = world.stack(PRICED).stack
    seen = {"gpu-1": world.bare(1, facts=world.facts(1, cards=(CARD,))), "gpu-2": world.dead(2)}
    first, second = costs.machines(stack, world.hosts(), seen, [replica("chat", "gpu-1", "GPU-1")], {})
    assert (first.state, second.state) == ("running", "unknown")
    assert first.models == {"chat": 1.0}
    rows = metering.hour_of(first)
    assert [row.amount for row in rows] == pytest.approx([0.22, 0.08])
    assert {row.basis for row in rows} == {"estimated"}  # by one look
    assert not any("meter" in row.source for row in rows)
    assert sum(row.cost or 0 for row in rows) == pytest.approx(0.3 * 0.32)
    assert metering.hour_of(second) == ()


def test_one_that_was_suspended_draws_nothing() -> None:
    stack = world.stack(PRICED).stack
    found = costs.machines(stack, world.hosts(), {"gpu-1": world.dead(1)}, [], {}, off={"gpu-1"})
    assert found[0].state == "stopped"
    assert metering.hour_of(found[0]) == ()


@pytest.mark.parametrize(
    ("meters", "expected"),
    [
        ({"gpu-1": 410.0}, [(0.41, "its meter, at the wall")]),
        ({"gpu-1": None}, [(0.22, "measured at the cards; power.meter said no watts")]),
        (None, [(0.22, "measured at the cards; power.meter was not asked: the controller asks it")]),
    ],
    ids=["told", "fails", "not asked"],
)
def test_a_meter_is_taken_or_missed(
    meters: dict[str, float | None] | None, expected: list[tuple[float, str]]
) -> None:
    stack = world.stack(PRICED.replace("idle: 80 W", "meter: cat x")).stack
    seen = {"gpu-1": world.bare(1, facts=world.facts(1, cards=(CARD,)))}
    found = costs.machines(stack, world.hosts(), seen, [], {}, meters=meters)
    rows = [row for row in metering.hour_of(found[0]) if row.amount is not None]
    assert [(row.amount, row.source.partition("one look; ")[2]) for row in rows] == expected
    assert {row.basis for row in rows} == {"estimated"}


def test_a_rented_one_costs_what_was_written_down_when_it_was_rented() -> None:
    found = machine(UP)
    rows = {row.kind: row for row in metering.hour_of(found)}
    assert (rows["host"].cost, rows["host"].currency) == (0.4, "USD")
    assert rows["host"].source == "spot; spot price history of eu-central-1a, 14:05 UTC"
    assert rows["disk"].cost == pytest.approx(100 * 0.0952 / 730)
    assert rows["address"].cost == pytest.approx(0.005)
    assert (found.born, found.since) == ("i-1 500.0", 500.0)


@pytest.mark.parametrize("slot", [None, replace(SLOT, price=None), replace(SLOT, machine="i-0")], ids=str)
def test_a_price_that_nobody_wrote_down_is_unknown(slot: Slot | None) -> None:
    found = machine(UP, slot, rented=THERE)
    assert found.price.amount is None
    assert found.price.source


@pytest.mark.parametrize(
    ("seen", "slot", "rented", "state"),
    [
        (UP, SLOT, None, "running"),
        (None, SLOT, None, "unknown"),
        (None, replace(SLOT, state="parked"), None, "gone"),
        (None, SLOT, THERE, "running"),  # AWS says so
        (UP, SLOT, {}, "gone"),
        (None, SLOT, {"burst-0": replace(THERE["burst-0"], state="stopped")}, "stopped"),
        (None, SLOT, {"burst-0": replace(THERE["burst-0"], state="")}, "unknown"),
        (None, STOPPED, None, "stopped"),  # by the record alone
        (UP, STOPPED, None, "running"),
        (None, STOPPED, THERE, "running"),  # somebody started it
        (None, STOPPED, {}, "gone"),  # or ended it
    ],
    ids=[
        "answers",
        "silent",
        "parked",
        "there",
        "not there",
        "stopped",
        "never asked",
        "kept",
        "woken",
        "started",
        "ended",
    ],
)
def test_states(seen: Seen | None, slot: Slot, rented: Any, state: str) -> None:
    assert machine(seen, slot, rented).state == state
