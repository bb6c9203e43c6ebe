"""Placement in words: why this host, why these cards, why it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from hostler.models.rooms import Room
from hostler.models.types import Member, Wanted
from hostler.placement.board import Board, Rank
from hostler.placement.links import cost
from hostler.placement.spots import Shelf, Spot


def why_new(one: Wanted, spot: Spot, offers: Mapping[str, tuple[Rank, Spot]], board: Board) -> str:
    """`offers`: the best spot of each host that has one, this one among them."""
    words = [_why_host(one, spot, offers), *_about_cards(spot, board)]
    return "; ".join(word for word in words if word)


def why_searched(spot: Spot, board: Board) -> str:
    return "; ".join(["so that all find room", *_about_cards(spot, board)])


def why_kept(room: Room) -> str:
    if room.gone:
        return f"keeps its place: the host cannot be reached: {room.gone}"
    return f"keeps its place: {room.blocked}" if room.blocked else "keeps its place"


def why_not_kept(one: Wanted, member: Member, shelf: Shelf | None, at: Sequence[int] | None) -> str:
    """Empty: it may stay. `at`: the positions of its cards, None where one is not seen."""
    if shelf is None:
        return "no longer a host of the stack"
    room, count = shelf.room, len(member.cards)
    if room.pool not in one.pool:
        return f"its pools are {', '.join(one.pool)}"
    if bool(count) == one.in_memory:
        return "runs in main memory now" if one.in_memory else "runs on cards now"
    if one.cards and not one.in_memory and one.cards != count:
        return f"{_cards_are(one.cards)} asked for, it has {count}"
    if count and one.counts and count not in one.counts:
        return f"can be divided among {' or '.join(map(str, one.counts))} cards, it has {count}"
    if room.gone or room.blocked:  # what runs goes on: its cards are not seen, not lost
        return ""
    if at is None:
        return "its card is no longer there" if count == 1 else "a card of its is no longer there"
    if one.parallel == "tensor" and len({shelf.kinds[n] for n in at}) > 1:
        return "its cards are not of one kind"
    each = one.need.per_card(count)
    free = min((shelf.free[n] for n in at), default=shelf.memory)
    if each <= free:
        return ""
    return f"needs {gib(each)} {'on a card' if count else 'of main memory'}, {gib(free)} may be used"


def _cards_are(count: int) -> str:
    return f"{count} card{'s are' if count != 1 else ' is'}"


def gib(mib: int) -> str:
    return f"{max(0, mib) / 1024:.1f} GiB"


def _why_host(one: Wanted, spot: Spot, offers: Mapping[str, tuple[Rank, Spot]]) -> str:
    if len(offers) == 1:
        return f"only host with {_asked(spot)}"
    mine = offers[spot.host][0]
    second = min(rank for host, (rank, _) in offers.items() if host != spot.host)
    if mine[0] != second[0]:
        return f"fewest replicas of {one.model}"
    if mine[1] != second[1]:
        return f"fewest cards: {mine[1]}"
    if mine[2] != second[2]:
        return _why_grade(one, spot, next(n for n, a in enumerate(mine[2]) if a != second[2][n]))
    same = sum(rank[:3] == mine[:3] for rank, _ in offers.values())
    return f"first by name of {same} hosts that are as good"


def _why_grade(one: Wanted, spot: Spot, which: int) -> str:
    if not spot.at and which == 0:
        return "has no card that others could use"
    links = {"tensor": (0, 1), "layers": (1, 2)}[one.parallel]
    if len(spot.at) > 1 and which in links:
        return "fastest links between its cards"
    return f"least memory left over: {gib(spot.left)}"


def _asked(spot: Spot) -> str:
    if not spot.at:
        return f"{gib(spot.each)} of free main memory"
    on = "one card" if len(spot.at) == 1 else f"each of {len(spot.at)} cards"
    return f"{gib(spot.each)} free on {on}"


def _about_cards(spot: Spot, board: Board) -> list[str]:
    uuids = board.uuids(spot)
    others = sorted({name for uuid in uuids for name in board.on_card[uuid]})
    shared = f"shares its card{'s' * (len(uuids) != 1)} with {', '.join(others)}" if others else ""
    return [word for word in (_links(uuids, board.shelves[spot.host].room), shared) if word]


def _links(uuids: Sequence[str], room: Room) -> str:
    known = {frozenset((one, other)): word for one, other, word in room.links}
    pairs = [known.get(frozenset(pair), "") for pair in combinations(uuids, 2)]
    words = sorted({word for word in pairs if word}, key=cost)
    if not words:
        return ""
    if len(uuids) == 2 and words[0].startswith("NV"):
        return f"bridged pair {words[0]}"
    return f"its cards are linked by {' and '.join(words)}"
