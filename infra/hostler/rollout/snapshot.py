"""All that `hostler status --json` says, and the controller's page: made here, once for both."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hostler.console import slots, status, updates
from hostler.hosts.types import Host, Seen, Slot
from hostler.leases import first_tokens, rows
from hostler.leases.judging import Subject
from hostler.models.types import Release
from hostler.record.types import Record
from hostler.rollout import cost, home, idle, lastknown, refused, releases, sweep
from hostler.rollout.observe import Observation
from hostler.stackfile import idling, updating
from hostler.stackfile.sections import StackFile


def snapshot(
    file: StackFile,
    hosts: Sequence[Host],
    seen: Mapping[str, Seen],
    record: Record | None,
    now: float,
    *,
    known: bool = True,
    subjects: Iterable[Subject] = (),
    **others: Any,
) -> dict[str, Any]:
    """`now` in seconds since 1970; `subjects`: what is idle; `others`: cloud, slots, strays, money, errors, as rows."""
    found = status.report(hosts, seen, record, now, known=known)
    home = seen.get(record.gateway_host) if record else None
    keys = refused.keys(home, now) if idling.refuses(file.stack) else {}
    return {
        **found,
        "at": now,
        "updates": updates.row(file.stack.updates, home, now),
        "idle": rows.rows(subjects, saves(hosts, record)),
        "refused": None
        if keys is None
        else [{"key": name, "until": one.until, "text": one.lifted(name)} for name, one in keys.items()],
        "last_change": _last_change(record),
        "next_window": _next_window(file, now),
        **others,
    }


def of(observation: Observation, now: float, *, money: bool = False) -> dict[str, Any]:
    """Of one look at everything. `money`: the ledger is read besides."""
    cloud, file = observation.cloud, observation.file
    rented = [name for name, pool in file.stack.pools.items() if pool.aws]
    unknown = rented if cloud and cloud.why else None
    found = snapshot(
        file,
        observation.hosts,
        observation.seen,
        observation.record,
        now,
        known=not home.unknown(observation),
        subjects=idle.subjects(observation),
        cloud=lastknown.row(cloud, now),
        strays=sweep.row(observation.swept),
        slots=slots.rows(cloud.slots.slots, cloud.rented, unknown=unknown) if cloud else [],
        updates=updates.row(file.stack.updates, observation.seen.get(observation.gateway.name), now),
        money=cost.of(observation, now) if money else None,
        errors=[],
    )
    there = observation.record.replicas if observation.record else ()
    clock = time.monotonic()
    models = first_tokens.models(found["models"], there, idle.views(observation, clock), clock)
    return {**found, "models": models, "warnings": [*found["warnings"], *sweep.leases(cloud, now)]}


def saves(hosts: Sequence[Host], record: Record | None) -> dict[str, str]:
    """What a rented host costs an hour, by its name: that is saved when it is given back. Unknown prices are not there."""
    known = record.slots if record else dict[str, Slot]()
    prices = {host.name: known[host.name].price for host in hosts if host.name in known}
    return {name: f"{price:.2f} USD/h" for name, price in prices.items() if price is not None}


def _last_change(record: Record | None) -> dict[str, Any] | None:
    """The newest release: what it changed, who made it, and how it ended."""
    if record is None or not record.releases:
        return None
    newest = max(record.releases, key=lambda release: release.number)
    row = next(row for row in releases.rows(record) if row["release"] == newest.number)
    return {
        "release": newest.number,
        "what": "; ".join(row["changed"]) or newest.why,
        "who": newest.who,
        "at": newest.when,
        "ended": row["ended"].partition(":")[0],
        "why": _why(newest),
    }


def _why(release: Release) -> str:
    return release.ended.partition(": ")[2] or release.why


def _next_window(file: StackFile, now: float) -> dict[str, Any] | None:
    """When changes may be made without anyone the next time."""
    wanted = file.stack.updates
    if wanted is None or not updating.unattended(wanted):
        return None
    if not wanted.window:
        return {"opens": now, "text": "at any time"}
    return {"opens": updating.window(wanted.window).opens(now), "text": wanted.window}
