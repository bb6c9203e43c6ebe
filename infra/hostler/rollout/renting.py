"""Machines that are rented: planned with their prices, made after the yes, ended when they are drained.

A plan sees a slot without a machine as what its instance type will have (cloud.predicted). After the yes Pulumi makes
it (`expand`), it is met for the first time (meeting.py), and the plan is made again from what it really has.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hostler.cloud import catalogue, live, offer, predicted, userdata
from hostler.cloud.candidates import LeftOut
from hostler.cloud.offer import Offer
from hostler.cloud.types import Rented, RentResult
from hostler.console.out import Out
from hostler.errors import HostlerError, Problem, ProvisionError, RefusedError
from hostler.hosts.types import Seen
from hostler.models.types import Placement
from hostler.rollout import home, meeting, networks, rented, stackkey, starting, wishing
from hostler.rollout.observe import Observation, questions_of
from hostler.rollout.rented import Cloud
from hostler.rollout.session import Session, session
from hostler.rollout.sweep import Beside

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet


def planned(observation: Observation, tell: Out) -> Observation:
    """With what is missing as it will be, what AWS offers for it, and Pulumi's preview of what is rented. Asks AWS,
    changes nothing. Raises ProvisionError where a pool has no candidate at all."""
    cloud = observation.cloud
    if cloud is None:
        return observation
    beside = Beside(observation.file, cloud)
    tell.live("asking AWS for machines and prices")
    offers = offered(observation, cloud)
    seen = {**observation.seen, **_predicted(observation, cloud, offers)}
    found = replace(observation, seen=seen, offers=offers)
    fleet = wishing.fleet_of(found, tell)
    tell.live("pulumi: what differs from what is rented")
    preview = fleet.preview(
        found.owned, lambda name: found.seen[name], wishing.wished(found, cloud, fleet, {})
    )
    record = observation.record
    left = wishing.without_ended(cloud, preview, record.slots if record else None)
    return replace(found, swept=beside.answer(observation.record), preview=left)


def offered(observation: Observation, cloud: Cloud) -> dict[str, Offer]:
    """By pool with slots to fill."""
    pools = observation.file.stack.pools
    asked = dict.fromkeys(cloud.slots.slots[slot].pool for slot in cloud.slots.fill)
    found = {name: offer.ask(aws) for name in asked if (aws := pools[name].aws)}
    for name, one in found.items():
        if not one.choice.candidates:
            raise ProvisionError(
                *(_left_out(observation, name, out.what, out.why) for out in one.choice.left_out)
            )
    return found


def _left_out(observation: Observation, pool: str, what: str, why: str) -> Problem:
    return Problem(
        where=observation.file.where(f"pools.{pool}.aws"),
        expected="a machine that can be tried",
        got=f"{what}: {why}",
        next_step="name further types or regions, or a higher max_price",
    )


def _predicted(observation: Observation, cloud: Cloud, offers: Mapping[str, Offer]) -> dict[str, Seen]:
    found: dict[str, Seen] = {}
    for name in cloud.slots.fill:
        slot = cloud.slots.slots[name]
        way = offers[slot.pool].choice.candidates[0]
        kind = catalogue.describe(way.instance, way.region)
        questions = questions_of(observation.file)
        found[name] = predicted.seen(name, kind, slot.disk_gib, questions, time.time())
    return found


def due(observation: Observation) -> bool:
    """Whether something is to be made, mended or started in the cloud before the hosts' turn."""
    if (cloud := observation.cloud) is None:
        return False
    changed = (
        any(change.op != "delete" for change in observation.preview.changes) if observation.preview else False
    )
    return bool(cloud.slots.fill or cloud.unmet or cloud.dead or starting.due(cloud)) or changed


# -- after the yes ----------------------------------------------------------------------------------------


def expand(observation: Observation, out: Out, *, partial: bool) -> tuple[str, ...]:
    """Makes what is added and mends what was changed by hand; retiring machines stay. Where a slot could not be filled:
    returns it with `partial`; else ends what this run made, and raises ProvisionError with every candidate's reason."""
    record = home.record_or_first(observation)
    if (cloud := observation.cloud) is None:
        return ()
    reached = [
        name for name, seen in observation.seen.items() if seen.reached and not predicted.is_predicted(seen)
    ]
    at_home = observation.gateway.name in reached
    with (
        session(record, observation.gateway, observation.every, reached, out, why="up")
        if at_home
        else nullcontext()
    ):
        cloud = _unmoved(observation, cloud)
        rented.remember(observation.file)
        starting.start(observation, cloud, out)
        return _expand(observation, cloud, out, partial=partial)


