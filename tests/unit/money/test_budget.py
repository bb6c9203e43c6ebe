"""What budgets say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.money import budget
from hostler.money.budget import Limits, Sum
from hostler.money.report import Line, Report, report
from hostler.money.rows import Rate
from hostler.money.sums import Figure

EMPTY = report([], 0.0, currency="EUR")
LIMITS = Limits(month=Sum(amount=100, currency="EUR"), stop=120, keys={"ci": Sum(amount=10, currency="EUR")})
PRICED = Rate(amount=1.0, currency="USD", source="AWS price list")
DARK = Rate(amount=None, currency="USD", source="not permitted")


def spent(amount: float, **changes: Any) -> Figure:
    return Figure(currency="EUR", measured=amount, **changes)


def of(figure: Figure, **changes: Any) -> Report:
    return replace(EMPTY, so_far=figure, **changes)


def rating(name: str) -> float | None:
    return {"EUR": 1.0, "USD": 0.5}.get(name)


@pytest.mark.parametrize(
    ("amount", "word"),
    [(0, "ok"), (79.9, "ok"), (80, "warn"), (99.9, "warn"), (100, "hold"), (119, "hold"), (120, "stop")],
)
def test_on_the_way_to_the_limit(amount: float, word: str) -> None:
    found = budget.verdict(LIMITS, of(spent(amount)), rating)
    assert found
    assert found.word == word
    assert (found.why == ()) == (word == "ok")


@pytest.mark.parametrize(("amount", "word"), [(99, "warn"), (500, "hold")])
def test_a_step_of_0_does_not_happen(amount: float, word: str) -> None:
    found = budget.verdict(replace(LIMITS, stop=0), of(spent(amount)), rating)
    assert found
    assert found.word == word


def test_a_limit_in_another_currency() -> None:
    dollars = replace(LIMITS, month=Sum(amount=200, currency="USD"))
    found = budget.verdict(dollars, of(spent(80)), rating)
    assert found
    assert (found.word, found.percent) == ("warn", 80)


def test_a_limit_without_a_rate_holds() -> None:
    found = budget.verdict(replace(LIMITS, month=Sum(amount=1, currency="GBP")), of(spent(0)), rating)
    assert found
    assert (found.word, found.percent) == ("hold", None)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"unknown": {"host h": 3.0}}, "warn"),
        ({"other": {"GBP": 3.0}}, "warn"),
        ({"unknown": {"energy unseen h": 3.0}}, "ok"),  # of the machine beside its cards: said, and no alarm
    ],
    ids=str,
)
def test_what_is_not_known_is_said(changes: dict[str, Any], word: str) -> None:
    found = budget.verdict(LIMITS, of(spent(1, **changes)), rating)
    assert found
    assert found.word == word
    assert "not all is known, it spent more than 1.00 EUR" in found.why[-1]


def test_where_the_month_will_end_is_said_and_does_nothing() -> None:
    found = budget.verdict(LIMITS, of(spent(1), projection=spent(150)), rating)
    assert found
    assert (found.word, "ends at 150.00 EUR" in found.why[0]) == ("ok", True)


def test_no_budget_no_verdict() -> None:
    assert budget.verdict(Limits(), of(spent(1)), rating) is None
    assert budget.of_keys(Limits(), of(spent(1)), rating) == {}


def test_keys_hold_and_never_stop() -> None:
    line = Line(name="ci", cost=spent(900), prompt=0, generated=0, per_million=None)
    found = budget.of_keys(LIMITS, of(spent(900), by={**EMPTY.by, "key": (line,)}), rating)
    assert found["ci"].word == "hold"
    assert budget.of_keys(LIMITS, EMPTY, rating)["ci"].word == "ok"


@pytest.mark.parametrize(
    ("amount", "price", "why"),
    [
        (1, PRICED, ""),
        (85, PRICED, ""),
        (100, PRICED, "the budget: the month has spent 100.00 EUR, 100% of 100 EUR"),
        (1, DARK, "what burst-1 costs is not known (not permitted), and there is a budget: the budget"),
    ],
)
def test_what_may_be_rented(amount: float, price: Rate, why: str) -> None:
    found = budget.verdict(LIMITS, of(spent(amount)), rating)
    assert found
    assert budget.may_rent({"the budget": found}, price, "burst-1") == why


def test_without_a_budget_any_price_is_right() -> None:
    assert budget.may_rent({}, DARK, "burst-1") == ""
