"""Amounts in their parts, and what one currency is worth in another."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hostler.stackfile.spending import Amount, amount, rate

from .cases import loaded

STACK = 'pools: {rack: [gpu1]}\nmodels: {chat: "hf:a/b-GGUF"}\n'
MONEY = f"{STACK}money: {{currency: EUR, rates: {{USD: 0.80 EUR, CHF: 1.20 EUR}}}}\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("300 USD", Amount(Decimal(300), "USD", "")),
        ("0.32 EUR/kWh", Amount(Decimal("0.32"), "EUR", "kWh")),
        ("1.20 USD/h", Amount(Decimal("1.20"), "USD", "h")),
    ],
)
def test_parts(text: str, parts: Amount) -> None:
    assert amount(text) == parts


@pytest.mark.parametrize(
    ("text", "currency", "into", "worth"),
    [
        (MONEY, "USD", "EUR", Decimal("0.8")),
        (MONEY, "EUR", "USD", Decimal("1.25")),
        (MONEY, "CHF", "USD", Decimal("1.5")),
        (MONEY, "GBP", "EUR", None),
        (MONEY, "EUR", "GBP", None),
        (MONEY, "GBP", "GBP", Decimal(1)),
        (STACK, "USD", "USD", Decimal(1)),
        (STACK, "USD", "EUR", None),
        (f"{STACK}budget: 100 EUR\nmoney: {{rates: {{USD: 0.80 EUR}}}}\n", "USD", "EUR", Decimal("0.8")),
        (f"{STACK}budget: 100 EUR\n", "USD", "EUR", None),
    ],
)
def test_rates(text: str, currency: str, into: str, worth: Decimal | None) -> None:
    assert rate(loaded(text).stack, currency, into) == worth
