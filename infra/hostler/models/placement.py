"""Replicas onto cards: by memory that fits, the same answer for the same question, and what runs stays.

Order: what stood before and still fits keeps its place (a dead host's replicas too); then the rest,
first where the model has no replica yet, then on the fewest cards, then where least is left over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hostler.models.rooms import Room
from hostler.models.types import Member, Need, Placement, Rejected, Replica

FIRST_PORT = 18080
_WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model that wants replicas. `cards` None: as few as hold it; `in_memory`: main memory, no cards."""

    model: str
    pool: tuple[str, ...]
    replicas: int
    need: Need
    cards: int | None = None
    in_memory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    host: str
    cards: tuple[str, ...]
    left_mib: int


@dataclass(slots=True)
class _Board:
    """The only thing that changes while placing: what is free, by host."""

    rooms: dict[str, Room]
    order: dict[str, int]
    replicas: list[Replica] = field(default_factory=list[Replica])
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    ports: dict[str, set[int]] = field(default_factory=dict[str, set[int]])

    def take(self, host: str, cards: Sequence[str], amount: int) -> None:
        room = self.rooms[host]
        left = tuple(replace(c, free_mib=c.free_mib - amount) if c.uuid in cards else c for c in room.cards)
        memory = room.memory_mib if cards else room.memory_mib - amount
        self.rooms[host] = replace(room, cards=left, memory_mib=memory)

    def port(self, host: str, first: int) -> int:
        taken = self.ports.setdefault(host, set())
        port = next(port for port in range(first, 65536) if port not in taken)
        taken.add(port)
        return port


def place(
    wanted: Iterable[Wanted],
    rooms: Sequence[Room],
    previous: Sequence[Replica] = (),
    *,
    first_port: int = FIRST_PORT,
) -> Placement:
    """Where every replica runs. What fits nowhere is in `missing`, with a reason for each host and card
    in `rejected`; what lost its place and got another is in `moved`."""
    models = sorted(wanted, key=lambda one: one.model)
    board = _Board({room.host: room for room in rooms}, {room.host: at for at, room in enumerate(rooms)})
    for replica in previous:  # a port is not given again while its former holder may still drain
        for member in replica.members:
            board.ports.setdefault(member.host, set()).add(member.port)
    for one in models:
        _keep(one, board, [replica for replica in previous if replica.model == one.model])
    missing: list[str] = []
    # the largest first, or the small ones take the room that only they need not have
    for one in sorted(models, key=lambda one: (-one.need.total(one.cards or 1), one.model)):
        missing += _add(one, board, first_port)
    before = {replica.id: replica for replica in previous}
    moved = [r.id for r in board.replicas if r.id in before and _seats(r) != _seats(before[r.id])]
    return Placement(
        replicas=tuple(sorted(board.replicas, key=_by_id)),
        rejected=tuple(board.rejected),
        missing=tuple(missing),
        moved=tuple(sorted(moved)),
    )


def replica_word(model: str) -> str:
    """The model's name as a word of unit and container names; the name itself where it is one already,
    else with four hex digits, so that no two models share a word."""
    if _WORD.fullmatch(model) and len(model) <= 40:
        return model
    slug = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:40].strip("-") or "model"
    return f"{slug}-{hashlib.sha256(model.encode()).hexdigest()[:4]}"


def _seats(replica: Replica) -> list[tuple[str, frozenset[str]]]:
    return [(member.host, frozenset(member.cards)) for member in replica.members]


def _number(replica_id: str) -> int:
    tail = replica_id.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def _by_id(replica: Replica) -> tuple[str, int]:
    return replica.model, _number(replica.id)


def _keep(one: Wanted, board: _Board, previous: Sequence[Replica]) -> None:
    """What may stay, those on hosts that answer first when there are more than wanted."""
    kept = 0
    for replica in sorted(previous, key=lambda r: (_on_gone_host(r, board), _by_id(r))):
        if kept == one.replicas or not _may_stay(one, replica, board):
            continue
        member = replica.members[0]
        count = len(member.cards)
        if not _on_gone_host(replica, board):
            board.take(member.host, member.cards, one.need.per_card(count))
        board.replicas.append(replace(replica, need_mib=one.need.total(count)))
        kept += 1


def _on_gone_host(replica: Replica, board: _Board) -> bool:
    return any(member.host in board.rooms and board.rooms[member.host].gone for member in replica.members)


