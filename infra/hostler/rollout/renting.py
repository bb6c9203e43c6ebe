"""Machines that are rented: planned with their prices, made after the yes, ended when they are drained.

A plan sees a slot without a machine as what its instance type will have (cloud.predicted). After the yes Pulumi makes
it (`expand`), it is met for the first time (meeting.py), and the plan is made again from what it really has.
"""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from hostler.cloud import account, catalogue, egress, live, offer, predicted, userdata
from hostler.cloud import wish as wishes
from hostler.cloud.candidates import LeftOut
from hostler.cloud.offer import Offer
from hostler.cloud.types import CloudWish, Holding, RentResult
from hostler.console.out import Out
from hostler.errors import Problem, ProvisionError
from hostler.hosts.types import Seen
from hostler.models.types import Placement
from hostler.record.types import Record
from hostler.rollout import home, meeting, rented, stackkey
from hostler.rollout.observe import Observation, questions_of
from hostler.rollout.rented import Cloud
from hostler.rollout.session import session

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet

MIB = 2**20


def planned(observation: Observation, tell: Out) -> Observation:
    """With what is missing as it will be, what AWS offers for it, and Pulumi's preview of what is rented. Asks AWS,
    changes nothing. Raises ProvisionError where a pool has no candidate at all."""
    cloud = observation.cloud
    if cloud is None:
        return observation
    tell.live("asking AWS for machines and prices")
    offers = offered(observation, cloud)
    seen = {**observation.seen, **_predicted(observation, cloud, offers)}
    found = replace(observation, seen=seen, offers=offers)
    fleet = _fleet(found, tell)
    tell.live("pulumi: what differs from what is rented")
    preview = fleet.preview(found.owned, lambda name: found.seen[name], _wish(found, cloud, fleet, {}))
    return replace(found, preview=preview)


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
    cloud = observation.cloud
    if cloud is None:
        return False
    stopped = any(machine.state != "running" for machine in cloud.rented.values())
    changed = (
        any(change.op != "delete" for change in observation.preview.changes) if observation.preview else False
    )
    return bool(cloud.slots.fill or cloud.unmet) or stopped or changed


# -- after the yes ----------------------------------------------------------------------------------------


def expand(observation: Observation, out: Out, *, partial: bool) -> tuple[str, ...]:
    """Makes what is added and mends what was changed by hand; retiring machines stay. Where a slot could not be filled:
    returns it with `partial`; else ends what this run made, and raises ProvisionError with every candidate's reason."""
    cloud, record = observation.cloud, _record(observation)
    if cloud is None:
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
        rented.remember(observation.file)
        live.start(cloud.rented.values(), out.say)
        return _expand(observation, cloud, out, partial=partial)


def _expand(observation: Observation, cloud: Cloud, out: Out, *, partial: bool) -> tuple[str, ...]:
    fleet = _fleet(observation, out)
    wish = _wish(observation, cloud, fleet, first := _first_keys(cloud))
    stackkey.share(observation.file, fleet)
    users = {slot: _user(observation, cloud, slot) for slot in first}
    born = {slot: {"keys": [key.public], "user": users[slot]} for slot, key in first.items()}
    documents = {**cloud.documents, **born}
    fleet.keep(rented.HOSTS, documents)
    regions = {way.region for slot in wish.slots for way in slot.candidates}
    fleet.keep(rented.REGIONS, {"regions": sorted({*cloud.regions, *regions})})
    out.live("pulumi: renting")
    result = _rent(observation, fleet, wish)
    _tell(result, out)
    if result.unfilled and not partial:
        _give_back(fleet, cloud, result, out)
        raise _unfilled(observation, result)
    for slot in result.unfilled:
        out.say(f"note: goes on without {slot}")
    fresh = [m for m in result.rented if not documents.get(m.slot, {}).get("met")]
    meeting.meet(observation.file, fleet, fresh, documents, record=_record(observation), out=out)
    if fresh:  # they are adopted: their lease is that of a host that serves
        there = replace(cloud, rented={machine.slot: machine for machine in result.rented})
        _rent(observation, fleet, _wish(observation, there, fleet, {}))
    return result.unfilled


