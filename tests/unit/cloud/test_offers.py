"""Zones, types and images of a region."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ssm.models import Parameter, ssm_backends

from hostler.cloud import amis, offers
from hostler.errors import ProvisionError

pytestmark = pytest.mark.usefixtures("aws")
REGION = "eu-central-1"


def test_the_types_of_each_zone() -> None:
    found = offers.offered((REGION, "us-west-2"), ("g5.2xlarge", "p5.48xlarge", "g9.9xlarge"))
    assert {zone for zone in found if zone.startswith(REGION)} == {f"{REGION}{letter}" for letter in "abc"}
    assert found["us-west-2a"] <= {"g5.2xlarge", "p5.48xlarge"}
    assert any("g5.2xlarge" in types for types in found.values())


def test_they_are_asked_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    first = offers.offered((REGION,), ("g5.2xlarge",))
    monkeypatch.setattr(offers, "client", None)
    assert offers.offered((REGION,), ("g5.2xlarge",)) == first
    with pytest.raises(TypeError):
        offers.offered((REGION,), ("g6.2xlarge",))  # another question


def zone(name: str, kind: str) -> dict[str, Any]:
    return {"ZoneName": name, "ZoneType": kind}


def test_local_zones_are_none(stubbed: Any) -> None:
    ec2 = stubbed(offers, "ec2")
    zones = [zone("eu-central-1a", "availability-zone"), zone("eu-central-1-ham-1a", "local-zone")]
    ec2.add_response("describe_availability_zones", {"AvailabilityZones": zones})
    rows = [{"InstanceType": "g5.2xlarge", "Location": row["ZoneName"]} for row in zones]
    ec2.add_response("describe_instance_type_offerings", {"InstanceTypeOfferings": rows})
    assert offers.offered((REGION,), ("g5.2xlarge",)) == {"eu-central-1a": {"g5.2xlarge"}}


def test_the_zone_of_a_subnet() -> None:
    ec2 = boto3.client("ec2", REGION)
    subnet = ec2.describe_subnets()["Subnets"][0]
    assert offers.zone_of(subnet["SubnetId"], REGION) == subnet["AvailabilityZone"]
    with pytest.raises(ProvisionError, match=r"subnet-0 in eu-central-1: .*InvalidSubnetID"):
        offers.zone_of("subnet-0", REGION)


# -- images


def an_ami(region: str = REGION) -> str:
    ec2 = boto3.client("ec2", region)
    return next(
        one["ImageId"]
        for one in ec2.describe_images(Owners=["099720109477"])["Images"]
        if one["Architecture"] == "x86_64"
    )


def publish(image: str, ami: str) -> None:
    """PutParameter refuses names of AWS's own."""
    name = amis.PARAMETERS[image]
    parameter: Any = Parameter(
        account_id=DEFAULT_ACCOUNT_ID, name=name, value=ami, parameter_type="String", description=None,
        allowed_pattern=None, keyid=None, last_modified_date=0, version=1, data_type="aws:ec2:image",
    )  # fmt: skip
    ssm_backends[DEFAULT_ACCOUNT_ID][REGION]._parameters[name].append(parameter)


@pytest.mark.parametrize("image", sorted(amis.PARAMETERS))
def test_a_published_image(image: str) -> None:
    publish(image, ami := an_ami())
    found = amis.resolve(image, (REGION,))[REGION]
    assert (found.ami, found.user) == (ami, "ubuntu")
    assert found.disk_gib > 0


def test_a_region_without_it() -> None:
    with pytest.raises(ProvisionError) as caught:
        amis.resolve("nvidia", ("us-gov-west-1",))
    problem = caught.value.problems[0]
    assert (problem.where, problem.got) == (
        "image nvidia in us-gov-west-1",
        "no such parameter in this region",
    )


def test_an_ami_is_of_one_region() -> None:
    ec2 = boto3.client("ec2", REGION)
    run = ec2.run_instances(ImageId=an_ami(), InstanceType="t3.small", MinCount=1, MaxCount=1)
    mine = ec2.create_image(InstanceId=run["Instances"][0]["InstanceId"], Name="my debian 12")["ImageId"]
    found = amis.resolve(mine, ("us-west-2", REGION))
    assert [(region, one.ami, one.user) for region, one in found.items()] == [(REGION, mine, "admin")]
    with pytest.raises(ProvisionError, match="an image of us-west-2"):
        amis.resolve(mine, ("us-west-2",))


def test_a_word_that_is_no_image() -> None:
    with pytest.raises(ProvisionError, match=r"nvidia, ubuntu-24\.04"):
        amis.resolve("windows", (REGION,))


SAID = {"ImageId": "ami-1", "Name": "x", "State": "available", "Architecture": "x86_64"}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [({"Architecture": "arm64"}, "one for x86_64"), ({"State": "pending"}, "one that is available")],
)
def test_an_image_that_cannot_boot(stubbed: Any, wrong: dict[str, str], expected: str) -> None:
    stubbed(amis, "ec2").add_response("describe_images", {"Images": [{**SAID, **wrong}]})
    with pytest.raises(ProvisionError) as caught:
        amis.resolve("ami-1", (REGION,))
    assert caught.value.problems[0].expected == expected


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20250602", "ubuntu"),
        ("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20250610", "ubuntu"),
        ("al2023-ami-2023.7.20250609.0-kernel-6.1-x86_64", "ec2-user"),
        ("Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023) 20250602", "ec2-user"),
        ("RHEL-9.6.0_HVM-20250618-x86_64", "ec2-user"),
        ("debian-12-amd64-20250530-2128", "admin"),
        ("Rocky-9-EC2-Base-9.6", "rocky"),
        ("our own", "ubuntu"),
    ],
)
def test_who_logs_in(name: str, user: str) -> None:
    assert amis.user_of(name) == user
