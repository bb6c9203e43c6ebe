"""In which order the ways to fill a slot are tried. Pure.

For each instance type in the file's order, for each region in the file's order: spot in each zone, the cheapest
first, then on-demand in each zone, as far as `spot:` allows them. So `spot: prefer` takes the first type on-demand
before it takes the second one on spot: the order of types is the user's word, the market only how one is paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from hostler.cloud.types import Candidate, Market, Price
from hostler.errors import StackFileError
from hostler.stackfile.sections import Aws

# (zone, instance type, market)
type Prices = Mapping[tuple[str, str, Market], Price]

MARKETS: Mapping[str, tuple[Market, ...]] = {
    "never": ("on-demand",),
    "prefer": ("spot", "on-demand"),
    "only": ("spot",),
}
UNASKED = Price(amount=None, source="nobody asked for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What is not tried, and why. `what`: "g5.2xlarge in eu-central-1c", "g5.2xlarge spot in eu-central-1a"."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The ways to fill a slot in the order in which they are tried, and what was left out."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...] = ()


def choose(
    aws: Aws, offered: Mapping[str, frozenset[str]], prices: Prices, amis: Mapping[str, str]
) -> Choice:
    """`offered`: the types of each zone, of all of `aws.regions` (offers.offered). `amis`: by region (amis.resolve).
    Under `max_price` what costs more is left out, and what has no known price, too. Raises StackFileError for a
    `max_price` that is no price of an hour in USD."""
    found: list[Candidate] = []
    out: list[LeftOut] = []
    most = limit(aws.max_price)
    for instance in dict.fromkeys(aws.instances):
        for region in dict.fromkeys(aws.regions):
            if region not in amis:
                out.append(LeftOut(what=f"{instance} in {region}", why=f"there is no image {aws.image}"))
                continue
            zones = zones_of(region, offered)
            there = [zone for zone in zones if instance in offered[zone]]
            out += [
                LeftOut(what=f"{instance} in {zone}", why="the zone does not offer it")
                for zone in zones
                if zone not in there
            ]
            if not zones:
                out.append(LeftOut(what=f"{instance} in {region}", why="no zone of it can be used"))
            for market in MARKETS[aws.spot]:
                ways = [
                    Candidate(region=region, zone=zone, instance=instance, market=market, ami=amis[region])
                    for zone in there
                ]
                taken, dear = within(_cheapest_first(ways, prices), prices, most)
                found += taken
                out += dear
    return Choice(candidates=tuple(found), left_out=tuple(out))


def price_of(candidate: Candidate, prices: Prices) -> Price:
    return prices.get((candidate.zone, candidate.instance, candidate.market), UNASKED)


def zones_of(region: str, zones: Iterable[str]) -> list[str]:
    """Sorted. Only whole zones (eu-central-1a), so the region is the name without its letter."""
    return sorted(zone for zone in zones if zone[:-1] == region)


def within(
    ways: Sequence[Candidate], prices: Prices, most: float | None
) -> tuple[list[Candidate], list[LeftOut]]:
    """Those that cost no more than `most` USD an hour, and the others with the reason."""
    if most is None:
        return list(ways), []
    dear: list[LeftOut] = []
    for way in ways:
        price = price_of(way, prices)
        if price.amount is None:
            dear.append(
                LeftOut(what=str(way), why=f"its price is unknown ({price.source}), and there is a max_price")
            )
        elif price.amount > most:
            dear.append(
                LeftOut(what=str(way), why=f"{price.amount:.4g} USD/h is above max_price {most:.4g} USD/h")
            )
    named = {one.what for one in dear}
    return [way for way in ways if str(way) not in named], dear


def first(candidates: Sequence[Candidate], current: Candidate | None) -> tuple[Candidate, ...]:
    """The one that fills the slot goes to the front, as it is, though it may not be among them any more. The same
    machine with a newer image is not a second way: it stays away."""
    if current is None:
        return tuple(candidates)
    return (current, *(one for one in candidates if str(one) != str(current)))


def limit(max_price: str | None) -> float | None:
    """`1.20 USD` or `1.20 USD/h` as a number; None: no limit. Raises StackFileError for another currency or unit."""
    if max_price is None:
        return None
    amount, _, unit = max_price.partition(" ")
    if unit not in ("USD", "USD/h"):
        raise StackFileError.of(
            "max_price",
            expected="US dollars an hour, which is how AWS counts",
            got=max_price,
            next_step="such as `max_price: 1.20 USD`",
        )
    return float(amount)


def _cheapest_first(ways: Sequence[Candidate], prices: Prices) -> list[Candidate]:
    """By price, then by zone; the unknown ones last."""

    def cost(way: Candidate) -> tuple[float, str]:
        amount = price_of(way, prices).amount
        return (inf if amount is None else amount, way.zone)

    return sorted(ways, key=cost)
