"""Slots of rented pools as rows: what each has, or that it is parked. Money of now is `plan`'s to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostler.cloud.types import Rented
from hostler.console.out import Out
from hostler.hosts.types import Slot

HEADS = ("SLOT", "POOL", "STATE", "MACHINE", "MARKET", "ZONE", "INSTANCE", "ADDRESS")
NONE = "-"
UNKNOWN = "unknown"


def rows(
    slots: Mapping[str, Slot], rented: Mapping[str, Rented], unknown: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """`state`: that of the slot, and of its machine where it is not running (or not there). `unknown`: all rented pools,
    where what is rented is not known: then machines are those of the last look."""
    if unknown is None:
        return [_row(slot, rented.get(name), "not rented") for name, slot in slots.items()]
    there = {slot.pool for slot in slots.values()}
    return [
        *(_row(slot, rented.get(name), UNKNOWN) for name, slot in slots.items()),
        *(_nothing(pool) for pool in unknown if pool not in there),
    ]


def _nothing(pool: str) -> dict[str, Any]:
    """Of a pool whose slots nobody told."""
    row = _row(Slot(name="", pool=pool), None, UNKNOWN)
    return {**row, "slot": None, "state": UNKNOWN}


def _row(slot: Slot, machine: Rented | None, without: str) -> dict[str, Any]:
    """`without`: the word for a machine that is not there."""
    has = machine.candidate if machine else None
    parked = slot.state == "parked" and without != UNKNOWN
    there = machine.state if machine else ("" if parked else without)
    return {
        "slot": slot.name,
        "pool": slot.pool,
        "state": slot.state + (f", {there}" if there not in ("", "running") else ""),
        "machine": has.instance if has else None,
        "market": has.market if has else None,
        "zone": has.zone if has else None,
        "instance": machine.id if machine else None,
        "address": machine.public_ip if machine else None,
    }


def show(found: Sequence[Mapping[str, Any]], out: Out) -> None:
    out.data("")
    out.table(HEADS, [[str(value or NONE) for value in row.values()] for row in found])