def _unmoved(observation: Observation, cloud: Cloud) -> Cloud:
    """What was planned on still stands: somebody may have rented or ended machines between the plan and the lock, and
    what is not wished would be ended. With the documents of now."""
    now = rented.known(observation.file)
    if {s: m.id for s, m in now.rented.items()} != {s: m.id for s, m in cloud.rented.items()}:
        raise RefusedError.of(
            observation.file.stack.stack,
            expected="the machines on which the plan was made",
            got=f"others: {', '.join(now.rented) or 'none'} instead of {', '.join(cloud.rented) or 'none'}",
            next_step="run it again: somebody else changed what is rented meanwhile",
        )
    return replace(cloud, documents=now.documents, regions=now.regions)


def _expand(observation: Observation, cloud: Cloud, out: Out, *, partial: bool) -> tuple[str, ...]:
    fleet = wishing.fleet_of(observation, out)
    stackkey.share(observation.file, fleet)
    networks.note(observation, fleet)
    if cloud.dead:
        out.say(f"ending {', '.join(cloud.dead)}: never answered since the start")
        fleet.retire(cloud.dead)
    wish = wishing.wished(observation, cloud, fleet, first := _first_keys(cloud))
    documents = {
        **cloud.documents,
        **{slot: _born(observation, cloud, slot, key) for slot, key in first.items()},
    }
    fleet.keep(rented.HOSTS, documents)
    regions = {way.region for slot in wish.slots for way in slot.candidates}
    fleet.keep(rented.REGIONS, {"regions": sorted({*cloud.regions, *regions})})
    out.live("pulumi: renting")
    result = wishing.rent(observation, fleet, wish)
    _tell(result, out)
    if result.unfilled and (not partial or not (result.rented or observation.owned)):
        _give_back(observation, cloud, fleet, result, out)
        raise _unfilled(observation, result)
    for slot in result.unfilled:
        out.say(f"note: goes on without {slot}")
    documents = wishing.priced(observation, cloud, fleet, result, documents)
    fresh = [m for m in result.rented if not documents.get(m.slot, {}).get("met")]
    meeting.meet(observation.file, fleet, fresh, documents, record=home.record_or_first(observation), out=out)
    if fresh:  # they are adopted: their lease is that of a host that serves
        wishing.rent(
            observation, fleet, wishing.wished(observation, wishing.standing(cloud, result.rented), fleet, {})
        )
    return result.unfilled


def _born(observation: Observation, cloud: Cloud, slot: str, key: userdata.HostKey) -> dict[str, Any]:
    """A slot's entry on paper. A key of before stays on it as long as its host may be an orphan that is adopted."""
    before: Mapping[str, Any] = cloud.documents.get(slot, {})
    keys: list[str] = [] if before.get("met") else before.get("keys", [])
    images = (observation.offers or {})[cloud.slots.slots[slot].pool].images
    return {"keys": [key.public, *keys], "user": next(iter(images.values())).user}


def _first_keys(cloud: Cloud) -> dict[str, userdata.HostKey]:
    return {slot: userdata.host_key() for slot in cloud.slots.fill}


def _tell(result: RentResult, out: Out) -> None:
    for machine in result.rented:
        out.say(f"{machine.slot}: {machine.candidate} ({machine.id})")


def _unfilled(observation: Observation, result: RentResult) -> ProvisionError:
    """Every candidate with its own reason, and what was not tried."""
    cloud, offers = observation.cloud, observation.offers or {}
    pools = {slot: cloud.slots.slots[slot].pool for slot in result.unfilled} if cloud else {}
    return ProvisionError(
        *(_nothing(slot, result, offers[pools[slot]].choice.left_out) for slot in result.unfilled)
    )


def _nothing(slot: str, result: RentResult, left_out: Sequence[LeftOut]) -> Problem:
    reasons = [f"{one.candidate}: {one.code}: {one.text}" for one in result.refusals if one.slot == slot]
    reasons += [f"{one.what}: {one.why}" for one in left_out]
    return Problem(
        where=slot,
        expected=f"one of {len(reasons)} machines",
        got="none: " + "; ".join(reasons),
        next_step="try later, name further types or regions, or go on with what there is: --partial",
    )


def _give_back(observation: Observation, cloud: Cloud, fleet: Fleet, result: RentResult, out: Out) -> None:
    """What this run made is not kept half. What goes wrong with that is said, and does not hide why."""
    fresh = [machine.slot for machine in result.rented if machine.slot in cloud.slots.fill]
    if not fresh:
        return
    out.say(f"giving back {', '.join(fresh)}: not all were to be had (`--partial` keeps them)")
    try:
        _without(observation, cloud, fleet, [m for m in result.rented if m.slot not in fresh])
    except HostlerError as error:
        out.say(
            f"warning: {', '.join(fresh)} still there: {error.problems[0]}; half an hour after its start it ends itself"
        )


