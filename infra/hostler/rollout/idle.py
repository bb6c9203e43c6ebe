"""`hostler idle`: what each host judged of itself and its replicas, by one look at all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hostler.configure import idling
from hostler.configure.wish import Wish
from hostler.leases import judging, view
from hostler.leases.judging import Subject, Wishes
from hostler.leases.view import View
from hostler.models.release import live_release
from hostler.models.types import Placement
from hostler.node.idle.looks import Policy
from hostler.record.types import Record
from hostler.rollout.observe import Observation
from hostler.stackfile.sections import StackFile


def subjects(observation: Observation) -> tuple[Subject, ...]:
    """Each replica, then each host. None where the stack is not up."""
    record = observation.record
    if record is None:
        return ()
    now = time.monotonic()
    wanted = wishes(observation.file, record)
    return judging.subjects(
        views(observation, now), record.gateway_host, record.replicas, wanted, now, time.time()
    )


def views(observation: Observation, now: float) -> dict[str, View]:
    """What each host judged last by itself, at `now` on this process' monotonic clock."""
    return {host.name: view.of_seen(host, observation.seen[host.name], now) for host in observation.hosts}


def wishes(file: StackFile, record: Record) -> Wishes:
    """Policies by replica and by host, as each host has its own in its idle.json."""
    live = live_release(record)
    if live is None:
        return Wishes(replicas={}, hosts={})
    hosts = tuple(record.hosts.values())
    placement = Placement(replicas=record.replicas)
    wish = Wish(file=file, hosts=hosts, seen={}, release=live, placement=placement, record=record)
    replicas = {name: one for host in hosts for name, one in idling.of_replicas(wish, host).items()}
    own = {host.name: one for host in hosts if (one := idling.of_host(wish, host)) is not None}
    return Wishes(replicas=_parsed(replicas), hosts=_parsed(own))


def _parsed(found: Mapping[str, Any]) -> dict[str, Policy]:
    return {name: Policy.from_json(one) for name, one in found.items()}
