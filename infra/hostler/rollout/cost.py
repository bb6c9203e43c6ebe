"""`hostler cost`: the ledger's report of a month, and what it costs an hour as it is now."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hostler.console import cost
from hostler.money import given, months, report, shown
from hostler.rollout import costs, home, ledger, refused
from hostler.rollout.ledger import Ledger
from hostler.rollout.observe import Observation
from hostler.stackfile import idling

FIRST_S = 300  # until the first rows
FIGURES = ("today", "so_far", "hourly", "projection", "saved", "shadow")


def of(observation: Observation, now: float, month: str = "") -> dict[str, Any]:
    """All that `hostler cost --json` says. Days and months are UTC's, by which clouds bill. Raises UsageError for what
    is no month."""
    stack = observation.file.stack
    month = months.checked(month) if month else months.month_at(now, UTC)
    wanted = months.files(month, UTC)
    found = ledger.read(observation, wanted)
    rows, before = found.rows, () if found.rows or observation.record else ledger.kept(stack.stack, wanted)
    hours = costs.now(observation)
    currency = given.currency_of(stack) or report.usual(
        (*rows, *before, *(row for one in hours.values() for row in one))
    )
    rating = given.rating_of(stack, currency)
    made = report.report(rows or before, now, currency=currency, rating=rating, month=month)
    why, step = _why(observation, found, bool(before), month)
    acts = idling.refuses(stack) and month == months.month_at(now, UTC)
    told = refused.keys(observation.seen.get(observation.gateway.name), now) if acts else None
    nothing = dict.fromkeys(FIGURES) if not (rows or before) else {}  # no row is no sum of 0
    return {
        **shown.as_json(made, shown.verdicts(stack, made), told),
        **nothing,
        "now": cost.hours(hours, currency, rating),
        "ledger": {
            "rows": len(rows or before),
            "hosts": list(found.hosts),
            "problems": list(found.problems),
            "known": not home.unknown(observation),
            "why": why,
            "next": step,
        },
    }


def _why(observation: Observation, found: Ledger, before: bool, month: str) -> tuple[str, str]:
    """Why there is nothing, or not all; and the next step."""
    stack, name = observation.file.stack, observation.gateway.name
    if before:
        return "the stack is not up: this is what was kept here when it went down", ""
    if home.unknown(observation):
        source = f"what is shown is the copy on {', '.join(found.hosts)}" if found.rows else "no copy answers"
        step = observation.seen[name].next_step if name in observation.seen else ""
        return f"the ledger is on {name}, which does not answer; {source}", step
    if found.rows:
        return "", ""
    if observation.record is None:
        return "the stack is not up, and has no ledger", "hostler up"
    if idling.controlled(stack):
        words = f"the ledger has nothing of {month} yet; its first rows come {FIRST_S // 60} minutes after the controller's start"
        return words, "hostler logs controller"
    step = "add `controller: {}` to the stack file, then `hostler up`"
    return "there is no ledger: nothing counts what is spent. The controller does, from its start on", step
