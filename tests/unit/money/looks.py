"""Looks, short: a rented machine in USD, an owned one in EUR, and the ledger that a row of looks makes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hostler.codec import decode, encode
from hostler.money import metering
from hostler.money.looks import Draw, Look, Machine
from hostler.money.metering import State
from hostler.money.rows import Rate, Row

T0 = 1_793_520_000  # 2026-11-01 08:00 UTC: a slot's start, an hour's start
USD = Rate(amount=1.2, currency="USD", source="AWS price list, 2026-11-01")
DISK = Rate(amount=0.02, currency="USD", source="AWS's page of EBS prices, June 2025")
ADDRESS = Rate(amount=0.005, currency="USD", source="AWS's page of VPC prices, June 2025")
EUR = Rate(amount=0.3, currency="EUR", source="pools.rack.power.price")
DARK = Rate(amount=None, currency="USD", source="not permitted")


def rented(**changes: Any) -> Machine:
    there = Machine(
        name="burst-0", pool="burst", owned=False, born="i-1 100", market="on-demand", price=USD, disk=DISK,
        address=ADDRESS, models={"chat": 1.0},
    )  # fmt: skip
    return replace(there, **changes)


def owned(watts: float | None = 100.0, **changes: Any) -> Machine:
    there = Machine(
        name="gpu-1", pool="rack", born="boot-1", cards={"GPU-a": Draw(watts=watts, limit=350.0)}, kwh=EUR,
        models={"chat": 1.0}, idle_w=50.0,
    )  # fmt: skip
    return replace(there, **changes)


def run(looks: Iterable[Look], state: State | None = None) -> State:
    """All of them; the state goes through JSON now and then, as one that was killed reads it. What would have been written
    meanwhile is at the end still to be written."""
    state = state or State()
    rows = list(state.unwritten)
    state = replace(state, unwritten=())
    for number, look in enumerate(looks):
        state = metering.tick(state, look)
        rows += state.unwritten
        state = metering.written(state, {row.id for row in state.unwritten})
        if number % 50 == 0:
            state = decode(State, json.loads(json.dumps(encode(state))))
    return decode(State, json.loads(json.dumps(encode(replace(state, unwritten=tuple(rows))))))


def ledger(state: State) -> tuple[Row, ...]:
    """What is written, and what will be."""
    return metering.under_way(state)


def cost(rows: Iterable[Row], kind: str = "", currency: str = "") -> float:
    return sum(
        row.cost or 0.0
        for row in rows
        if kind in ("", row.kind) and currency in ("", row.currency) and row.kind != "saved"
    )


def each(seconds: int, count: int, *machines: Machine, start: int = T0, **more: Any) -> list[Look]:
    """`count` looks, `seconds` apart."""
    return [Look(at=start + seconds * i, machines=machines, **more) for i in range(count)]
