"""Hosts as a probe sees them, for the tests of what `init` proposes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hostler.hosts.types import Card, Driver, Seen
from hostler.proposal.proposal import Found
from unit.models.test_rooms import FACTS

GIB = 2**30
RTX_3090 = "NVIDIA GeForce RTX 3090"


def cards(count: int, memory: int = 24576, used: int = 0, name: str = RTX_3090) -> tuple[Card, ...]:
    return tuple(
        Card(index=n, uuid=f"G{n}", name=name, memory_mib=memory, used_mib=used) for n in range(count)
    )


def found(address: str, *there: Card, ram: int = 64, disk: int = 1000, **facts: Any) -> Found:
    """`ram` and `disk` in GiB. Cards of two hosts differ."""
    own = tuple(replace(card, uuid=f"{address}-{at}", index=at) for at, card in enumerate(there))
    driver = Driver(state="working", version="580.95.05") if there else Driver(state="none")
    more = {"driver": driver, "memory": ram * GIB, "disk_free": disk * GIB, **facts}
    return Found(
        address=address, seen=Seen(host=address, at=0, seconds=0, facts=replace(FACTS, cards=own, **more))
    )