def _may_stay(one: Wanted, replica: Replica, board: _Board) -> bool:
    if len(replica.members) != 1:
        return False
    member = replica.members[0]
    room = board.rooms.get(member.host)
    if room is None or room.pool not in one.pool or bool(member.cards) == one.in_memory:
        return False
    if one.cards and not one.in_memory and one.cards != len(member.cards):
        return False
    if room.gone or room.blocked:  # what runs goes on: its cards are not seen, not lost
        return True
    if one.in_memory:
        return one.need.per_card(0) <= room.memory_mib
    free = {card.uuid: card.free_mib for card in room.cards}
    each = one.need.per_card(len(member.cards))
    return all(free.get(uuid, -1) >= each for uuid in member.cards)


def _add(one: Wanted, board: _Board, first_port: int) -> list[str]:
    """Places what is still lacking; the ids of what fits nowhere."""
    missing: list[str] = []
    have = {replica.id for replica in board.replicas if replica.model == one.model}
    word = replica_word(one.model)
    numbers = (n for n in range(one.replicas + len(have)) if f"{word}-{n}" not in have)
    for _ in range(one.replicas - len(have)):
        name = f"{word}-{next(numbers)}"
        spots, reasons = _spots(one, board, name)
        board.rejected.extend(reasons)
        if not spots:
            missing.append(name)
            continue
        spot = min(spots, key=lambda spot: _rank(spot, one, board))
        board.take(spot.host, spot.cards, one.need.per_card(len(spot.cards)))
        member = Member(host=spot.host, cards=spot.cards, port=board.port(spot.host, first_port))
        total = one.need.total(len(spot.cards))
        board.replicas.append(Replica(id=name, model=one.model, members=(member,), need_mib=total))
    return missing


def _rank(spot: _Spot, one: Wanted, board: _Board) -> tuple[int, int, int, int]:
    beside = sum(
        member.host == spot.host for r in board.replicas if r.model == one.model for member in r.members
    )
    return beside, len(spot.cards), spot.left_mib, board.order[spot.host]


def _spots(one: Wanted, board: _Board, replica: str) -> tuple[list[_Spot], list[Rejected]]:
    """The best spot of each host, and why the other hosts and cards are none."""
    spots: list[_Spot] = []
    reasons: list[Rejected] = []
    for room in board.rooms.values():
        if room.pool not in one.pool:
            continue
        spot = _in_memory(one, room) if one.in_memory else _on_cards(one, room)
        if isinstance(spot, _Spot):
            spots.append(spot)
        else:
            reasons += [Rejected(replica=replica, where=where, reason=why) for where, why in spot]
    return spots, reasons


def _in_memory(one: Wanted, room: Room) -> _Spot | list[tuple[str, str]]:
    if room.gone:
        return [(room.host, f"cannot be reached: {room.gone}")]
    each = one.need.per_card(0)
    if each > room.memory_mib:
        return [(room.host, f"needs {each} MiB of main memory; {max(0, room.memory_mib)} MiB may be used")]
    return _Spot(host=room.host, cards=(), left_mib=room.memory_mib - each)


def _on_cards(one: Wanted, room: Room) -> _Spot | list[tuple[str, str]]:
    refused = _no_cards(one, room)
    if refused:
        return [(room.host, refused)]
    counts = range(1, len(room.cards) + 1) if one.cards is None else [one.cards]
    for count in counts:
        each = one.need.per_card(count)
        fitting = sorted((c.free_mib, c.index, c.uuid) for c in room.cards if c.free_mib >= each)
        if len(fitting) >= count:
            chosen = sorted(fitting[:count], key=lambda card: card[1])
            left = sum(free - each for free, _, _ in chosen)
            return _Spot(host=room.host, cards=tuple(uuid for _, _, uuid in chosen), left_mib=left)
    return _too_small(one, room)


def _no_cards(one: Wanted, room: Room) -> str:
    if room.gone:
        return f"cannot be reached: {room.gone}"
    if room.blocked:
        return room.blocked
    if not room.cards:
        return "has no card"
    if one.cards and one.cards > len(room.cards):
        return f"has {len(room.cards)} cards; {one.cards} are asked for"
    return ""


def _too_small(one: Wanted, room: Room) -> list[tuple[str, str]]:
    """A line for each card, with what a replica would need on the number of cards that comes nearest."""
    count = one.cards or len(room.cards)
    each = one.need.per_card(count)
    on = "" if count == 1 else f" on each of {count} cards"
    return [
        (
            f"{room.host} card {card.index} {card.name}",
            f"needs {each} MiB{on}; {card.free_mib} of {card.memory_mib} MiB may be used"
            + (f" ({card.note})" if card.note else ""),
        )
        for card in room.cards
        if card.free_mib < each
    ]
