"""What hosts cost, as the money room wants to see them: prices as written down when they were rented, watts as seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from hostler.cloud import prices
from hostler.cloud.types import Price, Rented
from hostler.hosts.types import Host, Seen, Slot
from hostler.models.types import Replica
from hostler.money import given, metering, power
from hostler.money.looks import NO_RATE, Draw, Machine, RunState
from hostler.money.rows import Rate, Row
from hostler.rollout.observe import Observation
from hostler.stackfile.sections import Stack

CURRENCY = "USD"  # of AWS's price lists
STATES: Mapping[str, RunState] = {
    "pending": "running",
    "running": "running",
    "shutting-down": "running",
    "stopping": "stopped",
    "stopped": "stopped",
    "terminated": "gone",
}


def machines(
    stack: Stack,
    hosts: Iterable[Host],
    seen: Mapping[str, Seen],
    replicas: Sequence[Replica],
    slots: Mapping[str, Slot],
    *,
    rented: Mapping[str, Rented] | None = None,
    off: Collection[str] = (),
    meters: Mapping[str, float | None] | None = None,
) -> tuple[Machine, ...]:
    """Of each host. `rented`: what AWS says, None: it was not asked. `off`: hosts that were suspended or shut down on
    purpose. `meters`: watts at the wall, by host, as `power.meter` says them, None: it said none; without `meters` it was
    not asked."""
    return tuple(
        _owned(stack, host, seen.get(host.name), replicas, host.name in off, meters)
        if host.owned
        else _rented(host, seen.get(host.name), replicas, slots.get(host.name), rented)
        for host in hosts
    )


def of(observation: Observation) -> tuple[Machine, ...]:
    """Of all hosts of a look."""
    record, cloud = observation.record, observation.cloud
    slots: Mapping[str, Slot] = record.slots if record else {}
    return machines(
        observation.file.stack,
        observation.every,
        observation.seen,
        record.replicas if record else (),
        cloud.slots.slots if cloud else slots,
        rented=cloud.rented if cloud and not cloud.why else None,
    )


def now(observation: Observation) -> dict[str, tuple[Row, ...]]:
    """By host, what an hour of it costs."""
    return {one.name: metering.hour_of(one) for one in of(observation)}


def shares(host: str, cards: int, replicas: Sequence[Replica]) -> dict[str, float]:
    """What each model has of a host: its cards' part of all; without any cards, all models alike."""
    there = [(one.model, part) for one in replicas for part in one.members if part.host == host]
    whole = max(cards, sum(len(part.cards) for _, part in there))
    found = dict[str, float]()
    for model, part in there:
        share = len(part.cards) / whole if whole else 1 / len(there)
        found[model] = found.get(model, 0.0) + share
    return {model: share for model, share in found.items() if share}


def rate(price: Price) -> Rate:
    return Rate(amount=price.amount, currency=CURRENCY, source=price.source)


def _owned(
    stack: Stack,
    host: Host,
    seen: Seen | None,
    replicas: Sequence[Replica],
    off: bool,
    meters: Mapping[str, float | None] | None,
) -> Machine:
    facts = seen.facts if seen and seen.reached else None
    watts = meters.get(host.name) if meters else None
    lacks = power.NOT_ASKED if meters is None else power.SILENT
    wish = stack.pools[host.pool].power if host.pool in stack.pools else None
    return Machine(
        name=host.name,
        pool=host.pool,
        state="running" if facts else "stopped" if off else "unknown",
        born=facts.boot_id if facts else "",
        models=shares(host.name, len(facts.cards) if facts else 0, replicas),
        cards={
            one.uuid: Draw(watts=one.power_w, limit=one.power_limit_w)
            for one in (facts.cards if facts else ())
        },
        idle_w=wish.idle if wish else None,
        meter_w=watts,
        meter_why=lacks if wish and wish.meter and watts is None else "",
        kwh=given.kwh_of(stack, host.pool),
    )


def _rented(
    host: Host,
    seen: Seen | None,
    replicas: Sequence[Replica],
    slot: Slot | None,
    rented: Mapping[str, Rented] | None,
) -> Machine:
    facts = seen.facts if seen and seen.reached else None
    slot = slot or Slot(name=host.name, pool=host.pool)
    there = rented.get(host.name) if rented is not None else None
    has = there.candidate if there else None
    region = has.region if has else slot.region
    mine = slot.machine == there.id if there else bool(slot.machine)
    known = mine and (slot.price is not None or slot.price_source)
    price = Price(amount=slot.price, source=slot.price_source) if known else None
    return Machine(
        name=host.name,
        pool=host.pool or slot.pool,
        owned=False,
        state=_state(bool(facts), slot, there, rented is not None),
        born=f"{there.id if there else slot.machine} {(there.since if there else slot.since) or ''}".strip(),
        since=there.since if there else slot.since,
        models=shares(host.name, len(facts.cards) if facts else 0, replicas),
        market=has.market if has else slot.market,
        price=rate(price) if price else NO_RATE,
        disk=rate(prices.disk(region, slot.disk_gib)) if slot.disk_gib else None,
        address=rate(prices.address()),
    )


def _state(reached: bool, slot: Slot, there: Rented | None, asked: bool) -> RunState:
    """By AWS where it was asked; else what answers runs, what was parked is gone, and of others nobody knows."""
    if slot.stopped and not reached and (there.stopped if there else not asked):
        return "stopped"
    if there:
        return STATES.get(there.state, "running" if reached else "unknown")
    if asked:
        return "gone"
    if reached:
        return "running"
    return "gone" if slot.state == "parked" else "unknown"
