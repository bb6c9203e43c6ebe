"""What AWS offers for a pool, gathered: images, zones, prices, and the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostler.cloud import amis, candidates, offers, prices
from hostler.cloud.amis import Image
from hostler.cloud.candidates import Choice, Prices
from hostler.cloud.types import Market
from hostler.stackfile.sections import Aws

MARKETS: Mapping[str, tuple[Market, ...]] = {
    "never": ("on-demand",),
    "only": ("spot",),
    "prefer": ("spot", "on-demand"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """For one pool."""

    choice: Choice
    prices: Prices
    images: Mapping[str, Image]  # by region


def ask(aws: Aws) -> Offer:
    """Raises ProvisionError where AWS cannot be asked, or has no such image."""
    images = amis.resolve(aws.image, aws.regions)
    offered = offers.offered(aws.regions, aws.instances)
    if aws.subnet:
        zone = offers.zone_of(aws.subnet, aws.regions[0])
        offered = {zone: offered.get(zone, frozenset())}
    found = prices.ask(offered, aws.instances, MARKETS[aws.spot])
    choice = candidates.choose(
        aws, offered, found, {region: image.ami for region, image in images.items()}
    )
    return Offer(choice=choice, prices=found, images=images)
