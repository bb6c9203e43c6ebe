"""What machines cost: asked of AWS, remembered (on-demand a day, spot ten minutes); unknown is None, never 0."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hostler.cloud.identity import identity
from hostler.cloud.remember import DAY, MINUTE, remembered
from hostler.cloud.session import asking, client, pages, side_by_side
from hostler.cloud.trouble import AwsError
from hostler.cloud.types import Holding, Market, Price

HOURS_A_MONTH = 730

# gp3, USD for a GB a month with the 3000 IOPS and 125 MB/s that are included: https://aws.amazon.com/ebs/pricing, June 2025
GP3 = {
    "us-east-1": 0.08, "us-east-2": 0.08, "us-west-1": 0.096, "us-west-2": 0.08, "ca-central-1": 0.088,
    "sa-east-1": 0.152, "eu-central-1": 0.0952, "eu-west-1": 0.088, "eu-west-2": 0.0928, "eu-west-3": 0.0928,
    "eu-north-1": 0.0836, "ap-south-1": 0.0912, "ap-northeast-1": 0.096, "ap-northeast-2": 0.0912,
    "ap-southeast-1": 0.096, "ap-southeast-2": 0.096,
}  # fmt: skip
# public IPv4, USD an hour in every region: https://aws.amazon.com/vpc/pricing, since February 2024
IPV4 = 0.005
# the Pricing API is in three regions, and has the prices of all
PRICING = {"eu": "eu-central-1", "ap": "ap-south-1"}
STOPS = ("expired", "no-credentials", "wrong-credentials")  # whoever has these can rent nothing either

type Key = tuple[str, str, Market]  # zone, instance type, market


def ask(
    offered: Mapping[str, frozenset[str]], instances: Sequence[str], markets: Sequence[Market]
) -> dict[Key, Price]:
    """Prices by (zone, instance type, market), of the types that a zone offers; all side by side. What cannot be had
    is a Price without amount, with the reason: not being permitted to ask for prices stops nobody. Raises
    ProvisionError where the credentials themselves are wrong."""
    wanted = sorted(set(instances))
    regions = sorted({zone[:-1] for zone in offered})
    pairs = sorted({(zone[:-1], one) for zone in offered for one in wanted if one in offered[zone]})
    account = identity(next(iter(regions), "us-east-1")).account if "spot" in markets else ""

    def one(question: tuple[str, str]) -> Price | dict[str, Price]:
        region, instance = question
        return on_demand(region, instance) if instance else spot(region, wanted, account)

    questions = [pair for pair in pairs if "on-demand" in markets]
    questions += [(region, "") for region in regions if "spot" in markets]
    answers = side_by_side(one, questions)
    found: dict[Key, Price] = {}
    for zone in sorted(offered):
        for instance in (one for one in wanted if one in offered[zone]):
            for market in markets:
                answer = answers[(zone[:-1], instance if market == "on-demand" else "")]
                found[(zone, instance, market)] = (
                    answer if isinstance(answer, Price) else _spot_of(answer, zone, instance)
                )
    return found


def on_demand(region: str, instance: str) -> Price:
    """Linux, shared hardware, an hour. Raises ProvisionError for wrong credentials only."""
    try:
        amount, asked = remembered(("on-demand", region, instance), DAY, lambda: _listed(region, instance))
    except AwsError as error:
        return _unknown("AWS price list", error)
    if amount is None:
        return Price(amount=None, source=f"AWS's price list has not one price for {instance} in {region}")
    return Price(amount=float(amount), source=f"AWS price list, {_utc(asked):%Y-%m-%d}")


def _listed(region: str, instance: str) -> float | None:
    terms = {
        "regionCode": region,
        "instanceType": instance,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }
    home = PRICING.get(region.partition("-")[0], "us-east-1")
    with asking(f"price of {instance} in {region}", home):
        products = pages(
            client("pricing", home),
            "get_products",
            "PriceList",
            ServiceCode="AmazonEC2",
            Filters=[{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in terms.items()],
        )
    found = {amount for product in products for amount in _amounts(json.loads(str(product)))}
    return found.pop() if len(found) == 1 else None


def _amounts(product: dict[str, Any]) -> list[float]:
    """USD an hour of a product of the price list; a reservation's 0 is none."""
    offers = product.get("terms", {}).get("OnDemand", {}).values()
    dimensions = [one for offer in offers for one in offer.get("priceDimensions", {}).values()]
    amounts = [float(one.get("pricePerUnit", {}).get("USD", 0)) for one in dimensions if one["unit"] == "Hrs"]
    return [amount for amount in amounts if amount > 0]


