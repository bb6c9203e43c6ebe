"""Replicas onto cards: by memory that fits, the same answer for the same question, and what runs stays.

Order: what stood before and still fits keeps its place (a dead host's replicas too); then the rest, the
largest first, each where the model has no replica yet, then on the fewest cards, then as spots.py says. Where
that leaves one without room, a bounded search looks for another way; it moves nothing that runs. The order of
hosts and models in the file decides nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from hostler.models.rooms import Room
from hostler.models.types import Member, Placement, Rejected, Replica, Wanted
from hostler.placement import reasons
from hostler.placement.board import Board, Rank
from hostler.placement.packing import apart, pack
from hostler.placement.spots import Shelf, Spot, best, refusals

__all__ = ["FIRST_PORT", "Wanted", "place", "replica_word"]

FIRST_PORT = 18080
LINES, MISSING_LINES = 16, 40  # of reasons against other places, for a replica that has one and that has none
_WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

Lacking = tuple[Wanted, str]  # a model, and the id of a replica that it lacks


def place(
    wanted: Iterable[Wanted],
    rooms: Sequence[Room],
    previous: Sequence[Replica] = (),
    *,
    first_port: int = FIRST_PORT,
) -> Placement:
    """Where every replica runs, and why in `reasons`. What fits nowhere is in `missing`, with a reason for
    each host and card in `rejected` (the first of them); what lost its place and got another is in `moved`."""
    models = sorted(wanted, key=lambda one: one.model)
    board = Board.of(rooms, previous)
    _keep(models, board, previous)
    lacking = list(_lacking(models, board))
    found: dict[str, Spot] = {}
    rejected: dict[str, list[Rejected]] = {}
    for group in apart(models):
        new = _Group([(one, name) for one, name in lacking if one.model in group], board)
        found |= new.place()
        rejected |= new.rejected
    replicas = [*board.replicas, *_replicas(lacking, found, board, first_port)]
    before = {replica.id: replica for replica in previous}
    moved = [r.id for r in replicas if r.id in before and _seats(r) != _seats(before[r.id])]
    return Placement(
        replicas=tuple(sorted(replicas, key=_by_id)),
        rejected=tuple(line for _, name in lacking for line in rejected[name]),
        missing=tuple(name for _, name in lacking if name not in found),
        moved=tuple(sorted(moved)),
        reasons=dict(sorted(board.reasons.items())),
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


def _keep(models: Sequence[Wanted], board: Board, previous: Sequence[Replica]) -> None:
    """What may stay. Where there is no longer room for all: those that have not grown first, the small before
    the large, so that few move. Where fewer are wanted: those on hosts that answer first."""
    wanted = {one.model: one for one in models}
    kept: Counter[str] = Counter()
    here = [replica for replica in previous if replica.model in wanted and len(replica.members) == 1]
    for replica in sorted(here, key=lambda replica: _first_to_stay(replica, wanted[replica.model], board)):
        one, member = wanted[replica.model], replica.members[0]
        if kept[one.model] == one.replicas:
            continue
        shelf = board.shelves.get(member.host)
        at = _positions(member, shelf)
        why = reasons.why_not_kept(one, member, shelf, at)
        if why or shelf is None:
            board.former[replica.id] = f"left {member.host}: {why}"
            continue
        kept[one.model] += 1
        count = len(member.cards)
        if not shelf.room.gone:
            shelf.take(at or (), one.need.per_card(count) if at is not None else 0)
        board.note(one.model, replica.id, member.host, member.cards)
        board.replicas.append(replace(replica, need_mib=one.need.total(count)))
        board.reasons[replica.id] = reasons.why_kept(shelf.room)


def _first_to_stay(replica: Replica, one: Wanted, board: Board) -> tuple[bool, bool, int, tuple[str, int]]:
    shelf = board.shelves.get(replica.members[0].host)
    need = one.need.total(len(replica.members[0].cards))
    return bool(shelf and shelf.room.gone), need > replica.need_mib, need, _by_id(replica)


def _positions(member: Member, shelf: Shelf | None) -> tuple[int, ...] | None:
    """Of its cards on the host; None: not all are seen."""
    there = {card.uuid: at for at, card in enumerate(shelf.room.cards)} if shelf else {}
    if any(uuid not in there for uuid in member.cards):
        return None
    return tuple(there[uuid] for uuid in member.cards)


def _lacking(models: Sequence[Wanted], board: Board) -> Iterator[Lacking]:
    """The largest first, or the small ones take the room that only they need not have."""
    have: defaultdict[str, set[str]] = defaultdict(set)
    for replica in board.replicas:
        have[replica.model].add(replica.id)
    for one in sorted(models, key=lambda one: (-one.need.total(one.cards or 1), one.model)):
        word, known = replica_word(one.model), have[one.model]
        free = (name for n in range(one.replicas + len(known)) if (name := f"{word}-{n}") not in known)
        for _ in range(one.replicas - len(known)):
            yield one, next(free)


def _replicas(
    lacking: Sequence[Lacking], found: Mapping[str, Spot], board: Board, first_port: int
) -> Iterator[Replica]:
    for one, name in lacking:
        if name in found:
            spot = found[name]
            member = Member(host=spot.host, cards=board.uuids(spot), port=board.port(spot.host, first_port))
            total = one.need.total(len(spot.at))
            yield Replica(id=name, model=one.model, members=(member,), need_mib=total)


@dataclass(slots=True)
class _Group:
    """Replicas of models that share pools, placed together."""

    lacking: Sequence[Lacking]
    board: Board
    rejected: dict[str, list[Rejected]] = field(default_factory=dict[str, list[Rejected]])

    def place(self) -> dict[str, Spot]:
        """On the board, with reasons and rejections; those that find no room are not in it."""
        found = self._one_by_one()
        if len(found) == len(self.lacking):
            return found
        for one, name in self.lacking:
            if name in found:
                self.board.lift(one, name, found[name])
        return self._searched(len(found)) or self._one_by_one()

    def _one_by_one(self) -> dict[str, Spot]:
        found: dict[str, Spot] = {}
        for one, of_model in groupby(self.lacking, key=lambda each: each[0]):
            shelves = self.board.of_pools(one)
            offers = {shelf.room.host: offer for shelf in shelves if (offer := self._offer(one, shelf))}
            for _, name in of_model:
                self.rejected[name] = _rejected(one, name, shelves, offers)
                if not offers:
                    continue
                spot = min(offers.values())[1]
                self._take(one, name, spot, reasons.why_new(one, spot, offers, self.board))
                found[name] = spot
                offer = self._offer(one, self.board.shelves[spot.host])
                offers |= {spot.host: offer} if offer else {}
                if not offer:
                    del offers[spot.host]
        return found

    def _offer(self, one: Wanted, shelf: Shelf) -> tuple[Rank, Spot] | None:
        spot = best(one, shelf)
        return spot and (self.board.rank(one, spot), spot)

    def _searched(self, enough: int) -> dict[str, Spot] | None:
        """Room for all that would find some if they were alone; None: not found, or no more than `enough`."""
        models = {one.model: one for one, _ in self.lacking}.values()
        able = {m.model for m in models if any(best(m, shelf) for shelf in self.board.of_pools(m))}
        lacking = [(one, name) for one, name in self.lacking if one.model in able]
        if len(lacking) <= enough:
            return None
        spots = pack([one for one, _ in lacking], self.board)
        if spots is None:
            return None
        for one, name in self.lacking:
            shelves = self.board.of_pools(one)
            self.rejected[name] = _rejected(
                one, name, shelves, {s.room.host for s in shelves if best(one, s)}
            )
        for (one, name), spot in zip(lacking, spots, strict=True):
            self._take(one, name, spot, reasons.why_searched(spot, self.board))
        return {name: spot for (_, name), spot in zip(lacking, spots, strict=True)}

    def _take(self, one: Wanted, name: str, spot: Spot, why: str) -> None:
        self.board.put(one, name, spot)
        former = self.board.former.get(name)
        self.board.reasons[name] = f"{former}; {why}" if former else why


def _rejected(one: Wanted, name: str, shelves: Sequence[Shelf], room: Container[str]) -> list[Rejected]:
    """Why not on those hosts that are not in `room`; of many, the first."""
    lines: list[Rejected] = []
    closed = [shelf for shelf in shelves if shelf.room.host not in room]
    most = MISSING_LINES if len(closed) == len(shelves) else LINES
    for at, shelf in enumerate(closed):
        if len(lines) >= most:
            more = f"{len(closed) - at} more hosts"
            return [*lines, Rejected(replica=name, where=more, reason="for such reasons too")]
        lines += [Rejected(replica=name, where=where, reason=why) for where, why in refusals(one, shelf)]
    return lines
