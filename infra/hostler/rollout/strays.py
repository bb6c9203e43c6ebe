"""Rented things of this stack that its state does not know and whose lease is over: shown, and ended when told."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hostler.cloud import account, removal
from hostler.cloud.types import Holding
from hostler.errors import HostlerError
from hostler.rollout import ending, rented
from hostler.rollout.findings import Finding, bad, good
from hostler.rollout.observe import Observation


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
            good(one.holding.region, f"ended stray {named(one.holding)}")
            if one.gone
            else bad(one.holding.region, f"stray {named(one.holding)}: {one.why}", "run it again")
        )
    for one in () if remove else found:
        yield bad(
            one.region,
            f"stray {named(one)}: it costs, and no state knows it",
            "hostler doctor --remove-strays",
        )
    if not found:
        regions = ", ".join(ending.regions_of(observation)) or "no region yet"
        yield good(stack, f"no strays in {regions}")


def of(observation: Observation) -> tuple[Holding, ...]:
    """Raises ProvisionError."""
    if not (uid := uid_of(observation)):
        return ()
    held = account.holdings(ending.regions_of(observation), uid)
    known = [
        str(item["id"])
        for item in rented.fleet_of(observation.file).export().get("resources") or ()
        if item.get("id")
    ]
    return account.strays(held, uid, known, time.time())


def uid_of(observation: Observation) -> str:
    """The record's, or the state's where no host has a record; empty: the stack was never up."""
    if observation.record:
        return observation.record.uid
    return observation.cloud.uid if observation.cloud else ""


def named(holding: Holding) -> str:
    return f"{holding.kind} {holding.id}" + (f" ({holding.slot})" if holding.slot else "")
