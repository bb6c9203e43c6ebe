"""What shall be rented: slots, each with the ways to fill it, and who may reach them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hostler.cloud.candidates import first, limit
from hostler.cloud.offer import Offer
from hostler.cloud.slots import Slots, gib
from hostler.cloud.types import CloudWish, Rented, SlotWish
from hostler.hosts.types import Slot
from hostler.stackfile.sections import Pool, Stack

BIRTH_S = 3600.0  # a lease until the host is adopted
LEASE_S = 30 * 86400.0  # of a host that serves; renewed by `up` when half of it is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is not in the stack file. `ours`: networks of this machine and of the gateway's host."""

    uid: str
    owner: str
    public_key: str
    ours: tuple[str, ...]
    gateway_slots: tuple[str, ...]
    now: float


def wish(
    stack: Stack,
    decided: Slots,
    rented: Mapping[str, Rented],
    offers: Mapping[str, Offer],
    user_data: Mapping[str, str],
    around: Around,
) -> CloudWish:
    """`offers` by pool, for those with slots to fill; `user_data` by slot, for those. A slot that has a machine keeps
    it, one that retires until it is drained."""
    pools = {name: pool for name, pool in stack.pools.items() if pool.aws}
    return CloudWish(
        uid=around.uid,
        stack=stack.stack,
        owner=around.owner,
        slots=tuple(
            _slot(name, slot.pool, pools.get(slot.pool), decided, rented, offers, user_data, around.now)
            for name, slot in decided.slots.items()
            if slot.state == "wanted" or name in rented
        ),
        public_key=around.public_key,
        ssh_from={name: networks(pool.aws.ssh_from, around.ours) for name, pool in pools.items() if pool.aws},
        edge_from={
            name: networks(pool.aws.gateway_from, around.ours) for name, pool in pools.items() if pool.aws
        },
        gateway_slots=around.gateway_slots,
        gateway_port=stack.gateway.port,
        clients_from=networks(stack.gateway.clients_from, around.ours),
    )


def networks(words: Sequence[str], ours: Sequence[str]) -> tuple[str, ...]:
    """`auto` is this machine and the gateway's host."""
    found = [network for word in words for network in (ours if word == "auto" else (word,))]
    return tuple(dict.fromkeys(found))


def lease(machine: Rented | None, now: float) -> float:
    """Kept until half of it is over, so that a second `up` changes nothing."""
    if machine is None:
        return now + BIRTH_S
    return machine.lease if machine.lease - now > LEASE_S / 2 else now + LEASE_S


def stops(pool: Pool, machine: Rented, slot: Slot) -> bool:
    """Whether a machine of the pool keeps its disk when it ends itself. Not before it is adopted: what nobody met goes for
    good, as does what goes anyway; and AWS stops none of the spot market."""
    idle = pool.idle
    if idle is None or machine.candidate.market == "spot" or slot.state == "retiring":
        return False
    return idle.do == "stop" and not idle.shadow


def _slot(
    name: str,
    pool: str,
    section: Pool | None,
    decided: Slots,
    rented: Mapping[str, Rented],
    offers: Mapping[str, Offer],
    user_data: Mapping[str, str],
    now: float,
) -> SlotWish:
    machine, slot = rented.get(name), decided.slots[name]
    ways = offers[pool].choice.candidates if machine is None else ()
    aws = section.aws if section else None
    return SlotWish(
        slot=name,
        pool=pool,
        candidates=first(ways, machine.candidate) if machine else ways,
        disk_gib=slot.disk_gib or (gib(aws.disk) if aws else 0),
        user_data=user_data.get(name, ""),
        subnet=slot.subnet,
        max_price=limit(aws.max_price) if aws else None,
        lease=lease(machine, now),
        shutdown="stop" if machine and section and stops(section, machine, slot) else "terminate",
    )