def _without(observation: Observation, cloud: Cloud, fleet: Fleet, kept: Sequence[Rented]) -> None:
    """Only these stay, and what hangs on the others (groups, networks) goes with them."""
    stays = {machine.slot: cloud.slots.slots[machine.slot] for machine in kept}
    slots = replace(cloud.slots, slots=stays, fill=(), retire=())
    wishing.rent(
        observation,
        fleet,
        wishing.wished(observation, replace(wishing.standing(cloud, kept), slots=slots), fleet, {}),
    )


def started(observation: Observation, out: Out, *, yes: bool) -> bool:
    """Where the gateway's own machine was stopped by hand, nobody knows the record: it is started after a yes, so that
    it can be looked at again."""
    cloud, name = observation.cloud, observation.gateway.name
    machine = cloud.rented.get(name) if cloud and not observation.home_known else None
    if machine is None or not machine.stopped:
        return False
    out.say(f"{name}: {machine.id} was stopped outside of hostler; it has the gateway")
    if not out.confirm(f"Start {name}?", yes=yes):
        return False
    live.start([machine], out.say)
    return True


def let_in(observation: Observation, out: Out, *, yes: bool) -> bool:
    """Where this machine comes from another network than the last time, and rented hosts are silent: lets it in after a
    yes, so that they can be looked at again. Nothing else of them changes."""
    cloud = observation.cloud
    if cloud is None or not cloud.uid or not networks.automatic(observation):
        return False
    silent = [
        slot
        for slot, machine in cloud.in_use.items()
        if slot not in cloud.unmet and not machine.stopped and not observation.seen[slot].reached
    ]
    fleet = wishing.fleet_of(observation, out)
    if not silent or not (here := networks.fresh(fleet)):
        return False
    out.say(
        f"{', '.join(silent)}: no answer; this machine comes from {here} now, which rented hosts do not let in yet"
    )
    if not out.confirm(f"Let {here} in?", yes=yes):
        return False
    networks.note(observation, fleet)
    _without(observation, cloud, fleet, list(cloud.rented.values()))
    return True


def stays(observation: Observation, run: Session) -> None:
    """Hosts that serve are not ended by the lease of their trial any more; where the gateway is stands beside the state,
    for the day on which nobody can ask it."""
    slot = "" if observation.gateway.owned else observation.gateway.name
    if observation.cloud and not observation.cloud.why and observation.cloud.home != slot:
        wishing.fleet_of(observation, run.out).keep(rented.HOME, {"slot": slot})
    for host in observation.hosts:
        if not host.owned and host.name in run.transports:
            run.call(host.name, "adopt", uid=run.record.uid)


def contract(observation: Observation, out: Out, drained: Collection[str]) -> None:
    """Ends the machines of retiring and parked slots, or stops them, which are drained. One that does not answer may be
    busy: it stays until it does. `drained`: hosts that this run could drain; one that answers since may be busy as well."""
    cloud = observation.cloud
    if cloud is None or cloud.why:  # where AWS cannot be asked, nothing of it is changed either
        return
    still = _still(cloud)
    silent = [
        s for s in cloud.slots.retire if s not in still and not (observation.seen[s].reached and s in drained)
    ]
    for slot in silent:
        out.say(
            f"note: {slot} does not answer, so it cannot be drained, and is not ended: `hostler up` again"
        )
    live.stop([cloud.rented[slot] for slot in cloud.slots.stop if slot not in silent], out.say)
    gone = [slot for slot in cloud.slots.retire if slot not in (*silent, *cloud.slots.stop)]
    past = [slot for slot in cloud.lost if slot not in cloud.slots.fill]  # only the state still has them
    if gone or past or wishing.former_gateway(observation, cloud):  # clients reach that one no more
        out.live(f"pulumi: giving back {', '.join((*gone, *past)) or 'the way to the former gateway'}")
        kept = [machine for slot, machine in cloud.rented.items() if slot not in gone]
        record = replace(home.record_or_first(observation), gateway_host=observation.gateway.name)
        _without(replace(observation, record=record), cloud, wishing.fleet_of(observation, out), kept)
    for slot in gone:
        out.say(f"gone: {slot}")


def _still(cloud: Cloud) -> tuple[str, ...]:
    """Those of which the machines are stopped, now as when it was planned: nothing runs there."""
    stopped = [cloud.rented[slot] for slot in cloud.slots.retire if cloud.rented[slot].stopped]
    now = [one.slot for one in live.live(stopped).values() if not one.stopped] if stopped else []
    return tuple(one.slot for one in stopped if one.slot not in now)


def as_predicted(before: Placement, now: Placement) -> bool:
    """Whether the same replicas stand on the same hosts with as many cards each; which ones could not be known."""

    def seats(placement: Placement) -> set[tuple[str, str, int]]:
        return {(r.id, m.host, len(m.cards)) for r in placement.replicas for m in r.members}

    return seats(before) == seats(now)
