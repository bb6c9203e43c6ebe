"""Prices in words."""

from __future__ import annotations

import pytest

from hostler.cloud import money, prices
from hostler.cloud.types import Candidate, Market, Price

UNKNOWN = Price(amount=None, source="not permitted")


def way(market: Market, zone: str = "eu-central-1a", region: str = "eu-central-1") -> Candidate:
    return Candidate(region=region, zone=zone, instance="g5.2xlarge", market=market)


KNOWN: dict[tuple[str, str, Market], Price] = {
    ("eu-central-1a", "g5.2xlarge", "spot"): Price(amount=0.54, source="history, 14:05 UTC"),
    ("eu-central-1a", "g5.2xlarge", "on-demand"): Price(amount=1.5156, source="AWS price list, 2026-01-02"),
    ("eu-central-1b", "g5.2xlarge", "spot"): UNKNOWN,
    ("mars-north-1a", "g5.2xlarge", "spot"): Price(amount=0.54, source="history"),
}


def test_what_a_plan_says() -> None:
    ways = [way("spot"), way("on-demand"), way("spot", "eu-central-1b"), way("on-demand", "eu-central-1b")]
    assert money.sentence(ways, KNOWN) == (
        "g5.2xlarge spot in eu-central-1a: 0.54 USD/h (394 USD a month), then "
        "g5.2xlarge on-demand in eu-central-1a: 1.52 USD/h (1106 USD a month), then "
        "g5.2xlarge spot in eu-central-1b: price unknown (not permitted), then "
        "g5.2xlarge on-demand in eu-central-1b: price unknown (nobody asked for it)"
    )
    assert money.sentence(ways, KNOWN, most=2).endswith("(1106 USD a month), then 2 more")
    assert money.sentence([way("spot", "eu-central-1a"), way("spot", "mars-north-1a")], KNOWN).startswith(
        "g5.2xlarge spot in eu-central-1a, 1a: 0.54 USD/h"
    )
    assert money.sentence([], KNOWN) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(98.32, "98.32"), (0.526, "0.53"), (0.005, "0.005"), (0.0116, "0.012"), (0.00042, "0.00042")],
)
def test_a_price_is_never_shown_as_nothing(value: float, text: str) -> None:
    assert money.amount(value) == text


def test_rows_count_disk_and_address() -> None:
    (row,) = money.rows([way("spot")], KNOWN, 200)
    hour = 0.54 + 200 * 0.0952 / 730 + 0.005
    assert row == [
        "1", "g5.2xlarge", "spot", "eu-central-1a", "0.54", f"{hour:.2f}", f"{hour * 730:.0f}", "history, 14:05 UTC",
    ]  # fmt: skip
    assert len(row) == len(money.COLUMNS)


def test_a_part_that_is_unknown_leaves_the_whole_unknown() -> None:
    first, second = money.rows(
        [way("spot", "eu-central-1b"), way("spot", "mars-north-1a", "mars-north-1")], KNOWN, 1
    )
    assert first[4:] == ["unknown", "unknown", "unknown", "not permitted"]
    assert second[4:7] == ["0.54", "unknown", "unknown"]
    assert "mars-north-1" in second[7]


def test_sums() -> None:
    known = Price(amount=1.0, source="list")
    assert prices.together(known, known) == Price(amount=2.0, source="list")
    assert prices.together(known, UNKNOWN).amount is None
    assert prices.monthly(known) == 730
    assert prices.monthly(UNKNOWN) is None