def spot(region: str, instances: Sequence[str], account: str) -> dict[str, Price] | Price:
    """By `zone instance`, the prices of now; one Price without amount where they cannot be had."""
    key = ("spot", account, region, *instances)
    try:
        answer, asked = remembered(key, 10 * MINUTE, lambda: _history(region, instances))
    except AwsError as error:
        return _unknown(f"spot price history of {region}", error)
    when = f"{_utc(asked):%H:%M} UTC"
    return {name: _seen(name, float(amount), when) for name, amount in answer.items()}


def _seen(name: str, amount: float, when: str) -> Price:
    return Price(amount=amount, source=f"spot price history of {name.partition(' ')[0]}, {when}")


def _history(region: str, instances: Sequence[str]) -> dict[str, float]:
    with asking(f"spot prices of {region}", region):
        rows = pages(
            client("ec2", region),
            "describe_spot_price_history",
            "SpotPriceHistory",
            InstanceTypes=list(instances),
            ProductDescriptions=["Linux/UNIX"],
            StartTime=_utc(time.time()),
        )
    newest = sorted(rows, key=lambda row: row["Timestamp"].timestamp())
    return {f"{row['AvailabilityZone']} {row['InstanceType']}": float(row["SpotPrice"]) for row in newest}


def _spot_of(prices: Mapping[str, Price], zone: str, instance: str) -> Price:
    none = Price(amount=None, source=f"the spot price history of {zone} has none for {instance}")
    return prices.get(f"{zone} {instance}", none)


def _unknown(what: str, error: AwsError) -> Price:
    if error.kind in STOPS:
        raise error
    problem = error.problems[0]
    if error.kind == "forbidden":
        return Price(amount=None, source=f"{what}: not permitted; {problem.next_step}")
    return Price(amount=None, source=f"{what}: {problem.got}")


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def disk(region: str, gib: int) -> Price:
    """An hour of an encrypted gp3 disk."""
    each = GP3.get(region)
    if each is None:
        return Price(amount=None, source=f"Hostler does not know what a gp3 disk costs in {region}")
    return Price(amount=gib * each / HOURS_A_MONTH, source="AWS's page of EBS prices, June 2025")


def address() -> Price:
    """An hour of a public IPv4 address."""
    return Price(amount=IPV4, source="AWS's page of VPC prices, June 2025")


def of_holding(one: Holding) -> Price:
    """An hour of a thing in an account; for one of the spot market what it costs at most. Raises ProvisionError for wrong
    credentials only."""
    if one.kind == "instance":
        if one.state == "stopped":
            return Price(amount=0.0, source="it is stopped; its disk is not part of it")
        return on_demand(one.region, one.what)
    if one.kind == "volume":
        return disk(one.region, int(one.what)) if one.what.isdigit() else Price(amount=None, source="no size")
    return address() if one.kind == "address" else Price(amount=0.0, source="AWS asks nothing for it")


def together(*parts: Price) -> Price:
    """The sum; unknown where one part is unknown."""
    sources = "; ".join(dict.fromkeys(part.source for part in parts if part.amount is None))
    if sources:
        return Price(amount=None, source=sources)
    total = sum(part.amount for part in parts if part.amount is not None)
    return Price(amount=total, source="; ".join(dict.fromkeys(part.source for part in parts)))


def monthly(price: Price) -> float | None:
    """USD for a month of 730 hours; None: unknown."""
    return None if price.amount is None else price.amount * HOURS_A_MONTH
