"""What is wished of Pulumi for a stack's rented machines, and Pulumi asked for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hostler.cloud import account, live, userdata
from hostler.cloud import wish as wishes
from hostler.cloud.candidates import price_of
from hostler.cloud.types import CloudWish, Holding, Rented, RentResult
from hostler.console.out import Out
from hostler.hosts.types import Slot
from hostler.rollout import home, networks, rented, stackkey
from hostler.rollout.observe import Observation
from hostler.rollout.rented import Cloud

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet
    from hostler.provision.types import ProvisionChange, ProvisionPreview


def standing(cloud: Cloud, machines: Sequence[Rented]) -> Cloud:
    return replace(cloud, rented={machine.slot: machine for machine in machines})


def rent(observation: Observation, fleet: Fleet, wish: CloudWish) -> RentResult:
    regions = sorted({way.region for slot in wish.slots for way in slot.candidates})

    def holdings() -> tuple[Holding, ...]:
        return account.holdings(regions, wish.uid, buckets=False)  # instances are what is looked for

    return fleet.rent(observation.owned, lambda name: observation.seen[name], wish, holdings=holdings)


def wished(
    observation: Observation, cloud: Cloud, fleet: Fleet, first: Mapping[str, userdata.HostKey]
) -> CloudWish:
    stack = observation.file.stack
    uid = uid_of(observation)
    public = stackkey.public(observation.file, fleet)
    around = wishes.Around(
        uid=uid,
        owner=owner(cloud),
        public_key=public,
        ours=networks.ours(observation, fleet),
        gateway_slots=gateway_slots(observation, cloud),
        now=time.time(),
    )
    data = {
        slot: userdata.user_data(uid=uid, stack=stack.stack, slot=slot, key=key, public_key=public)
        for slot, key in first.items()
    }
    return wishes.wish(stack, cloud.slots, cloud.rented, observation.offers or {}, data, around)


def owner(cloud: Cloud) -> str:
    """Whoever rented first: who comes next, as the controller for a request, changes no tags by that."""
    return next((one.owner for _, one in sorted(cloud.rented.items()) if one.owner), networks.owner())


def without_ended(
    cloud: Cloud, preview: ProvisionPreview, known: Mapping[str, Slot] | None = None
) -> ProvisionPreview:
    """Machines that are given back, or stopped, are no drift; what hung on them costs nothing, and goes with the next
    change. `known`: the record's slots: of what stopped when it was idle nobody says that somebody else did it."""
    ended = {slot for slot in cloud.lost if slot not in cloud.slots.fill}
    still = {slot for slot in cloud.resting if cloud.rented[slot].stopped}
    left = preview.changes
    if ended:
        left = tuple(c for c in left if c.kind == "host" or (c.op != "delete" and c.name not in ended))
    left = tuple(c for c in left if not (c.kind != "host" and c.op == "refresh" and c.name in still))
    ours = {name for name, slot in (known or {}).items() if slot.stopped}
    ours |= {name for name, one in cloud.rented.items() if one.stopped_by == live.BY_ITSELF}
    return replace(
        preview, changes=tuple(_started(c) if c.op == "refresh" and c.name in ours else c for c in left)
    )


def _started(change: ProvisionChange) -> ProvisionChange:
    return replace(change, details=("stopped while its slot was parked, or by itself; started again",))


def priced(
    observation: Observation, cloud: Cloud, fleet: Fleet, result: RentResult, documents: Mapping[str, Any]
) -> dict[str, Any]:
    """The hosts' document with what each new machine costs an hour, as AWS said it before it was rented; kept."""
    found = dict(documents)
    for machine in result.rented:
        if machine.slot in cloud.slots.fill and (offer := (observation.offers or {}).get(machine.pool)):
            price = price_of(machine.candidate, offer.prices)
            paper = {"machine": machine.id, "usd": price.amount, "source": price.source}
            found[machine.slot] = {**found[machine.slot], "price": paper}
    if found != documents:
        fleet.keep(rented.HOSTS, found)
    return found


def gateway_slots(observation: Observation, cloud: Cloud) -> tuple[str, ...]:
    """The rented host that shall have the gateway, and the one that has it until the end of this run."""
    next_one = "" if observation.gateway.owned else observation.gateway.name
    return tuple(name for name in (next_one, former_gateway(observation, cloud)) if name)


def former_gateway(observation: Observation, cloud: Cloud) -> str:
    """The rented host that the gateway leaves; empty: it stays, or comes from an owned one."""
    before = observation.record.gateway_host if observation.record else ""
    return before if before in cloud.rented and before != observation.gateway.name else ""


def uid_of(observation: Observation) -> str:
    """The record's, or the state's; of a stack that was never up, that of its first record."""
    if observation.record:
        return observation.record.uid
    known = observation.cloud.uid if observation.cloud else ""
    return known or home.record_or_first(observation).uid


def fleet_of(observation: Observation, out: Out) -> Fleet:
    return rented.fleet_of(observation.file, uid=uid_of(observation), notice=out.say)
