"""Slots of rented pools as rows: what each has, or that it is parked. Money of now is `plan`'s to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostler.cloud.types import Rented
from hostler.console.out import Out
from hostler.hosts.types import Slot

HEADS = ("SLOT", "POOL", "STATE", "MACHINE", "MARKET", "ZONE", "INSTANCE", "ADDRESS")
NONE = "-"


def rows(slots: Mapping[str, Slot], rented: Mapping[str, Rented]) -> list[dict[str, Any]]:
    """`state`: that of the slot, and of its machine where it is not running (or not there)."""
    return [_row(slot, rented.get(name)) for name, slot in slots.items()]


def _row(slot: Slot, machine: Rented | None) -> dict[str, Any]:
    has = machine.candidate if machine else None
    there = machine.state if machine else ("" if slot.state == "parked" else "not rented")
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