def _first_keys(cloud: Cloud) -> dict[str, userdata.HostKey]:
    return {slot: userdata.host_key() for slot in cloud.slots.fill}


def _user(observation: Observation, cloud: Cloud, slot: str) -> str:
    """Who may log in, by the image."""
    images = (observation.offers or {})[cloud.slots.slots[slot].pool].images
    return next(iter(images.values())).user


def _rent(observation: Observation, fleet: Fleet, wish: CloudWish) -> RentResult:
    regions = sorted({way.region for slot in wish.slots for way in slot.candidates})

    def holdings() -> tuple[Holding, ...]:
        return account.holdings(regions, wish.uid)

    return fleet.rent(observation.owned, lambda name: observation.seen[name], wish, holdings=holdings)


def _wish(
    observation: Observation, cloud: Cloud, fleet: Fleet, first: Mapping[str, userdata.HostKey]
) -> CloudWish:
    stack = observation.file.stack
    record = _record(observation)
    public = stackkey.public(observation.file, fleet)
    around = wishes.Around(
        uid=record.uid,
        owner=f"{getpass.getuser()}@{socket.gethostname()}",
        public_key=public,
        ours=ours(observation),
        gateway_slot="" if observation.gateway.owned else observation.gateway.name,
        now=time.time(),
    )
    data = {
        slot: userdata.user_data(uid=record.uid, stack=stack.stack, slot=slot, key=key, public_key=public)
        for slot, key in first.items()
    }
    return wishes.wish(stack, cloud.slots, cloud.rented, observation.offers or {}, data, around)


def ours(observation: Observation) -> tuple[str, ...]:
    """This machine's and the gateway's host's networks, where a pool says `auto`."""
    pools = [pool.aws for pool in observation.file.stack.pools.values() if pool.aws]
    if not any("auto" in (*aws.ssh_from, *aws.gateway_from) for aws in pools):
        return ()
    here = egress.here()
    gateway, seen = observation.gateway, observation.seen.get(observation.gateway.name)
    if not gateway.owned or gateway.ssh.local or not seen or not seen.reached:
        return (here,)
    return tuple(dict.fromkeys((here, meeting.egress_of(gateway))))


def _record(observation: Observation) -> Record:
    return home.record_or_first(observation)


def _fleet(observation: Observation, out: Out) -> Fleet:
    return rented.fleet_of(observation.file, uid=_record(observation).uid, notice=out.say)


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


def _give_back(fleet: Fleet, cloud: Cloud, result: RentResult, out: Out) -> None:
    """What this run made is not kept half."""
    fresh = [machine.slot for machine in result.rented if machine.slot in cloud.slots.fill]
    if fresh:
        out.say(f"giving back {', '.join(fresh)}: not all were to be had (`--partial` keeps them)")
        fleet.retire(fresh)


def contract(observation: Observation, out: Out) -> None:
    """Ends the machines of retiring and parked slots, which are drained. One that does not answer may be busy: it stays
    until it does."""
    cloud = observation.cloud
    if cloud is None:
        return
    silent = [slot for slot in cloud.slots.retire if not observation.seen[slot].reached]
    for slot in silent:
        out.say(
            f"note: {slot} does not answer, so it cannot be drained, and is not ended: `hostler up` again"
        )
    gone = [slot for slot in cloud.slots.retire if slot not in silent]
    past = [slot for slot in cloud.lost if slot not in cloud.slots.fill]  # only the state still has them
    if gone or past:
        out.live(f"pulumi: giving back {', '.join((*gone, *past))}")
        _fleet(observation, out).retire([*gone, *past])
    for slot in gone:
        out.say(f"gone: {slot}")


def as_predicted(before: Placement, now: Placement) -> bool:
    """Whether the same replicas stand on the same hosts with as many cards each; which ones could not be known."""

    def seats(placement: Placement) -> set[tuple[str, str, int]]:
        return {(r.id, m.host, len(m.cards)) for r in placement.replicas for m in r.members}

    return seats(before) == seats(now)
