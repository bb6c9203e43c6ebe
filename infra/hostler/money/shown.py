"""A report with its budgets as JSON: `hostler cost --json`, the page's `money`, and what alarms read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostler.money import budget, given
from hostler.money.budget import Verdict
from hostler.money.refusing import Told
from hostler.money.report import Report
from hostler.stackfile.sections import Stack


def verdicts(stack: Stack, report: Report) -> dict[str, Verdict]:
    """By key; the stack's own under the empty name. Without those that the file has no sum for."""
    limits, rating = given.limits_of(stack), given.rating_of(stack, report.currency)
    whole = budget.verdict(limits, report, rating)
    keys = budget.of_keys(limits, report, rating)
    return {**({"": whole} if whole else {}), **keys}


def as_json(
    report: Report, found: Mapping[str, Verdict], refused: Mapping[str, Told] | None = None
) -> dict[str, Any]:
    """`budget`: the stack's sum, or None; `budgets`: each with its state and why, the stack's own without a key.
    `refused`: what the gateway was told of keys; `refused_until` None: it is not."""
    told: Mapping[str, Told] = refused or {}
    whole = found.get("")
    limit = {"amount": whole.limit.amount, "currency": whole.limit.currency} if whole else None
    return {
        **report.to_json(),
        "budget": limit,
        "budgets": [
            {
                "key": key,
                "state": one.word,
                "text": "; ".join((*one.why, *((told[key].lifted(key),) if key in told else ()))),
                "refused_until": told[key].until if key in told else None,
                "percent": one.percent,
                "amount": one.limit.amount,
                "currency": one.limit.currency,
            }
            for key, one in found.items()
        ],
    }
