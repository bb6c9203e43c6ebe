"""Prices in words, for plans. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .candidates import Prices
from .types import Candidate, Price


def hourly(price: Price) -> str:
    """`0.54 USD/h (394 USD a month)`, or `price unknown: WHY`."""
    raise NotImplementedError


def sentence(candidates: Sequence[Candidate], prices: Prices, most: int = 3) -> str:
    """`g5.2xlarge spot in eu-central-1a: 0.54 USD/h (394 USD a month), then ...`."""
    raise NotImplementedError


def rows(candidates: Sequence[Candidate], prices: Prices, disk_gib: int) -> list[list[str]]:
    """A row a candidate: order, machine, market, zone, USD an hour, disk and address an hour, all of it a month, source."""
    raise NotImplementedError
