"""Services that moto does not have: quotas and the price list."""

import json
from collections.abc import Callable
from typing import Any

from .catalog import HOURLY, LOCATIONS, QUOTAS, hourly
from .faults import Faults
from .wire import Answer, Call

JSON = [("Content-Type", "application/x-amz-json-1.1")]
PAGE = 2  # quotas a page: whoever does not ask for the next one finds out


def _quota(code: str, region: str, values: dict[str, float]) -> dict[str, Any]:
    name, _, _, value = QUOTAS[code]
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{region}::ec2/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(values.get(code, value)),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def quotas(call: Call, faults: Faults) -> Answer:
    """ListServiceQuotas and GetServiceQuota of ec2."""
    asked = call.json()
    if asked.get("ServiceCode") != "ec2":
        return call.error("NoSuchResourceException", "The request failed because the service does not exist.")
    if call.action == "ListServiceQuotas":
        start = int(asked.get("NextToken") or 0)
        found = [_quota(code, call.region, faults.quotas) for code in QUOTAS]
        page = {"Quotas": found[start : start + PAGE]}
        return _json(page | ({"NextToken": str(start + PAGE)} if start + PAGE < len(found) else {}))
    if call.action == "GetServiceQuota" and asked.get("QuotaCode") in QUOTAS:
        return _json({"Quota": _quota(asked["QuotaCode"], call.region, faults.quotas)})
    return call.error("NoSuchResourceException", "The request failed because the quota does not exist.")


def _product(kind: str, region: str, price: float) -> dict[str, Any]:
    sku = f"LAB{kind}{region}".upper().replace(".", "").replace("-", "")
    term = f"{sku}.JRTCKXETXF"
    return {
        "product": {
            "productFamily": "Compute Instance",
            "sku": sku,
            "attributes": {
                "servicecode": "AmazonEC2",
                "instanceType": kind,
                "regionCode": region,
                "location": LOCATIONS[region],
                "locationType": "AWS Region",
                "operatingSystem": "Linux",
                "tenancy": "Shared",
                "preInstalledSw": "NA",
                "capacitystatus": "Used",
                "licenseModel": "No License required",
                "marketoption": "OnDemand",
                "operation": "RunInstances",
            },
        },
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {
                term: {
                    "offerTermCode": "JRTCKXETXF",
                    "sku": sku,
                    "effectiveDate": "2026-01-01T00:00:00Z",
                    "termAttributes": {},
                    "priceDimensions": {
                        f"{term}.6YS6EN2CT7": {
                            "rateCode": f"{term}.6YS6EN2CT7",
                            "unit": "Hrs",
                            "beginRange": "0",
                            "endRange": "Inf",
                            "description": f"${price:.3f} per On Demand Linux {kind} Instance Hour",
                            "appliesTo": [],
                            "pricePerUnit": {"USD": f"{price:.10f}"},
                        }
                    },
                }
            }
        },
        "version": "20260101000000",
        "publicationDate": "2026-01-01T00:00:00Z",
    }


def price_list(call: Call, faults: Faults) -> Answer:
    """GetProducts of AmazonEC2, by TERM_MATCH on attributes; each product is JSON within JSON, as AWS has it."""
    asked = call.json()
    if call.region not in ("us-east-1", "eu-central-1", "ap-south-1"):
        return call.error("AccessDeniedException", f"There is no price list service in {call.region}.")
    if call.action != "GetProducts" or asked.get("ServiceCode") != "AmazonEC2":
        return call.error("InvalidParameterException", "The lab has the products of AmazonEC2 alone.")
    found: list[str] = []
    for kind in HOURLY:
        for region in LOCATIONS:
            price = hourly(kind, region)
            product = _product(kind, region, price or 0)
            have = product["product"]["attributes"] | {"productFamily": "Compute Instance"}
            if all(have.get(f["Field"]) == f["Value"] for f in asked.get("Filters", [])):
                found.append(json.dumps(product))
    start, size = int(asked.get("NextToken") or 0), min(int(asked.get("MaxResults") or 100), 100)
    page = {"FormatVersion": "aws_v1", "PriceList": found[start : start + size]}
    return _json(page | ({"NextToken": str(start + size)} if start + size < len(found) else {}))


def _json(value: dict[str, Any]) -> Answer:
    return Answer("200 OK", JSON, json.dumps(value).encode())


OWN: dict[str, Callable[[Call, Faults], Answer]] = {"servicequotas": quotas, "pricing": price_list}
