"""A rented machine that is too old gets a successor, as whoever rents again does it (renting.py): another one comes, serves,
and the old one is drained and ends.

Begun and interrupted, it goes forward. One whose successor does not come to serve goes back at once: the old one stays, and
the successor ends. Only what is begun anew looks at age, hours, and whether the old one answers at all.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Sequence

from hostler.cloud.slots import OLD
from hostler.console.out import Out
from hostler.controller.interrupted import mine
from hostler.errors import ConfigureError, HostlerError, RefusedError
from hostler.manifest.items import Effect
from hostler.node.idle import hours
from hostler.rollout import observe, starting, turns, up
from hostler.rollout.observe import Observation
from hostler.rollout.planning import Draft
from hostler.stackfile import idling
from hostler.stackfile.sections import StackFile

RENEW = "renew."  # before a slot's name, as no slot's begins
FAILED = "got no successor"


def succeed(file: StackFile, out: Out, slot: str) -> str:
    """What there is to tell of it; empty: it needs none (any more). Raises HostlerError, with the old one in its place where
    the other had been begun."""
    turn = _turn(file, observe.observe(file, pulumi=False), slot)
    if turn is None:
        out.say(f"{slot}: it needs no successor now")
        return ""
    try:
        up.up(file, out, _options(slot, turn, f"{slot}: {OLD}"))
    except (
        RefusedError
    ):  # nothing was begun; or the old one answers longer than a drain lasts, and the other serves
        raise
    except HostlerError as error:
        _back(file, out, slot, error)
        raise
    return f"{slot}: {OLD}; another took its place"


def _turn(file: StackFile, found: Observation, slot: str) -> up.Turn | None:
    known = found.record.slots.get(slot) if found.record else None
    machine = found.cloud.rented.get(slot) if found.cloud else None
    if known is None or machine is None:
        return None
    if known.state == "retiring":
        return up.Turn()
    idle = idling.of_pool(file.stack, known.pool) if known.pool in file.stack.pools else None
    if known.state != "wanted" or machine.since is None or idle is None or idle.max_age is None:
        return None
    now, seen = time.time(), found.seen.get(slot)
    free = not idle.shadow and not hours.within(idle.hours or "", now)
    answers = seen is not None and seen.reached
    return up.Turn(renew=(slot,)) if free and answers and now - machine.since > idle.max_age else None


def _back(file: StackFile, out: Out, slot: str, error: HostlerError) -> None:
    """Raises ConfigureError with both where that fails as well: the next one goes forward again."""
    record = observe.observe(file, pulumi=False).record
    if record is None or record.journal is None or not mine(record.journal):
        return
    turn = turns.back(record)
    if slot not in turn.keep:
        return
    out.say(f"{slot}: it stays, as its successor does not serve")
    try:
        up.up(file, out, _options(slot, turn, f"{slot}: it stays"))
    except HostlerError as stuck:
        raise ConfigureError(*error.problems, *stuck.problems) from error


def _options(slot: str, turn: up.Turn, why: str) -> up.Options:
    return up.Options(yes=True, turn=turn, why=why, check=functools.partial(refuse_more, slot, turn.drop))


def refuse_more(slot: str, others: Collection[str], draft: Draft) -> None:
    """One slot, and what it needs: other machines, strays, and changes that would touch what serves are people's."""
    cloud = draft.observation.cloud
    due = (*cloud.slots.fill, *starting.due(cloud)) if cloud else ()
    own = (slot, *others, *_successors(slot, draft.observation))
    if more := [name for name in due if name not in own]:
        raise refused(slot, "to rent it alone", f"{', '.join(more)} would be rented, too", "hostler up")
    changes = [one for one in draft.plan.changes if one.effect is not Effect.NONE and one.host not in own]
    if touched := [one for one in changes if one.replica]:
        got = f"{touched[0].host}: {touched[0].item} ({touched[0].why})"
        raise refused(slot, "a change that takes nothing from what serves", got, "hostler plan")


def _successors(slot: str, found: Observation) -> Sequence[str]:
    """The one that takes its place, where it goes: wanted in the same pool, without replicas before this began. One that
    the record wants as well is one only where this had begun."""
    record, slots = found.record, found.cloud.slots if found.cloud else None
    if slots is None or slot not in slots.retire:
        return ()
    journal = record.journal if record else None
    before = journal.before.replicas if journal else record.replicas if record else ()
    served = {replica.members[0].host for replica in before}
    known = (
        {n for n, s in record.slots.items() if s.state == "wanted"} if record and not journal else set[str]()
    )
    pool = slots.slots[slot].pool
    new = [name for name, one in slots.slots.items() if one.state == "wanted" and one.pool == pool]
    return [name for name in new if name not in served | known][:1]


def refused(slot: str, expected: str, got: str, step: str) -> RefusedError:
    return RefusedError.of(slot, expected=expected, got=got, next_step=step)
