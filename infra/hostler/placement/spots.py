"""Which cards of one host a replica would take: those with room, of one kind where tensor parallel needs it.

By layers: least left over (in whole GiB, so that a desktop's few hundred MiB decide nothing), then the
best links; tensor parallel: the best links, then least left over (links.py says why). One card alone: least
left over, and rather one that has no bridge to a card that is as free.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hostler.models.memory import as_gib
from hostler.models.rooms import Room
from hostler.models.types import Wanted
from hostler.placement.links import Matrix, groups, matrix_of

GIB = 1024  # in MiB


class Spot(NamedTuple):
    """Cards by their positions (none: main memory), MiB on each, and how good it is: lower is better."""

    host: str
    at: tuple[int, ...]
    each: int
    left: int
    grade: tuple[int, ...]


@dataclass(slots=True)
class Shelf:
    """A host's room while replicas are placed: `free` MiB by the position of a card, `memory` of main memory."""

    room: Room
    free: list[int]
    memory: int
    matrix: Matrix
    kinds: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, room: Room) -> Shelf:
        return cls(
            room,
            room.free,
            room.memory_mib,
            matrix_of([card.uuid for card in room.cards], room.links),
            tuple((card.name, card.memory_mib) for card in room.cards),
        )

    def take(self, at: Sequence[int], each: int) -> None:
        """Less than nothing: gives back."""
        for position in at:
            self.free[position] -= each
        if not at:
            self.memory -= each


def best(one: Wanted, shelf: Shelf) -> Spot | None:
    """On the fewest cards that hold it."""
    if closed(one, shelf):
        return None
    if one.in_memory:
        return _in_memory(one, shelf)
    for count in one.possible(len(shelf.free)):
        each = one.need.per_card(count)
        found = [_best(one, shelf, each, count, fit) for fit in _fitting(one, shelf, each, count)]
        if found:
            return min(found, key=lambda spot: (spot.grade, spot.at))
    return None


def every(one: Wanted, shelf: Shelf) -> Iterator[Spot]:
    """All that differ in what they leave free; of those that leave the same, the best linked."""
    if closed(one, shelf):
        return
    if one.in_memory:
        spot = _in_memory(one, shelf)
        if spot:
            yield spot
        return
    for count in one.possible(len(shelf.free)):
        each = one.need.per_card(count)
        for fit in _fitting(one, shelf, each, count):
            known: set[tuple[tuple[tuple[str, int], int], ...]] = set()
            for worst, total, at in groups(shelf.matrix, fit, count):
                takes = tuple(sorted((shelf.kinds[n], shelf.free[n]) for n in at))
                if takes not in known:
                    known.add(takes)
                    yield _spot(one, shelf, each, (worst, total, at))


def closed(one: Wanted, shelf: Shelf) -> str:
    """Why nothing of the model can be here whatever is free; empty: it can."""
    room = shelf.room
    if room.gone:
        return f"cannot be reached: {room.gone}"
    if one.in_memory:
        return ""
    if room.blocked:
        return room.blocked
    if not room.cards:
        return "has no card"
    if one.cards and one.counts and one.cards not in one.counts:
        return f"{_cards(one.cards)} are asked for; the model can be divided among {_any(one.counts)}"
    if one.cards and one.cards > len(room.cards):
        return f"has {_cards(len(room.cards))}; {one.cards} are asked for"
    if not one.possible(len(room.cards)):
        return f"has {_cards(len(room.cards))}; the model can be divided among {_any(one.counts)}"
    return ""


