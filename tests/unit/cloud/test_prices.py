"""Prices: asked, remembered, and unknown where nobody tells."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hostler.cloud import prices, remember
from hostler.cloud.trouble import AwsError
from hostler.cloud.types import Price

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
OFFERED = {
    "eu-central-1a": frozenset({"g5.2xlarge"}),
    "eu-central-1b": frozenset({"g5.2xlarge", "g6.2xlarge"}),
    "eu-central-1c": frozenset[str](),
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    now = {"now": NOW}
    for module in (remember.time, prices.time):
        monkeypatch.setattr(module, "time", lambda: now["now"])
    return now


def product(*amounts: str, unit: str = "Hrs") -> str:
    rows = {str(n): {"unit": unit, "pricePerUnit": {"USD": amount}} for n, amount in enumerate(amounts)}
    return json.dumps(
        {"product": {}, "terms": {"OnDemand": {"sku": {"priceDimensions": rows}}, "Reserved": {}}}
    )


def filters(region: str = "eu-central-1", instance: str = "g5.2xlarge") -> dict[str, Any]:
    wanted = {
        "regionCode": region,
        "instanceType": instance,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }
    found = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]
    return {"ServiceCode": "AmazonEC2", "Filters": found}


@pytest.mark.parametrize(
    ("products", "amount"),
    [
        ([product("1.5160000000")], 1.516),
        ([product("1.516", "0.0000000000")], 1.516),  # a reserved hour costs nothing more
        ([], None),
        ([product("0.0000000000")], None),  # unknown, never 0
        ([product("1.516"), product("1.9")], None),  # not known which
        ([product("1.516", unit="Quantity")], None),
    ],
)
def test_the_price_list(
    stubbed: Any, clock: dict[str, float], products: list[str], amount: float | None
) -> None:
    stubbed(prices, "pricing").add_response("get_products", {"PriceList": products}, filters())
    found = prices.on_demand("eu-central-1", "g5.2xlarge")
    assert found.amount == amount
    said = (
        "AWS price list, 2027-01-15"
        if amount
        else "AWS's price list has not one price for g5.2xlarge in eu-central-1"
    )
    assert found.source == said


def test_a_price_is_asked_once_a_day(stubbed: Any, clock: dict[str, float]) -> None:
    pricing = stubbed(prices, "pricing")
    for amount in ("1.5", "1.6"):
        pricing.add_response("get_products", {"PriceList": [product(amount)]}, filters())
    assert prices.on_demand("eu-central-1", "g5.2xlarge").amount == 1.5
    clock["now"] += 86399
    assert prices.on_demand("eu-central-1", "g5.2xlarge") == Price(
        amount=1.5, source="AWS price list, 2027-01-15"
    )
    clock["now"] += 1
    assert prices.on_demand("eu-central-1", "g5.2xlarge") == Price(
        amount=1.6, source="AWS price list, 2027-01-16"
    )


@pytest.mark.parametrize("what", ["damaged", "of the future", "no folder"])
def test_a_cache_that_is_no_good_is_none(
    stubbed: Any, clock: dict[str, float], what: str, tmp_path: Any
) -> None:
    pricing = stubbed(prices, "pricing")
    for amount in ("1.5", "1.6"):
        pricing.add_response("get_products", {"PriceList": [product(amount)]}, filters())
    folder = tmp_path / "cache" / "hostler" / "aws"
    if what == "no folder":
        folder.parent.mkdir(parents=True)
        folder.write_text("a file where the folder would be")
    prices.on_demand("eu-central-1", "g5.2xlarge")
    if what == "damaged":
        for path in folder.iterdir():
            path.write_text('["')
    if what == "of the future":
        clock["now"] -= 10
    assert prices.on_demand("eu-central-1", "g5.2xlarge").amount == 1.6


def test_whoever_may_not_ask_for_prices_may_go_on(stubbed: Any, clock: dict[str, float]) -> None:
    text = "User: x is not authorized to perform: pricing:GetProducts"
    pricing = stubbed(prices, "pricing")
    pricing.add_client_error("get_products", "AccessDeniedException", text)
    pricing.add_response("get_products", {"PriceList": [product("1.5")]}, filters())
    found = prices.on_demand("eu-central-1", "g5.2xlarge")
    assert found.amount is None
    assert found.source == (
        "AWS price list: not permitted; let the account's administrator permit pricing:GetProducts"
    )
    assert prices.on_demand("eu-central-1", "g5.2xlarge").amount == 1.5  # what is unknown is not remembered


def test_expired_credentials_are_no_unknown_price(stubbed: Any, clock: dict[str, float]) -> None:
    stubbed(prices, "pricing").add_client_error("get_products", "ExpiredTokenException", "late")
    with pytest.raises(AwsError):
        prices.on_demand("eu-central-1", "g5.2xlarge")


def spot(zone: str, price: str, hour: int) -> dict[str, Any]:
    when = datetime(2027, 1, 15, hour, tzinfo=UTC)
    return {"AvailabilityZone": zone, "InstanceType": "g5.2xlarge", "SpotPrice": price, "Timestamp": when}


def question() -> dict[str, Any]:
    now = datetime.fromtimestamp(NOW, UTC)
    return {"InstanceTypes": ["g5.2xlarge"], "ProductDescriptions": ["Linux/UNIX"], "StartTime": now}


def test_the_newest_spot_price_of_each_zone(stubbed: Any, clock: dict[str, float]) -> None:
    rows = [spot("eu-central-1a", "0.6", 7), spot("eu-central-1a", "0.5", 6), spot("eu-central-1b", "0.4", 5)]
    stubbed(prices, "ec2").add_response("describe_spot_price_history", {"SpotPriceHistory": rows}, question())
    found = prices.spot("eu-central-1", ["g5.2xlarge"], "1")
    assert found == {
        "eu-central-1a g5.2xlarge": Price(
            amount=0.6, source="spot price history of eu-central-1a, 08:00 UTC"
        ),
        "eu-central-1b g5.2xlarge": Price(
            amount=0.4, source="spot price history of eu-central-1b, 08:00 UTC"
        ),
    }
    clock["now"] += 599
    assert prices.spot("eu-central-1", ["g5.2xlarge"], "1") == found  # not asked again


@pytest.mark.usefixtures("aws")
def test_each_offered_type_has_a_price_or_a_reason(stubbed: Any) -> None:
    """moto has spot prices; its price list is a stub."""
    pricing = stubbed(prices, "pricing")
    for _ in range(2):
        pricing.add_response("get_products", {"PriceList": [product("1.5")]})
    found = prices.ask(OFFERED, ["g6.2xlarge", "g5.2xlarge"], ["spot", "on-demand"])
    assert set(found) == {
        (zone, name, market)
        for zone, names in OFFERED.items()
        for name in names
        for market in ("spot", "on-demand")
    }
    assert {price.amount for key, price in found.items() if key[2] == "on-demand"} == {1.5}
    for key, price in found.items():
        if key[2] == "spot":
            assert (price.amount or 1) > 0
            assert "spot price history of eu-central-1" in price.source


def test_disks() -> None:
    assert (prices.disk("eu-central-1", 200).amount or 0) * 730 == pytest.approx(19.04)
    assert prices.disk("mars-north-1", 200).amount is None
    assert prices.address().amount == 0.005
