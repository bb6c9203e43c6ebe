"""Sections `budget`, `money` and `power`: amounts as numbers, and what cannot be. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from .notes import Notes
from .rented import CURRENCY
from .saving import Budget
from .sections import Stack


class Amount(NamedTuple):
    """`0.32 EUR/kWh`; `per` is kWh, h, or empty."""

    value: Decimal
    currency: str
    per: str


def amount(price: str) -> Amount:
    """A price of the stack file in its parts."""
    value, _, unit = price.partition(" ")
    currency, _, per = unit.partition("/")
    return Amount(Decimal(value), currency, per)


def rate(stack: Stack, currency: str, into: str) -> Decimal | None:
    """What one unit of `currency` is worth in `into`; None: nobody said, and nothing of it may be added."""
    if currency == into:
        return Decimal(1)
    one, other = (_worth(stack, name) for name in (currency, into))
    return one / other if one and other else None


def _worth(stack: Stack, currency: str) -> Decimal | None:
    """In the currency of sums."""
    if stack.money is None:
        return None
    if currency == stack.money.currency:
        return Decimal(1)
    found = stack.money.rates.get(currency)
    return amount(found).value if found else None


def check(stack: Stack, notes: Notes) -> None:
    """Notes amounts of the wrong kind, percentages out of order, and currencies that nothing brings together."""
    for name, pool in stack.pools.items():
        path = f"pools.{name}.power"
        if pool.power and pool.aws and not pool.hosts:
            _rented(path, {key: getattr(pool.power, key) for key in ("price", "idle", "meter")}, notes)
        elif pool.power and pool.power.price and amount(pool.power.price).per != "kWh":
            number, _, unit = pool.power.price.partition("/")[0].partition(" ")
            step = f"write {number} {unit}/kWh"
            notes.about(f"{path}.price", "the price of a kWh, such as 0.32 EUR/kWh", pool.power.price, step)
    _money(stack, notes)
    if stack.budget:
        _budget(stack.budget, notes)
        _together(stack, stack.budget, notes)


def _rented(path: str, keys: dict[str, object], notes: Notes) -> None:
    for key in (key for key, value in keys.items() if value is not None):
        got = f"{key} of a rented pool, whose price has the electricity in it"
        notes.about(f"{path}.{key}", f"{key} of owned machines", got, "take it out")


def _money(stack: Stack, notes: Notes) -> None:
    if stack.money is None:
        return
    into = stack.money.currency
    if stack.money.rates and into is None and not notes.troubled("money"):
        step = f"add currency: {amount(next(iter(stack.money.rates.values()))).currency}"
        notes.about("money", "a currency beside `rates`", "neither `currency` nor a budget", step)
    for name, worth in stack.money.rates.items():
        path, (value, unit, per) = f"money.rates.{name}", amount(worth)
        if name == into:
            notes.about(path, f"another currency than {into}, in which sums are", name, "take it out")
        elif into and (unit != into or per or not value):
            expected = f"an amount of {into} that one {name} is worth"
            notes.about(path, expected, worth, f'such as {name}: "0.92 {into}"')


def _budget(budget: Budget, notes: Notes) -> None:
    if not budget.month and not budget.keys and not notes.troubled("budget"):
        notes.about("budget", "a sum: `month`, or of `keys`", "neither", "add month: 300 USD")
    for name, one in budget.keys.items():
        if not one.month and not one.act and not notes.troubled(f"budget.keys.{name}"):
            notes.about(f"budget.keys.{name}", "a sum: `month` or `act`", "neither", "write {act: 20 USD}")
    for path, price in _sums(budget):
        value, unit, per = amount(price)
        if per or not value:
            step = f"write {value or 300} {unit}, or take it out"
            notes.about(path, "a sum for a month, such as 300 USD", price, step)
    steps = [(key, getattr(budget, key)) for key in ("warn", "hold", "stop") if getattr(budget, key)]
    for (low, first), (high, then) in pairwise(steps):
        if then < first:
            wrong = high if f"budget.{high}" in notes.given else low
            expected = f"`{high}` not below `{low}`, which is {first}"
            notes.about(f"budget.{wrong}", expected, str(then), f"write {first} or more for `{high}`, or 0")


def _sums(budget: Budget) -> Iterator[tuple[str, str]]:
    if budget.month:
        yield "budget.month", budget.month
    for name, one in budget.keys.items():
        if one.month:
            yield f"budget.keys.{name}.month", one.month
        if one.act:
            yield f"budget.keys.{name}.act", one.act


def _together(stack: Stack, budget: Budget, notes: Notes) -> None:
    """What is rented counts for each sum; other things may be left out of it, and are said to be."""
    if not any(pool.aws for pool in stack.pools.values()) or notes.troubled("money"):
        return
    for path, price in _sums(budget):
        into = amount(price).currency
        if rate(stack, CURRENCY, into) is None and not notes.troubled(path):
            expected = f"a sum in {CURRENCY}, in which AWS bills, or a rate"
            step = f'say what one {CURRENCY} is worth: money: {{rates: {{{CURRENCY}: "AMOUNT {into}"}}}}'
            notes.about(path, expected, price, step)
