"""Machines that were stopped are started, and waited for: until they answer, and until what stood on them serves again."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping

from hostler.cloud import live
from hostler.configure import idling
from hostler.console.out import Out
from hostler.console.status import HEALTHY
from hostler.hosts.types import Seen, Value
from hostler.models.types import Replica
from hostler.rollout import observe, rented
from hostler.rollout.observe import Observation
from hostler.rollout.rented import Cloud

READY_S = 300.0  # from its start to its first answer
LOAD_S = 900.0  # from then until its engines are ready; what is not by then `up` judges
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
    names = [name for name in due(cloud) if cloud.rented[name].stopped]
    if not names:
        return
    live.start([cloud.rented[name] for name in names], out.say)
    out.live(f"waiting until {', '.join(names)} answers")
    record = observation.record
    replicas = [r for r in (record.replicas if record else ()) if r.members[0].host in names]
    begun, answered = time.monotonic(), 0.0
    while True:
        seen = _look(observation, names)
        now = time.monotonic()
        if all(one.reached for one in seen.values()):
            answered = answered or now
            if not _loading(replicas, seen) or now - answered > LOAD_S:
                return
        elif now - begun > READY_S:
            return
        time.sleep(EVERY_S)


def _look(observation: Observation, names: Collection[str]) -> Mapping[str, Seen]:
    """Where they are now: an address may be another one after each start."""
    hosts = rented.known(observation.file).hosts
    there = tuple(hosts[name] for name in names if name in hosts)
    return observe.look(there, observe.questions_of(observation.file)) if there else {}


def _loading(replicas: Iterable[Replica], seen: Mapping[str, Seen]) -> bool:
    """Whether one of them is on its way: there, and neither ready nor asleep."""
    values = (seen[r.members[0].host].observed.get(f"replica:{r.id}") for r in replicas)
    found = [value.value for value in values if isinstance(value, Value)]
    return any(one.get("health") != HEALTHY and not idling.is_asleep(one) for one in found)
