"""Machines that gave themselves back: an idle one shuts itself down, and AWS ends it for good, or with `do: stop` keeps its
disk.

That is no loss and no drift. Its slot is parked until `wake`; its replicas keep their places, as those of a host that is
off do, and the gateway goes on knowing them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from hostler.cloud import live
from hostler.console.out import Out
from hostler.hosts.types import PARKED, Host, Seen, Slot
from hostler.record.types import Record
from hostler.rollout.session import session
from hostler.stackfile import idling
from hostler.stackfile.sections import Stack, StackFile

if TYPE_CHECKING:
    from hostler.rollout.observe import Observation
    from hostler.rollout.rented import Cloud


def of(
    file: StackFile,
    cloud: Cloud,
    known: Mapping[str, Slot],
    *,
    wake: Collection[str] = (),
    need: Collection[str] = (),
) -> dict[str, str]:
    """The code of its end by slot, of those that gave themselves back and stay so; `wake`: pools, and `need`:
    slots, that are woken. What ended by a shutdown from inside did it itself; where AWS has forgotten how, what its pool does with idle machines
    decides. Never one that nobody met: what ends that is the lease of its birth; nor the gateway's."""
    went = {name: cloud.ended[name] for name in cloud.lost if name in cloud.ended}
    went |= {
        name: machine.stopped_by
        for name, machine in cloud.rented.items()
        if machine.stopped and machine.stopped_by == live.BY_ITSELF and not cloud.why
    }
    return {
        name: code
        for name, code in went.items()
        if code in (live.BY_ITSELF, live.FORGOTTEN)
        and cloud.documents.get(name, {}).get("met")
        and name != cloud.home
        and name not in need
        and (slot := known.get(name))
        and slot.state == "wanted"
        and slot.pool not in wake
        and ends_idle(file.stack, slot.pool)
        and (name in cloud.lost or idling.stops_in_the_cloud(file.stack, slot.pool))
    }


def ends_idle(stack: Stack, pool: str) -> bool:
    """Whether idle machines of a rented pool end themselves."""
    if pool not in stack.pools or not stack.pools[pool].aws:
        return False
    policy = idling.of_pool(stack, pool)
    return policy is not None and policy.do in ("terminate", "stop") and not policy.shadow


def words(pool: str, code: str, *, stopped: bool = False) -> str:
    """For a plan."""
    if stopped:
        return f"stopped itself when idle; its disk is kept, and costs; `hostler wake {pool}` starts it"
    how = (
        "gave itself back when idle"
        if code == live.BY_ITSELF
        else "AWS has forgotten how it ended; its pool gives idle machines back, so it counts as that, not as lost"
    )
    return f"{how}; `hostler wake {pool}` brings it back"


def asleep(file: StackFile, cloud: Cloud, record: Record | None) -> tuple[Host, ...]:
    """Hosts of parked slots on which replicas keep their places: as they were, though nothing is there."""
    if record is None:
        return ()
    placed = {replica.members[0].host for replica in record.replicas}
    return tuple(
        replace(record.hosts[name], where=file.where(f"pools.{slot.pool}"))
        for name, slot in cloud.slots.slots.items()
        if slot.state == "parked" and slot.given_back and slot.pool in file.stack.pools
        and name in placed and name in record.hosts and (bool(cloud.why) or name not in cloud.in_use)
    )  # fmt: skip


def seen(host: Host, at: float | None = None) -> Seen:
    """What a look at one answers."""
    return Seen(
        host=host.name,
        at=time.time() if at is None else at,
        seconds=0.0,
        error=PARKED,
        error_kind="absent",
        next_step=f"hostler wake {host.pool}",
    )


def note(observation: Observation, out: Out) -> None:
    """Writes down which slots gave themselves back, and what else became of a slot where nothing is to be done: whoever may
    not ask AWS, as the controller, knows it then."""
    cloud, record = observation.cloud, observation.record
    if cloud is None or cloud.why or record is None:
        return
    news = {
        name: slot
        for name, slot in cloud.slots.slots.items()
        if name in cloud.gave or (name in record.slots and _stands(slot) != _stands(record.slots[name]))
    }
    if not news:
        return
    reached = [name for name, one in observation.seen.items() if one.reached]
    with session(record, observation.gateway, observation.every, reached, out, why="parked") as run:
        run.commit(replace(run.record, slots={**run.record.slots, **news}))
    for state in sorted({slot.state for slot in news.values()}):
        out.say(f"{state}: {', '.join(sorted(n for n, slot in news.items() if slot.state == state))}")


def _stands(slot: Slot) -> tuple[str, bool, bool]:
    return slot.state, slot.given_back, slot.stopped
