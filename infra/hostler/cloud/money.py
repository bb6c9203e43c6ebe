"""Prices in words, for plans. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .candidates import Prices, price_of
from .prices import address, disk, monthly, together
from .types import Candidate, Price

COLUMNS = ("#", "machine", "market", "zone", "USD/h", "with disk and address", "USD a month", "source")
UNKNOWN = "unknown"


def hourly(price: Price) -> str:
    """`0.54 USD/h (394 USD a month)`, or `price unknown (WHY)`."""
    month = monthly(price)
    if price.amount is None or month is None:
        return f"price unknown ({price.source})"
    return f"{amount(price.amount)} USD/h ({month:.0f} USD a month)"


def sentence(candidates: Sequence[Candidate], prices: Prices, most: int = 3) -> str:
    """`g5.2xlarge spot in eu-central-1a: 0.54 USD/h (394 USD a month), then ...`; empty for no candidates."""
    said = [f"{one}: {hourly(price_of(one, prices))}" for one in candidates[:most]]
    more = len(candidates) - most
    return ", then ".join(said) + (f", then {more} more" if more > 0 else "")


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
