"""What stands where while replicas are placed: the only thing that changes meanwhile."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from hostler.models.rooms import Room
from hostler.models.types import Replica, Wanted
from hostler.placement.spots import Shelf, Spot

Rank = tuple[int, int, tuple[int, ...], int]


@dataclass(slots=True)
class Board:
    """Hosts by name, so that their order in the stack file decides nothing."""

    shelves: dict[str, Shelf]
    order: dict[str, int]
    replicas: list[Replica] = field(default_factory=list[Replica])  # those that kept their place
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    former: dict[str, str] = field(default_factory=dict[str, str])  # replica: the place it left, and why
    beside: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    on_card: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list[str]))
    ports: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set[int]))

    @classmethod
    def of(cls, rooms: Sequence[Room], previous: Sequence[Replica]) -> Board:
        shelves = {room.host: Shelf.of(room) for room in sorted(rooms, key=lambda room: natural(room.host))}
        board = cls(shelves, {host: at for at, host in enumerate(shelves)})
        for replica in previous:  # a port is not given again while its former holder may still drain
            for member in replica.members:
                board.ports[member.host].add(member.port)
        return board

    def put(self, one: Wanted, replica: str, spot: Spot) -> None:
        self.shelves[spot.host].take(spot.at, spot.each)
        self.note(one.model, replica, spot.host, self.uuids(spot))

    def lift(self, one: Wanted, replica: str, spot: Spot) -> None:
        """As before it was put there."""
        self.shelves[spot.host].take(spot.at, -spot.each)
        self.beside[one.model, spot.host] -= 1
        for uuid in self.uuids(spot):
            self.on_card[uuid].remove(replica)

    def note(self, model: str, replica: str, host: str, cards: Sequence[str]) -> None:
        """That it is there, whatever it takes."""
        self.beside[model, host] += 1
        for uuid in cards:
            self.on_card[uuid].append(replica)

    def port(self, host: str, first: int) -> int:
        taken = self.ports[host]
        port = next(port for port in range(first, 65536) if port not in taken)
        taken.add(port)
        return port

    def of_pools(self, one: Wanted) -> list[Shelf]:
        return [shelf for shelf in self.shelves.values() if shelf.room.pool in one.pool]

    def uuids(self, spot: Spot) -> tuple[str, ...]:
        cards = self.shelves[spot.host].room.cards
        return tuple(cards[at].uuid for at in spot.at)

    def rank(self, one: Wanted, spot: Spot) -> Rank:
        """Lower is better: other hosts first, few cards, then what spots.py says; the name when all is the same."""
        return self.beside[one.model, spot.host], len(spot.at), spot.grade, self.order[spot.host]


def natural(host: str) -> list[tuple[int, str]]:
    """gpu-2 before gpu-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", host)]
