"""Machines that were stopped are started, and waited for: until they answer, and until what stood on them serves again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hostler.cloud import live
from hostler.cloud.types import Rented
from hostler.configure import idling
from hostler.console.out import Out
from hostler.console.status import HEALTHY, LOADING
from hostler.hosts.types import Host, Seen, Value
from hostler.models.types import Replica
from hostler.rollout import observe
from hostler.rollout.observe import Observation
from hostler.rollout.rented import Cloud

READY_S = 300.0  # from its start to its first answer
LOAD_S = 900.0  # from then until its engines, which load, are ready; what is not by then `up` judges
BEGIN_S = 120.0  # the same, until they begin to load
EVERY_S = 2.0


def due(cloud: Cloud) -> tuple[str, ...]:
    """Slots whose machines are to run, and do not. What goes is not started for that: nothing runs on it."""
    return tuple(
        name
        for name, machine in cloud.in_use.items()
        if machine.state != "running" and name not in cloud.slots.retire
    )


def start(observation: Observation, cloud: Cloud, out: Out) -> None:
    """Raises ProvisionError where AWS does not start them. One that does not answer then is for the next look to tell."""
    machines = [cloud.rented[name] for name in due(cloud) if cloud.rented[name].stopped]
    if not machines:
        return
    live.start(machines, out.say)
    hosts = _where_they_are(cloud, machines)
    record = observation.record
    replicas = [r for r in (record.replicas if record else ()) if r.members[0].host in hosts]
    if hosts:
        out.live(f"waiting until {', '.join(hosts)} answers")
        _wait(tuple(hosts.values()), observe.questions_of(observation.file), replicas)


def _where_they_are(cloud: Cloud, machines: Iterable[Rented]) -> Mapping[str, Host]:
    """A start gives another address; one that has ended since is none."""
    return {
        name: replace(host, ssh=replace(host.ssh, address=machine.public_ip or machine.private_ip))
        for name, machine in live.live(machines).items()
        if (host := cloud.hosts.get(name))
    }


def _wait(hosts: tuple[Host, ...], questions: Sequence[str], replicas: Sequence[Replica]) -> None:
    begun, answered = time.monotonic(), 0.0
    while True:
        seen, now = observe.look(hosts, questions), time.monotonic()
        if not answered and all(one.reached for one in seen.values()):
            answered = now
        limit = answered + _worth(replicas, seen) if answered else begun + READY_S
        if now >= limit:
            return
        time.sleep(EVERY_S)


def _worth(replicas: Iterable[Replica], seen: Mapping[str, Seen]) -> float:
    """Seconds for which to wait from their answer on: 0, all are ready or asleep. What does not even load may be broken,
    and the next plan mends it."""
    found = [_health(seen.get(one.members[0].host), one.id) for one in replicas]
    return max(({HEALTHY: 0.0, LOADING: LOAD_S}.get(health, BEGIN_S) for health in found), default=0.0)


def _health(seen: Seen | None, replica: str) -> int:
    """0: it does not answer."""
    value = seen.observed.get(f"replica:{replica}") if seen else None
    said: Mapping[str, Any] = value.value if isinstance(value, Value) else {}
    return HEALTHY if idling.is_asleep(said) else int(said.get("health") or 0)
