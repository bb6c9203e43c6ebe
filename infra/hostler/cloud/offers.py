"""Which zones of a region have which instance types, remembered for a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostler.cloud.identity import identity
from hostler.cloud.remember import DAY, remembered
from hostler.cloud.session import asking, client, pages, side_by_side


def offered(regions: Sequence[str], instances: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """The asked types that each usable zone offers, all regions side by side; a zone that has none is there, empty.
    Raises ProvisionError."""
    account = identity(next(iter(regions), "us-east-1")).account  # each account has its own names of zones
    wanted = tuple(sorted(set(instances)))

    def one(region: str) -> dict[str, list[str]]:
        key = ("offers", account, region, *wanted)
        return remembered(key, DAY, lambda: _ask(region, wanted))[0]

    answers = side_by_side(one, regions)
    return {zone: frozenset(types) for answer in answers.values() for zone, types in answer.items()}


def _ask(region: str, instances: Sequence[str]) -> dict[str, list[str]]:
    with asking(f"zones and instance types of {region}", region):
        ec2 = client("ec2", region)
        zones = ec2.describe_availability_zones(Filters=[_filter("state", "available")])["AvailabilityZones"]
        offers = pages(
            ec2,
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=[_filter("instance-type", *instances)],
        )
    found: dict[str, list[str]] = {zone["ZoneName"]: [] for zone in zones if _usable(zone, region)}
    for offer in offers:
        if offer["Location"] in found:
            found[offer["Location"]].append(offer["InstanceType"])
    return {zone: sorted(types) for zone, types in found.items()}


def _usable(zone: dict[str, Any], region: str) -> bool:
    """Whole zones only: local and wavelength zones have other names, other prices and no gp3 in places."""
    return (
        zone.get("ZoneType", "availability-zone") == "availability-zone" and zone["ZoneName"][:-1] == region
    )


def _filter(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": list(values)}


def zone_of(subnet: str, region: str) -> str:
    """The zone of a subnet of the user's. Raises ProvisionError."""
    with asking(f"{subnet} in {region}", region):
        found = client("ec2", region).describe_subnets(SubnetIds=[subnet])["Subnets"]
    return found[0]["AvailabilityZone"]
