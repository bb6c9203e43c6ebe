"""Whose requests are refused: from the sum on, until the month is over, and nobody by what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hostler.money import refusing
from hostler.money.budget import Limits, Sum
from hostler.money.refusing import Refused
from hostler.money.report import Line, Report, report
from hostler.money.sums import Figure

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
LIMITS = Limits(acts={"ci": Sum(amount=12, currency="EUR")})
USED_UP = Refused(key="ci", until=DECEMBER, spent=12.3, limit=Sum(amount=12, currency="EUR"), worth=1.0)


def spent(amount: float, *, now: float = NOW, zone: tzinfo = UTC, key: str = "ci", **more: Any) -> Report:
    cost = Figure(currency="EUR", measured=amount, **more)
    line = Line(name=key, cost=cost, prompt=1, generated=1, per_million=None)
    empty = report([], now, currency="EUR", zone=zone)
    return replace(empty, since=now - 3600, until=now, by={**empty.by, "key": (line,)})


def rating(name: str) -> float | None:
    return {"EUR": 1.0, "USD": 0.5}.get(name)


@pytest.mark.parametrize(
    ("amount", "refused"),
    [(0, []), (11.99, []), (12, ["12.00 of 12.00 EUR"]), (12.3, ["12.30 of 12.00 EUR"])],
)
def test_from_its_sum_on(amount: float, refused: list[str]) -> None:
    found = refusing.judged((), LIMITS, spent(amount), rating)
    assert [one.words().partition(";")[0] for one in found] == refused


def test_others_are_not_touched() -> None:
    assert refusing.judged((), LIMITS, spent(900, key="app"), rating) == ()
    assert refusing.judged((), Limits(keys=LIMITS.acts), spent(900), rating) == ()  # of which people are told


def test_a_sum_in_another_currency() -> None:
    dollars = Limits(acts={"ci": Sum(amount=20, currency="USD")})
    assert refusing.judged((), dollars, spent(9.99), rating) == ()
    (found,) = refusing.judged((), dollars, spent(10), rating)
    assert found.words().startswith("20.00 of 20.00 USD;")


@pytest.mark.parametrize(
    ("zone", "end", "words"),
    [
        (UTC, datetime(2026, 12, 1, tzinfo=UTC), "2026-12-01 00:00 UTC"),
        (BERLIN, datetime(2026, 11, 30, 23, tzinfo=UTC), "2026-12-01 00:00 CET"),
    ],
    ids=str,
)
def test_until_the_month_s_end_on_the_clock_of_its_zone(zone: tzinfo, end: datetime, words: str) -> None:
    (found,) = refusing.judged((), LIMITS, spent(12.3, zone=zone), rating, zone)
    assert found.until == end.timestamp()
    assert found.words(zone) == f"12.30 of 12.00 EUR; it is free again on {words}"
    later = spent(1, now=found.until, zone=zone)
    assert refusing.judged((found,), LIMITS, later, rating, zone) == ()
    (still,) = refusing.judged((found,), LIMITS, spent(1, now=found.until - 1, zone=zone), rating, zone)
    assert still == found


def test_it_stays_so_when_its_share_shrinks() -> None:
    """Others ask its models, too, and it has less of what they cost."""
    assert refusing.judged((USED_UP,), LIMITS, spent(11), rating) == (USED_UP,)
    (more,) = refusing.judged((USED_UP,), LIMITS, spent(12.8), rating)
    assert more.spent == 12.8


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (Limits(acts={"ci": Sum(amount=20, currency="EUR")}), False),
        (Limits(acts={"ci": Sum(amount=12.2, currency="EUR")}), True),
        (Limits(acts={"ci": Sum(amount=5, currency="EUR")}), True),
        (Limits(acts={"ci": Sum(amount=30, currency="USD")}), False),
        (Limits(keys=LIMITS.acts), False),
    ],
    ids=["raised", "raised too little", "lowered", "in another currency", "taken out"],
)
@pytest.mark.parametrize("known", [True, False])
def test_raised_it_is_free(limits: Limits, refused: bool, known: bool) -> None:
    found = (
        refusing.judged((USED_UP,), limits, spent(12.3), rating)
        if known
        else refusing.kept((USED_UP,), limits, NOW)
    )
    assert bool(found) is refused
    assert all(one.limit == limits.acts["ci"] for one in found)


def test_sums_of_two_currencies_are_not_compared() -> None:
    dollars = Limits(acts={"ci": Sum(amount=10, currency="USD")})
    assert refusing.kept((USED_UP,), dollars, NOW) == ()


def test_another_rate_is_judged_anew() -> None:
    """A rate that was wrong, and is mended, lets it in again."""
    assert refusing.judged((replace(USED_UP, worth=0.8),), LIMITS, spent(11), rating) == ()


@pytest.mark.parametrize(
    ("made", "refused"),
    [
        (spent(0, unknown={"host h": 300.0}), False),
        (spent(11, other={"GBP": 300.0}), False),
        (spent(12.3, unknown={"host h": 3.0}), True),  # that much is known
        (replace(spent(12.3), since=None), False),  # a ledger with nothing in it is none
    ],
    ids=["no price", "no rate", "more than that", "no ledger"],
)
def test_what_is_not_known_refuses_nobody(made: Report, refused: bool) -> None:
    assert bool(refusing.judged((), LIMITS, made, rating)) is refused


def test_a_sum_without_a_rate_refuses_nobody() -> None:
    pounds = Limits(acts={"ci": Sum(amount=1, currency="GBP")})
    assert refusing.judged((), pounds, spent(900), rating) == ()


def test_what_was_refused_stays_so_as_long_as_nobody_knows_more() -> None:
    assert refusing.judged((USED_UP,), LIMITS, replace(spent(0), since=None), rating) == (USED_UP,)
    assert refusing.kept((USED_UP,), LIMITS, DECEMBER - 1) == (USED_UP,)
    assert refusing.kept((USED_UP,), LIMITS, DECEMBER) == ()


def test_people_hear_how_to_lift_it_and_clients_do_not() -> None:
    (found,) = refusing.told((USED_UP,)).values()
    assert (found.until, found.text) == (DECEMBER, USED_UP.words())
    assert "up" not in found.text
    assert "or when budget.keys.ci.act is raised and `hostler up` has run" in found.lifted("ci")
