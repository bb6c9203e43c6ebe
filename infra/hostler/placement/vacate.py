"""What has to leave before something new can start: a card counts as free for the successor of what stands on it,
and does not hold both. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
    before, after = _by_host(previous), _by_host(placement.replicas)
    return tuple(
        Vacated(replica=old.id, model=old.model, host=room.host, for_replica=new.id)
        for old in previous
        for room in [there.get(old.members[0].host)]
        if room is not None
        for here in [after.get(room.host, [])]
        if not _stays(old, here)
        for new in [next(_crowded(old, room, before[room.host], here), None)]
        if new is not None
    )


def _by_host(replicas: Sequence[Replica]) -> Mapping[str, list[Replica]]:
    found: defaultdict[str, list[Replica]] = defaultdict(list)
    for replica in replicas:
        found[replica.members[0].host].append(replica)
    return found


def _stays(old: Replica, here: Sequence[Replica]) -> bool:
    """One of the same name on the same host is exchanged in its place, which waits for the memory itself."""
    return any(new.id == old.id for new in here)


def _crowded(
    old: Replica, room: Room, before: Sequence[Replica], here: Sequence[Replica]
) -> Iterator[Replica]:
    """What comes to this host, or grows, where there is no room beside what stands there until the end."""
    leaving = [one for one in before if not _stays(one, here)]
    known = {one.id: one.need_mib for one in before}
    for card in old.members[0].cards or ("",):
        staying = [new for new in here if _on(new, card)]
        needed = sum(_each(one) for one in (*staying, *(gone for gone in leaving if _on(gone, card))))
        if needed > _free(room, card):
            yield from (new for new in staying if known.get(new.id, -1) < new.need_mib)


def _on(replica: Replica, card: str) -> bool:
    """On the card; empty: in main memory."""
    cards = replica.members[0].cards
    return card in cards if card else not cards


def _each(replica: Replica) -> int:
    return -(-replica.need_mib // max(1, len(replica.members[0].cards)))


def _free(room: Room, card: str) -> int:
    return next((one.free_mib for one in room.cards if one.uuid == card), 0) if card else room.memory_mib
