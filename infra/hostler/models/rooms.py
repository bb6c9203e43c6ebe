"""What each host has to offer: cards and main memory that are free of others, in MiB. Pure.

A replica's own memory counts as free: it is there for it, or for its successor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hostler.hosts.types import Card, Facts, Host, Seen
from hostler.models.types import Replica

MIB = 2**20
SYSTEM_MIB = 1024  # of main memory, left to the system at least


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRoom:
    """One card; `free_mib` is what ours may use, `note` what takes the rest."""

    uuid: str
    index: int
    name: str
    memory_mib: int
    free_mib: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One host. `gone` not empty: it cannot be reached; what stood there stays placed. `blocked` not
    empty: it can, but takes no replica on cards (its driver does not work)."""

    host: str
    pool: str
    gone: str = ""
    blocked: str = ""
    cards: tuple[CardRoom, ...] = ()
    memory_mib: int = 0  # of main memory, without the system's part
    links: tuple[tuple[str, str, str], ...] = ()  # card, card, NV4 | PIX | ... by UUID

    @property
    def free(self) -> list[int]:
        return [card.free_mib for card in self.cards]


def rooms_of(hosts: Iterable[Host], seen: Mapping[str, Seen], previous: Sequence[Replica] = ()) -> list[Room]:
    """One room for each host, in the order of the stack file."""
    ours = _ours(previous)
    return [_room(host, seen.get(host.name), ours) for host in hosts]


def _ours(previous: Sequence[Replica]) -> Mapping[str, int]:
    """MiB that our own replicas should take on each card, from the record."""
    taken: defaultdict[str, int] = defaultdict(int)
    for replica in previous:
        for member in replica.members:
            for uuid in member.cards:
                taken[uuid] += -(-replica.need_mib // max(1, len(member.cards)))
    return taken


def _room(host: Host, seen: Seen | None, ours: Mapping[str, int]) -> Room:
    if seen is None or seen.facts is None:
        reason = seen.error if seen and seen.error else "it was not probed"
        return Room(host=host.name, pool=host.pool, gone=reason)
    facts = seen.facts
    memory = facts.memory // MIB
    return Room(
        host=host.name,
        pool=host.pool,
        blocked=_blocked(facts),
        cards=tuple(_card(card, facts, ours.get(card.uuid, 0)) for card in facts.cards),
        memory_mib=max(0, memory - max(SYSTEM_MIB, memory // 10)),
        links=facts.links,
    )


def _blocked(facts: Facts) -> str:
    if facts.driver.state in ("none", "working"):
        return ""
    words = {"broken": "does not answer", "missing": "is not installed", "mismatch": "waits for a reboot"}
    return f"NVIDIA's driver {words[facts.driver.state]}"


def _card(card: Card, facts: Facts, expected_mib: int) -> CardRoom:
    used = card.used_mib or 0
    on_card = [process for process in facts.processes if process.card == card.uuid]
    mine = [process.used_mib for process in on_card if process.ours]
    known = [amount for amount in mine if amount is not None]
    # the driver may not tell what a process in a container uses: then what the record expects there
    own = sum(known) if known and len(known) == len(mine) else expected_mib
    foreign = sum(process.used_mib or 0 for process in on_card if not process.ours)
    taken = max(foreign, used - min(own, used))
    names = sorted({process.name for process in on_card if not process.ours})
    note = f"{taken} MiB taken by {', '.join(names) or 'others'}" if taken else ""
    return CardRoom(
        uuid=card.uuid,
        index=card.index,
        name=card.name,
        memory_mib=card.memory_mib,
        free_mib=max(0, card.memory_mib - taken),
        note=note,
    )
