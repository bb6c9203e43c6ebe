"""Prices in words, for plans. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hostler.cloud.candidates import Prices, price_of
from hostler.cloud.prices import address, disk, monthly, together
from hostler.cloud.types import Candidate, Price

COLUMNS = ("#", "machine", "market", "zone", "USD/h", "with disk and address", "USD a month", "source")
UNKNOWN = "unknown"


def hourly(price: Price) -> str:
    """`0.54 USD/h (394 USD a month)`, or `price unknown (WHY)`."""
    month = monthly(price)
    if price.amount is None or month is None:
        return f"price unknown ({price.source})"
    return f"{amount(price.amount)} USD/h ({month:.0f} USD a month)"


def sentence(candidates: Sequence[Candidate], prices: Prices, most: int = 4) -> str:
    """`g5.2xlarge spot in eu-central-1a, 1b: 0.54 USD/h (394 USD a month), then ...`: zones of one price together;
    empty for no candidates."""

    def same(one: Candidate) -> tuple[str, str, str, str]:
        return one.instance, one.market, one.region, hourly(price_of(one, prices))

    groups = [(key, [one.zone for one in ways]) for key, ways in groupby(candidates, same)]
    said = [
        f"{instance} {market} in {_zones(zones)}: {price}"
        for (instance, market, _, price), zones in groups[:most]
    ]
    more = sum(len(zones) for _, zones in groups[most:])
    return ", then ".join(said) + (f", then {more} more" if more > 0 else "")


def _zones(zones: Sequence[str]) -> str:
    """`eu-central-1a, 1b, 1c`"""
    first, *others = zones
    return ", ".join((first, *(zone.rpartition("-")[2] for zone in others)))


def rows(candidates: Sequence[Candidate], prices: Prices, disk_gib: int) -> list[list[str]]:
    """A row a candidate, as in COLUMNS: in the order in which they are tried."""
    return [_row(number, one, prices, disk_gib) for number, one in enumerate(candidates, 1)]


def _row(number: int, one: Candidate, prices: Prices, disk_gib: int) -> list[str]:
    alone = price_of(one, prices)
    whole = together(alone, disk(one.region, disk_gib), address())
    month = monthly(whole)
    return [
        str(number),
        one.instance,
        one.market,
        one.zone,
        UNKNOWN if alone.amount is None else amount(alone.amount),
        UNKNOWN if whole.amount is None else amount(whole.amount),
        UNKNOWN if month is None else f"{month:.0f}",
        whole.source if whole.amount is None else alone.source,
    ]


def amount(value: float) -> str:
    """Two places, and more below a cent: a price is never shown as 0.00."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
