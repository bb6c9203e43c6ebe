"""Rented machines in a plan: what is made, for how much, what would be tried next, what goes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostler.cloud import live, money, prices
from hostler.cloud.offer import Offer
from hostler.configure.types import Change, Notice
from hostler.hosts.types import Facts, Slot
from hostler.manifest.items import Effect, Part
from hostler.rollout import givenback
from hostler.rollout.observe import Observation
from hostler.rollout.rented import Cloud


def prepared(host: str, facts: Facts) -> Change:
    """What will be done on a host that is not there yet, in one line: what exactly is known when it is there."""
    cards = f"{len(facts.cards)} x {facts.cards[0].name}" if facts.cards else "no card"
    return Change(
        host=host,
        part=Part.BASE,
        item=f"host:{host}",
        action="add",
        now="not there",
        then="set up like any bare host",
        why=f"predicted: {facts.os_name.partition(',')[0]}, {cards}",
    )


def leaves(host: str, observation: Observation) -> Change:
    """A rented host that goes: drained first, then its machine ends."""
    cloud = observation.cloud
    why = cloud.slots.why.get(host, "") if cloud else ""
    return Change(
        host=host,
        part=Part.BASE,
        item=f"host:{host}",
        action="remove",
        now="rented",
        then="drained, then stopped" if cloud and host in cloud.slots.stop else "drained, then ended",
        why=why or "no longer in the stack file",
        effect=Effect.DRAIN,
    )


def notices(observation: Observation) -> Iterator[Notice]:
    """Money first: each slot's first candidate and the next ones; then what is parked, and what went by itself."""
    cloud = observation.cloud
    if cloud is None:
        return
    for name in cloud.slots.fill:
        slot = cloud.slots.slots[name]
        offer = (observation.offers or {}).get(slot.pool)
        words = said(offer, slot.disk_gib) if offer else "its price was not asked for"
        yield Notice(level="note", where=name, text=f"rents {words}")
    record = observation.record
    for name in cloud.lost:
        before = record.slots.get(name) if record else None
        if name in cloud.slots.fill and not (before and before.state == "parked"):
            text = (
                "its instance was ended outside of hostler (by hand, or taken back); another takes its place"
            )
            yield Notice(level="warning", where=name, text=text)
    for name in cloud.dead:
        text = "its instance never answered since its start; it is ended, and another takes its place"
        yield Notice(level="warning", where=name, text=text)
    yield from _stopped(cloud, record.slots if record else {})
    for name, code in cloud.gave.items():
        slot = cloud.slots.slots[name]
        yield Notice(
            level="note", where=name, text=givenback.words(slot.pool, code, stopped=name in cloud.resting)
        )
    if parked := [n for n in cloud.slots.of("parked") if n not in cloud.rented and n not in cloud.gave]:
        names = ", ".join(parked)
        yield Notice(level="note", text=f"parked, and no drift: {names} (`hostler wake` brings them back)")


def _stopped(cloud: Cloud, before: Mapping[str, Slot]) -> Iterator[Notice]:
    """Machines that are started, and those that stay stopped."""
    for name, machine in cloud.in_use.items():
        if name in cloud.slots.retire:
            continue
        if machine.stopped and (before[name].stopped if name in before else False):
            yield Notice(level="note", where=name, text=f"{machine.id} is started again: it costs again")
        elif machine.stopped and machine.stopped_by == live.BY_ITSELF:
            text = f"{machine.id} stopped itself; it is started again, and costs again"
            yield Notice(level="note", where=name, text=text)
        elif machine.stopped:
            text = f"{machine.id} was stopped outside of hostler; it is started again"
            yield Notice(level="warning", where=name, text=text)
    if stopped := [name for name in cloud.resting if name not in cloud.gave and cloud.rented[name].stopped]:
        names = ", ".join(stopped)
        yield Notice(
            level="note",
            text=f"stopped, and no drift: {names} (its disk costs; `hostler wake` starts it)",
        )
    for name in cloud.resting:
        if cloud.rented[name].state in live.RUNS:
            text = "it runs, though its slot is parked; when it is idle it stops itself again, `hostler wake` keeps it"
            yield Notice(level="warning", where=name, text=text)


def resting(observation: Observation) -> frozenset[str]:
    """Pools with parked slots, or with machines that are to be started: what these have is not known before."""
    cloud = observation.cloud
    if cloud is None:
        return frozenset()
    stopped = [name for name, machine in cloud.in_use.items() if machine.stopped]
    return frozenset(cloud.slots.slots[name].pool for name in (*cloud.slots.of("parked"), *stopped))


def said(offer: Offer, disk_gib: int) -> str:
    """`g5.2xlarge spot in eu-central-1a: 0.54 USD/h (394 USD a month), then ...; disk and address: 0.03 USD/h`."""
    ways = offer.choice.candidates
    beside = prices.together(prices.disk(ways[0].region, disk_gib), prices.address())
    return f"{money.sentence(ways, offer.prices)}; its disk and address: {money.hourly(beside)}"
