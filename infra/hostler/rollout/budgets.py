"""Whether a budget lets something be rented: by the month that the ledger has, checked where it bills."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC

from hostler.cloud import candidates
from hostler.cloud.types import Price
from hostler.errors import Problem, RefusedError
from hostler.money import budget, given, months, report, shown
from hostler.rollout import costs, ledger, starting
from hostler.rollout.observe import Observation

UNASKED = Price(amount=None, source="its price was not asked for")


def refuse(observation: Observation) -> None:
    """Raises RefusedError (exit 9) for slots that would be filled beside a budget that is used up, or at a price that nobody
    knows. A ledger that cannot be read holds it up; a stack
    that has none has spent nothing that anyone knows of."""
    if problems := tuple(_problems(observation)):
        raise RefusedError(*problems)


def _problems(observation: Observation) -> Iterator[Problem]:
    stack, cloud = observation.file.stack, observation.cloud
    if stack.budget is None or cloud is None:
        return
    started = [name for name in starting.due(cloud) if cloud.rented[name].stopped]
    if not (cloud.slots.fill or started):
        return
    now = time.time()
    found = ledger.read(observation, months.files(months.month_at(now, UTC), UTC))
    if found.problems and not found.hosts:  # what cannot be read is not nothing
        step = "`hostler cost` tries it again; without `budget` in the stack file nothing holds it up"
        yield Problem(
            where=next(iter((*cloud.slots.fill, *started))),
            expected="the ledger, which says what was spent of the budget",
            got="; ".join(found.problems),
            next_step=step,
        )
        return
    currency = given.currency_of(stack)
    made = report.report(found.rows, now, currency=currency, rating=given.rating_of(stack, currency))
    whole = shown.verdicts(stack, made).get("")
    verdicts = {"budget": whole} if whole else {}
    for name in (*cloud.slots.fill, *started):
        first, price = _priced(observation, name)
        if why := budget.may_rent(verdicts, costs.rate(price), first):
            yield Problem(
                where=name,
                expected="a budget that lets a machine be rented",
                got=why,
                next_step="`hostler cost` says what was spent; raise `budget` in the stack file, or wait for the next month",
            )


def _priced(observation: Observation, name: str) -> tuple[str, Price]:
    """What would be rented first, or is started, and at what price: as offered, or as it was rented."""
    cloud = observation.cloud
    if cloud and name not in cloud.slots.fill:
        slot = cloud.slots.slots[name]
        known = 0.0 if slot.price is None else slot.price  # it was rented at a price that nobody wrote down
        return name, Price(amount=known, source=slot.price_source)
    pool = cloud.slots.slots[name].pool if cloud else ""
    offer = (observation.offers or {}).get(pool)
    first = next(iter(offer.choice.candidates), None) if offer else None
    return str(first or name), candidates.price_of(first, offer.prices) if offer and first else UNASKED
