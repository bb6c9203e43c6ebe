"""In which order ways to fill a slot are tried. Pure.

For each instance type in the file's order, for each region in the file's order: spot in each zone, the cheapest
first, then on-demand in each zone, where `spot:` allows them. So `spot: prefer` takes the wanted type on-demand before
it takes the next type on spot: the order of types is the user's word, and the market only how one of them is paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hostler.stackfile.sections import Aws

from .types import Candidate, Market, Price

# (zone, instance type, market)
type Prices = Mapping[tuple[str, str, Market], Price]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What is not tried, and why: `what` as "g5.2xlarge in eu-central-1c" or "g5.2xlarge spot in eu-central-1a"."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The ways to fill a slot in the order in which they are tried, and what was left out."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...] = ()


def choose(aws: Aws, offered: Mapping[str, frozenset[str]], prices: Prices, amis: Mapping[str, str]) -> Choice:
    """`offered`: the types of each zone, of all of `aws.regions` (offers.offered). `amis`: by region (amis.resolve).
    Under `max_price` what costs more is left out, and what has no known price, too."""
    raise NotImplementedError


def first(candidates: Sequence[Candidate], current: Candidate | None) -> tuple[Candidate, ...]:
    """The one that fills the slot goes to the front, as it is, though it may not be among them any more."""
    raise NotImplementedError


def limit(max_price: str | None) -> float | None:
    """`1.20 USD` as a number; None: no limit. Raises StackFileError for another currency."""
    raise NotImplementedError
