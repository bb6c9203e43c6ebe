"""A search for when taking the best spot for one replica after the other leaves some without: branch and bound,
with a limit. What stands already is not moved for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from hostler.models.types import Wanted
from hostler.placement.board import Board
from hostler.placement.spots import Shelf, Spot, every

WORK = 20_000  # spots looked at: about half a second
DEEP = 200  # replicas


def pack(lacking: Sequence[Wanted], board: Board) -> list[Spot] | None:
    """A spot for each, one entry a replica, or None: there is no way, or none was found within the limit.
    The board is as before."""
    pools = {pool for one in lacking for pool in one.pool}
    shelves = [shelf for shelf in board.shelves.values() if shelf.room.pool in pools and not shelf.room.gone]
    if len(lacking) > DEEP or len(lacking) * len(shelves) > WORK:
        return None
    search = _Search(lacking, board, shelves)
    return search.spots if search.fill(0) else None


def apart(wanted: Sequence[Wanted]) -> list[set[str]]:
    """Models in groups that share no pool: one that cannot be solved hinders no other. Those in main memory
    are apart from those on cards."""
    found: list[tuple[set[tuple[bool, str]], set[str]]] = []
    for one in wanted:
        places, models = {(one.in_memory, pool) for pool in one.pool}, {one.model}
        for group in [group for group in found if group[0] & places]:
            found.remove(group)
            places, models = places | group[0], models | group[1]
        found.append((places, models))
    return [models for _, models in found]


@dataclass(slots=True)
class _Search:
    lacking: Sequence[Wanted]
    board: Board
    shelves: Sequence[Shelf]
    work: int = WORK
    spots: list[Spot] = field(default_factory=list[Spot])
    dead: set[tuple[int, frozenset[object]]] = field(default_factory=set[tuple[int, frozenset[object]]])
    least: list[int] = field(default_factory=list[int])  # MiB that those from here on take at least

    def __post_init__(self) -> None:
        most = max((len(shelf.free) for shelf in self.shelves), default=0)
        self.least = [0]
        for one in reversed(self.lacking):
            counts = [0] if one.in_memory else one.possible(most)
            self.least.insert(0, self.least[0] + min((one.need.total(n) for n in counts), default=0))

    def fill(self, depth: int) -> bool:
        """Whether all from `depth` on find room; then `spots` has it. The shelves are as before."""
        if depth == len(self.lacking):
            return True
        if self.work <= 0 or self._short(depth):
            return False
        state = (depth, self._state())
        if state in self.dead:
            return False
        one = self.lacking[depth]
        for spot in self._spots(one):
            if self._try(one, spot, depth):
                return True
            if self.work <= 0:
                return False
        self.dead.add(state)
        return False

    def _spots(self, one: Wanted) -> list[Spot]:
        found = (spot for shelf in self.shelves if shelf.room.pool in one.pool for spot in every(one, shelf))
        ranked = sorted(found, key=lambda spot: (self.board.rank(one, spot), spot.at))
        self.work -= 1 + len(ranked)
        return ranked

    def _try(self, one: Wanted, spot: Spot, depth: int) -> bool:
        shelf, key = self.board.shelves[spot.host], (one.model, spot.host)
        shelf.take(spot.at, spot.each)
        self.board.beside[key] += 1
        self.spots.append(spot)
        done = self.fill(depth + 1)
        shelf.take(spot.at, -spot.each)
        self.board.beside[key] -= 1
        if not done:
            self.spots.pop()
        return done

    def _short(self, depth: int) -> bool:
        one = self.lacking[depth]  # a group is all on cards or all in main memory
        if one.in_memory:
            return self.least[depth] > sum(max(0, shelf.memory) for shelf in self.shelves)
        return self.least[depth] > sum(max(0, free) for shelf in self.shelves for free in shelf.free)

    def _state(self) -> frozenset[object]:
        """What decides whether the rest fits: hosts, and cards of a host, that are alike may change places."""
        alike: defaultdict[object, int] = defaultdict(int)
        for shelf in self.shelves:
            room = shelf.room
            cards = tuple(sorted(zip(shelf.kinds, shelf.free, strict=True)))
            alike[room.pool, room.blocked, shelf.memory, cards] += 1
        return frozenset(alike.items())
