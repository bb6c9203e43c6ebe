"""Rented things of this stack that its state does not know and whose lease is over: found, planned, and ended when told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hostler.cloud import removal
from hostler.cloud.removal import Removed
from hostler.cloud.types import Holding
from hostler.configure.types import Change, Notice
from hostler.console.out import Out
from hostler.errors import HostlerError
from hostler.rollout import sweep
from hostler.rollout.findings import Finding, bad, good
from hostler.rollout.lastknown import date
from hostler.rollout.observe import Observation

if TYPE_CHECKING:
    from hostler.rollout.planning import Draft

ACCOUNT = "account"  # the part of such a change


def findings(observation: Observation, *, remove: bool) -> Iterator[Finding]:
    """In every region that the stack ever used. What cannot be asked is a finding, too."""
    if observation.cloud is None or observation.cloud.why:  # it cannot be asked, which is a finding already
        return
    stack = observation.file.stack.stack
    try:
        found = of(observation)
        gone = removal.remove(found) if remove and found else ()
    except HostlerError as error:
        for problem in error.problems:
            yield bad(problem.where, f"expected {problem.expected}; got {problem.got}", problem.next_step)
        return
    for one in gone:
        yield (
            good(one.holding.region, f"ended stray {sweep.named(one.holding)}")
            if one.gone
            else bad(one.holding.region, f"stray {sweep.named(one.holding)}: {one.why}", "run it again")
        )
    for one in () if remove else found:
        yield bad(
            one.region,
            f"stray {sweep.named(one)}: it costs, and no state knows it",
            "hostler doctor --remove-strays",
        )
    if not found:
        regions = ", ".join(sweep.regions(observation.file, observation.cloud)) or "no region yet"
        yield good(stack, f"no strays in {regions}")


def of(observation: Observation) -> tuple[Holding, ...]:
    """As it is now. Raises ProvisionError."""
    if observation.cloud is None:
        return ()
    found = sweep.listed(observation.file, observation.cloud, uid_of(observation))
    return sweep.unrecorded(found, observation.record)


def uid_of(observation: Observation) -> str:
    """The record's, or the state's where no host has a record; empty: the stack was never up."""
    if observation.record:
        return observation.record.uid
    return observation.cloud.uid if observation.cloud else ""


def changes(observation: Observation) -> Iterator[Change]:
    """What `up` ends, and what it costs until then."""
    for stray in observation.swept.strays if observation.swept else ():
        one = stray.holding
        over = f"its lease was over {date(one.lease)}" if one.lease else "it has no lease"
        yield Change(
            host="",
            part=ACCOUNT,
            item=f"{one.kind}:{one.id}",
            action="remove",
            now=f"{' '.join(word for word in (one.what, 'in', one.region) if word)}, {stray.cost}",
            then="ended",
            why=f"stray{f' of {one.slot}' if one.slot else ''}: no state knows it, and {over}",
        )


def notices(observation: Observation) -> Iterator[Notice]:
    """That nobody knows is no reason to change nothing else."""
    for problem in observation.swept.why[:1] if observation.swept else ():
        yield Notice(level="warning", text=f"strays are not known: {problem}", next_step=problem.next_step)


def end(draft: Draft, out: Out) -> tuple[Draft, tuple[Removed, ...]]:
    """The plan without them, and those that are still there. One that the state knows by now, or whose lease is longer
    again, is none any more, and stays. Raises ProvisionError."""
    planned = (
        [stray.holding.id for stray in draft.observation.swept.strays] if draft.observation.swept else []
    )
    if not planned:
        return draft, ()
    out.live(f"ending {len(planned)} strays")
    removed = removal.remove([one for one in of(draft.observation) if one.id in planned])
    for one in removed:
        if one.gone:
            out.say(f"gone: stray {sweep.named(one.holding)} in {one.holding.region}")
    return _without(draft), tuple(one for one in removed if not one.gone)


def _without(draft: Draft) -> Draft:
    left: Sequence[Change] = [change for change in draft.plan.changes if change.part != ACCOUNT]
    return replace(
        draft,
        plan=replace(draft.plan, changes=tuple(left)),
        observation=replace(draft.observation, swept=None),
    )