def refusals(one: Wanted, shelf: Shelf) -> list[tuple[str, str]]:
    """Why `best` finds nothing: a line for the host, or one for each card that is too full."""
    why = closed(one, shelf)
    if why:
        return [(shelf.room.host, why)]
    if one.in_memory:
        need, free = one.need.per_card(0), max(0, shelf.memory)
        return [
            (shelf.room.host, f"needs {need} MiB ({as_gib(need)}) of main memory; {free} MiB may be used")
        ]
    count = one.possible(len(shelf.free))[-1]
    each = one.need.per_card(count)
    on = "" if count == 1 else f" on each of {count} cards"
    lines = [
        (
            f"{shelf.room.host} card {card.index} {card.name}",
            f"needs {each} MiB ({as_gib(each)}){on}; {free} of {card.memory_mib} MiB may be used"
            + (f" ({card.note})" if card.note else ""),
        )
        for card, free in zip(shelf.room.cards, shelf.free, strict=True)
        if free < each
    ]
    return lines or [
        (shelf.room.host, f"has no {count} cards of one kind with {each} MiB ({as_gib(each)}) free on each")
    ]


def _in_memory(one: Wanted, shelf: Shelf) -> Spot | None:
    each = one.need.per_card(0)
    left = shelf.memory - each
    # hosts with cards last: their main memory is for what their cards run
    return None if left < 0 else Spot(shelf.room.host, (), each, left, (bool(shelf.free), left))


def _fitting(one: Wanted, shelf: Shelf, each: int, count: int) -> list[tuple[int, ...]]:
    """Positions of cards with room, where there are enough; with tensor parallel those of each kind apart."""
    fit = [at for at, free in enumerate(shelf.free) if free >= each]
    if len(fit) < count:
        return []
    if one.parallel == "layers" or count == 1:
        return [tuple(fit)]
    by_kind: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for at in fit:
        by_kind[shelf.kinds[at]].append(at)
    return [tuple(same) for same in by_kind.values() if len(same) >= count]


def _best(one: Wanted, shelf: Shelf, each: int, count: int, fit: tuple[int, ...]) -> Spot:
    if count == 1:
        return _single(one, shelf, each, fit)
    tensor = one.parallel == "tensor"
    tight = sorted(fit, key=lambda at: shelf.free[at])[:count]
    least = sum(shelf.free[at] for at in tight) - each * count
    first, *others = groups(shelf.matrix, fit, count)  # the best linked first
    if not others or first[:2] == others[-1][:2]:  # all the same
        return _spot(one, shelf, each, (*first[:2], tuple(sorted(tight))))
    found, linked = _spot(one, shelf, each, first), first[:2]
    for group in others:
        if group[:2] != linked and (tensor or found.left // GIB == least // GIB):
            break  # none that comes can be better
        spot = _spot(one, shelf, each, group)
        if (spot.grade, spot.at) < (found.grade, found.at):
            found, linked = spot, group[:2]
    return found


def _single(one: Wanted, shelf: Shelf, each: int, fit: tuple[int, ...]) -> Spot:
    least = min(shelf.free[at] for at in fit)
    same = [at for at in fit if shelf.free[at] == least]
    if len(same) > 1:
        same.sort(key=lambda at: (-_bridge(shelf, at), at))
    return _spot(one, shelf, each, (0, 0, (same[0],)))


def _bridge(shelf: Shelf, at: int) -> int:
    """The cost of its best link to a card that is as free: what a larger replica might want whole."""
    free = shelf.free
    return min(
        (price for other, price in enumerate(shelf.matrix[at]) if other != at and free[other] >= free[at]),
        default=1000,
    )


def _spot(one: Wanted, shelf: Shelf, each: int, group: tuple[int, int, tuple[int, ...]]) -> Spot:
    worst, total, at = group
    left = sum(shelf.free[n] for n in at) - each * len(at)
    if len(at) == 1:
        grade = (left,)
    elif one.parallel == "tensor":
        grade = (worst, total, left)
    else:
        grade = (left // GIB, worst, total, left)
    return Spot(shelf.room.host, at, each, left, grade)


def _cards(count: int) -> str:
    return f"{count} card{'s' * (count != 1)}"


def _any(counts: Sequence[int]) -> str:
    words = [str(count) for count in counts]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
