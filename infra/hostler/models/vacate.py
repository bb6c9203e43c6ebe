"""What has to leave before something new can start: a card counts as free for the successor of what stands on it,
and does not hold both. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hostler.models.rooms import Room
from hostler.models.types import Placement, Replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacated:
    """A replica that leaves a host, and the replica that needs its memory."""

    replica: str
    model: str
    host: str
    for_replica: str


def vacated(previous: Sequence[Replica], placement: Placement, rooms: Sequence[Room]) -> tuple[Vacated, ...]:
    """Those that leave their host and whose cards (or main memory) cannot hold them beside what comes."""
    there = {room.host: room for room in rooms if not room.gone}
    return tuple(
        Vacated(replica=old.id, model=old.model, host=room.host, for_replica=new.id)
        for old in previous
        for room in [there.get(old.members[0].host)]
        if room is not None and not _stays(old, placement)
        for new in [next(_crowded(old, room, previous, placement), None)]
        if new is not None
    )


def _stays(old: Replica, placement: Placement) -> bool:
    """One of the same name on the same host is exchanged in its place, which waits for the memory itself."""
    host = old.members[0].host
    return any(new.id == old.id and new.members[0].host == host for new in placement.replicas)


def _crowded(
    old: Replica, room: Room, previous: Sequence[Replica], placement: Placement
) -> Iterator[Replica]:
    """What comes, or grows, where there is no room beside what stands there until the end."""
    leaving = [one for one in previous if one.members[0].host == room.host and not _stays(one, placement)]
    known = {(one.id, one.members[0].host): one.need_mib for one in previous}
    for card in old.members[0].cards or ("",):
        staying = [new for new in placement.replicas if _on(new, room.host, card)]
        needed = sum(
            _each(one) for one in (*staying, *(gone for gone in leaving if _on(gone, room.host, card)))
        )
        if needed > _free(room, card):
            yield from (new for new in staying if known.get((new.id, room.host), -1) < new.need_mib)


def _on(replica: Replica, host: str, card: str) -> bool:
    member = replica.members[0]
    return member.host == host and (card in member.cards if card else not member.cards)


def _each(replica: Replica) -> int:
    return -(-replica.need_mib // max(1, len(replica.members[0].cards)))


def _free(room: Room, card: str) -> int:
    return next((one.free_mib for one in room.cards if one.uuid == card), 0) if card else room.memory_mib
