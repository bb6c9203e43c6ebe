"""The functions (data sources) that the stand-in has."""

from collections.abc import Callable
from typing import Any

from .types import Call
from .values import Values, clean

type Function = Callable[[Call, Values], Values]


def _filters(words: Values) -> list[Values]:
    return [{"Name": one["name"], "Values": one["values"]} for one in words.get("filters") or []]


def _only(found: list[Any], what: str) -> Any:
    if len(found) != 1:
        raise ValueError(f"{'no' if not found else 'multiple'} matching {what} found")
    return found[0]


def _get_ami(call: Call, words: Values) -> Values:
    asked = clean(Owners=words.get("owners"), Filters=_filters(words))
    found = sorted(call.ec2.describe_images(**asked)["Images"], key=lambda one: one.get("CreationDate") or "")
    if not found:
        raise ValueError("Your query returned no results. Please change your search criteria and try again.")
    if len(found) > 1 and not words.get("mostRecent"):
        raise ValueError(
            "Your query returned more than one result. Please try a more specific search criteria."
        )
    last = found[-1]
    return {
        "id": last["ImageId"],
        "imageId": last["ImageId"],
        "name": last.get("Name"),
        "ownerId": last.get("OwnerId"),
        "architecture": last.get("Architecture"),
        "rootDeviceName": last.get("RootDeviceName"),
    }


def _get_region(call: Call, words: Values) -> Values:
    region, endpoint = call.region, f"ec2.{call.region}.amazonaws.com"
    return {"id": region, "name": region, "region": region, "description": region, "endpoint": endpoint}


def _get_caller(call: Call, words: Values) -> Values:
    found = call.sts.get_caller_identity()
    return {
        "accountId": found["Account"],
        "arn": found["Arn"],
        "userId": found["UserId"],
        "id": found["Account"],
    }


def _get_zones(call: Call, words: Values) -> Values:
    found = call.ec2.describe_availability_zones()["AvailabilityZones"]
    ids = [zone["ZoneId"] for zone in found]
    return {"names": [zone["ZoneName"] for zone in found], "zoneIds": ids, "groupNames": [call.region]}


def _get_subnets(call: Call, words: Values) -> Values:
    return {"ids": [one["SubnetId"] for one in call.ec2.describe_subnets(Filters=_filters(words))["Subnets"]]}


def _get_subnet(call: Call, words: Values) -> Values:
    asked = clean(SubnetIds=[words["id"]] if words.get("id") else None, Filters=_filters(words))
    found = _only(call.ec2.describe_subnets(**asked)["Subnets"], "EC2 Subnet")
    return {
        "id": found["SubnetId"],
        "vpcId": found["VpcId"],
        "cidrBlock": found["CidrBlock"],
        "availabilityZone": found["AvailabilityZone"],
        "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
        "arn": call.arn("ec2", f"subnet/{found['SubnetId']}"),
    }


def _get_vpc(call: Call, words: Values) -> Values:
    default = [{"Name": "is-default", "Values": ["true"]}] if words.get("default") else []
    asked = clean(VpcIds=[words["id"]] if words.get("id") else None, Filters=_filters(words) + default)
    found = _only(call.ec2.describe_vpcs(**asked)["Vpcs"], "EC2 VPC")
    arn = call.arn("ec2", f"vpc/{found['VpcId']}")
    return {"id": found["VpcId"], "cidrBlock": found["CidrBlock"], "arn": arn, "default": found["IsDefault"]}


def _get_parameter(call: Call, words: Values) -> Values:
    found = call.ssm.get_parameter(Name=words["name"], WithDecryption=True)["Parameter"]
    return {
        "name": found["Name"],
        "value": found["Value"],
        "type": found["Type"],
        "version": found["Version"],
        "arn": found.get("ARN", ""),
        "insecureValue": found["Value"],
    }


FUNCTIONS: dict[str, Function] = {
    "aws:index/getRegion:getRegion": _get_region,
    "aws:index/getCallerIdentity:getCallerIdentity": _get_caller,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _get_zones,
    "aws:ec2/getAmi:getAmi": _get_ami,
    "aws:ec2/getSubnet:getSubnet": _get_subnet,
    "aws:ec2/getSubnets:getSubnets": _get_subnets,
    "aws:ec2/getVpc:getVpc": _get_vpc,
    "aws:ssm/getParameter:getParameter": _get_parameter,
}


def invoke(token: str, call: Call, words: Values) -> Values:
    """The function's answer, with what it was asked; an id where it has none of its own."""
    found = FUNCTIONS[token](call, words)
    return {"id": words.get("name") or call.region, "region": call.region} | words | found
