"""What machines cost: asked of AWS, remembered (on-demand a day, spot ten minutes); unknown is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .types import Market, Price

HOURS_A_MONTH = 730


def ask(offered: Mapping[str, frozenset[str]], instances: Sequence[str], markets: Sequence[Market]) -> dict[tuple[str, str, Market], Price]:
    """Prices by (zone, instance type, market), of the types that a zone offers. All regions side by side. What cannot
    be had is a Price without amount, with the reason: not being allowed to ask for prices stops nobody. Expired or
    missing credentials are raised."""
    raise NotImplementedError


def disk(region: str, gib: int) -> Price:
    """An hour of an encrypted gp3 disk."""
    raise NotImplementedError


def address() -> Price:
    """An hour of a public IPv4 address."""
    raise NotImplementedError


def together(*parts: Price) -> Price:
    """The sum; unknown where one part is unknown."""
    raise NotImplementedError


def monthly(price: Price) -> float | None:
    """USD for a month of 730 hours; None: unknown."""
    raise NotImplementedError
