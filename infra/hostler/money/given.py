"""What a stack file says of money, as values: prices, rates, limits."""

from __future__ import annotations

from collections.abc import Callable

from hostler.money.budget import Limits, Sum
from hostler.money.rows import Rate
from hostler.stackfile import spending
from hostler.stackfile.sections import Stack


def currency_of(stack: Stack) -> str:
    """Of sums; empty: the file names none."""
    if stack.money and stack.money.currency:
        return stack.money.currency
    return spending.amount(stack.budget.month).currency if stack.budget and stack.budget.month else ""


def rating_of(stack: Stack, into: str) -> Callable[[str], float | None]:
    """What one unit of a currency is worth in `into`; None: nobody said."""

    def worth(currency: str) -> float | None:
        found = spending.rate(stack, currency, into)
        return None if found is None else float(found)

    return worth


def limits_of(stack: Stack) -> Limits:
    budget = stack.budget
    if budget is None:
        return Limits()
    return Limits(
        month=_sum(budget.month) if budget.month else None,
        warn=budget.warn,
        hold=budget.hold,
        stop=budget.stop,
        keys={name: _sum(price) for name, one in budget.keys.items() if (price := one.month or one.act)},
        acts={name: _sum(one.act) for name, one in budget.keys.items() if one.act},
    )


def kwh_of(stack: Stack, pool: str) -> Rate:
    """What a kWh of a pool's own machines costs."""
    power = stack.pools[pool].power if pool in stack.pools else None
    where = f"pools.{pool}.power.price"
    if power is None or power.price is None:
        return Rate(amount=None, currency="", source=f"no {where}")
    found = spending.amount(power.price)
    return Rate(amount=float(found.value), currency=found.currency, source=where)


def _sum(price: str) -> Sum:
    found = spending.amount(price)
    return Sum(amount=float(found.value), currency=found.currency)
