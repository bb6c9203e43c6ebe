"""Nothing is rented beside a budget that is used up, nor at a price that nobody knows."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.cloud.offer import Offer
from hostler.cloud.types import Price
from hostler.errors import RefusedError
from hostler.money.rows import HOURS, Row
from hostler.rollout import budgets, ledger
from hostler.rollout.ledger import Ledger
from hostler.rollout.observe import Observation
from worlds import configure_world as world
from worlds import rented_world as rented

KNOWN = Price(amount=1.2, source="AWS price list")
UNKNOWN = Price(amount=None, source="AWS did not say")
KEY = (rented.HAS.zone, rented.HAS.instance, rented.HAS.market)


def spent(amount: float) -> Row:
    now = time.time()
    return Row(
        id=f"host/burst-0@{now}", kind="host", host="burst-0", pool="burst", model="", key="", start=now - 60, end=now,
        amount=1.0, unit=HOURS, price=amount, currency="USD", cost=amount, basis="measured", source="AWS price list",
    )  # fmt: skip


def look(budget: str, price: Price = KNOWN, fill: tuple[str, ...] = ("burst-0",)) -> Observation:
    cloud = rented.cloud()
    cloud = replace(cloud, slots=replace(cloud.slots, slots=rented.SLOTS, fill=fill))
    offer = SimpleNamespace(choice=SimpleNamespace(candidates=(rented.HAS,)), prices={KEY: price})
    file = world.stack(rented.HYBRID + budget)
    found = SimpleNamespace(file=file, cloud=cloud, offers={"burst": cast(Offer, offer)})
    return cast(Observation, found)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    found: list[Row] = []
    read: Any = lambda *_: Ledger(rows=tuple(found))  # noqa: E731 - short
    monkeypatch.setattr(ledger, "read", read)
    return found


@pytest.mark.parametrize("price", [1.2, None])
def test_one_that_is_started_is_asked_of_it_too(rows: list[Row], price: float | None) -> None:
    """At the price that was written down; where nobody did, that it is used up is known all the same."""
    found = look("budget: {month: 100 USD}\n", fill=())
    machine = replace(rented.cloud().rented["burst-0"], state="stopped")
    slot = replace(rented.SLOTS["burst-0"], price=price, price_source="once")
    there = replace(rented.cloud(), rented={"burst-0": machine})
    there = replace(there, slots=replace(there.slots, slots={**rented.SLOTS, "burst-0": slot}))
    found.cloud = there  # type: ignore[misc]
    budgets.refuse(found)
    rows.append(spent(101.0))
    with pytest.raises(RefusedError, match=r"101% of 100 USD"):
        budgets.refuse(found)


def test_it_is_used_up(rows: list[Row]) -> None:
    rows.append(spent(99.0))
    budgets.refuse(look("budget: {month: 100 USD}\n"))
    rows.append(replace(spent(2.0), id="another"))
    with pytest.raises(RefusedError, match=r"101\.00 USD, 101% of 100 USD") as found:
        budgets.refuse(look("budget: {month: 100 USD}\n"))
    assert [problem.where for problem in found.value.problems] == ["burst-0"]
    budgets.refuse(look("budget: {month: 100 USD}\n", fill=()))  # what runs goes on
    budgets.refuse(look(""))


def test_a_price_that_nobody_knows(rows: list[Row]) -> None:
    with pytest.raises(RefusedError, match="is not known"):
        budgets.refuse(look("budget: {month: 100 USD}\n", UNKNOWN))
    budgets.refuse(look("", UNKNOWN))
    assert rows == []


def test_a_ledger_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Ledger(problems=("gpu-1: its part of the ledger cannot be read: no answer",))
    read: Any = lambda *_: found  # noqa: E731 - short
    monkeypatch.setattr(ledger, "read", read)
    with pytest.raises(RefusedError, match="cannot be read"):
        budgets.refuse(look("budget: {month: 100 USD}\n"))
    budgets.refuse(look(""))
