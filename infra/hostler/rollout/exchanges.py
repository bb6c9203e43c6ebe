"""How a plan's running replicas will be exchanged: in which order, and beside the old one or in place. Pure.

The order is that of the run: one replica at a time, so of N replicas of a model N-1 serve throughout. The least important
host first: not the gateway's, whose trouble would be everybody's, then the one that answers fewer requests now, then by
name; on a host likewise. Whether there is room is decided on the host, at the moment; here stands what is expected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hostler.configure.types import Change, Exchange
from hostler.hosts.types import Facts, Seen, Value
from hostler.manifest.items import Effect
from hostler.models.types import Member, Placement, Replica
from hostler.stackfile.sections import StackFile

LEAST_MIB, SHARE = 256, 0.05  # as the host keeps free (hostler.node.exchange.room)
MIB = 2**20


def expected(
    file: StackFile,
    seen: Mapping[str, Seen],
    gateway: str,
    changes: Sequence[Change],
    placement: Placement,
    serving: Sequence[Replica],
) -> tuple[Exchange, ...]:
    """In the order of the run. `serving`: replicas that answer clients now; the others are started, or put right."""
    touched = {c.replica for c in changes if c.replica and c.effect is Effect.DRAIN and c.action == "change"}
    doomed = [replica for replica in serving if replica.id in touched]
    return tuple(
        Exchange(
            replica=replica.id,
            model=replica.model,
            host=replica.members[0].host,
            in_place=in_place(file, seen, placement, replica),
            alone=not any(one.model == replica.model and one.id != replica.id for one in serving),
        )
        for replica in in_order(doomed, seen, gateway)
    )


def in_order(replicas: Sequence[Replica], seen: Mapping[str, Seen], gateway: str) -> list[Replica]:
    """The least important first, host after host."""
    hosts = {replica.members[0].host for replica in replicas}
    busy = {
        host: sum(requests(seen, one) for one in replicas if one.members[0].host == host) for host in hosts
    }

    def importance(replica: Replica) -> tuple[bool, int, str, int, str]:
        host = replica.members[0].host
        return (host == gateway, busy[host], host, requests(seen, replica), replica.id)

    return sorted(replicas, key=importance)


def requests(seen: Mapping[str, Seen], replica: Replica) -> int:
    """In flight at a replica when it was probed, by its engine's own word."""
    host = seen.get(replica.members[0].host)
    found = host.observed.get(f"replica:{replica.id}") if host else None
    value: Mapping[str, int | None] = found.value if isinstance(found, Value) else {}
    return sum(value.get(name) or 0 for name in ("running", "waiting"))


def in_place(file: StackFile, seen: Mapping[str, Seen], placement: Placement, replica: Replica) -> str:
    """Why a replica cannot be started beside its former one; empty: it can."""
    section = file.stack.models.get(replica.model)
    if section and section.exchange != "beside":
        return "`exchange: in-place`"
    member = replica.members[0]
    host = seen.get(member.host)
    if host is None or host.facts is None:
        return "its host was not seen"
    if not replica.need_mib:
        return "how much memory it takes is not known"
    each = math.ceil(replica.need_mib / max(1, len(member.cards)))
    needed = each + max(LEAST_MIB, math.ceil(SHARE * each))
    others = [
        one for one in placement.replicas if one.id != replica.id and one.members[0].host == member.host
    ]
    for card in member.cards or ("",):
        free = _free(host.facts, card)
        if free is None:
            return "how much memory is free is not known"
        free -= sum(_still_to_take(one, host.facts, card) for one in others)
        if free < needed:
            where = "main memory" if not card else f"card {_index(host.facts, card)}"
            return f"{where} has {max(0, free) / 1024:.1f} GiB to spare, {needed / 1024:.1f} needed"
    return ""


def _index(facts: Facts, uuid: str) -> int | str:
    return next((card.index for card in facts.cards if card.uuid == uuid), uuid)


def _free(facts: Facts, uuid: str) -> int | None:
    if not uuid:
        return facts.memory_free // MIB or None
    card = next((card for card in facts.cards if card.uuid == uuid), None)
    return None if card is None or card.used_mib is None else card.memory_mib - card.used_mib


def _still_to_take(other: Replica, facts: Facts, uuid: str) -> int:
    """MiB that another replica of this host was promised there and does not hold yet. What one holds of main memory is
    not known here: it is taken to have it all."""
    member: Member = other.members[0]
    if not uuid or uuid not in member.cards:
        return 0
    held = [p.used_mib or 0 for p in facts.processes if p.card == uuid and p.replica == other.id]
    return max(0, math.ceil(other.need_mib / len(member.cards)) - sum(held))


def beside_only(exchanges: Sequence[Exchange], downtime: Mapping[str, float]) -> frozenset[str]:
    """Replicas that must not be exchanged in place though their host finds no room: it would be downtime that nobody
    allowed. `downtime`: models whose downtime the plan names, which is asked for."""
    return frozenset(one.replica for one in exchanges if one.must_stay and one.model not in downtime)
