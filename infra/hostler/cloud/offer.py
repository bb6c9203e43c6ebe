"""What AWS offers for a pool, gathered: images, zones, prices, and the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostler.cloud import amis, candidates, offers, prices
from hostler.cloud.amis import Image
from hostler.cloud.candidates import MARKETS, Choice, Prices
from hostler.cloud.slots import gib
from hostler.errors import ProvisionError
from hostler.stackfile.sections import Aws


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """For one pool."""

    choice: Choice
    prices: Prices
    images: Mapping[str, Image]  # by region


def ask(aws: Aws) -> Offer:
    """Raises ProvisionError where AWS cannot be asked, has no such image, or one that is larger than the disk."""
    images = amis.resolve(aws.image, aws.regions)
    _fit(images, gib(aws.disk))
    offered = offers.offered(aws.regions, aws.instances)
    if aws.subnet:
        zone = offers.zone_of(aws.subnet, aws.regions[0])
        offered = {zone: offered.get(zone, frozenset())}
    found = prices.ask(offered, aws.instances, MARKETS[aws.spot])
    choice = candidates.choose(aws, offered, found, {region: image.ami for region, image in images.items()})
    return Offer(choice=choice, prices=found, images=images)


def _fit(images: Mapping[str, Image], disk_gib: int) -> None:
    """AWS would refuse the launch, after all the rest was made."""
    largest = max(images.values(), key=lambda image: image.disk_gib)
    if largest.disk_gib > disk_gib:
        raise ProvisionError.of(
            f"image {largest.ami} ({largest.name})",
            expected=f"a disk of {largest.disk_gib} GiB or more",
            got=f"disk: {disk_gib} GiB",
            next_step=f"write `disk: {largest.disk_gib} GiB`, and what the weights need on top",
        )
