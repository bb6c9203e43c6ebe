"""The stand-in for the AWS plugin: a stack through the real CLI, with the plugin from GitHub and the state in S3."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tools.pulumi_cli import pulumi_cli

from .operators import Operator

if TYPE_CHECKING:
    from .cloud.client import Cloud

PROGRAM = Path(__file__).parent / "cloud/program.py"
STATE = "s3://office-hostler?region=eu-central-1"
REGION = "eu-west-1"

type Stack = Callable[..., dict[str, Any]]


@pytest.fixture
def stack(cloud: Cloud, operator: Operator) -> Stack:
    """Runs program.py's verbs on an operator's machine."""
    cloud.admit(operator)
    where = {"LocationConstraint": "eu-central-1"}
    cloud.client("s3").create_bucket(Bucket="office-hostler", CreateBucketConfiguration=where)
    root = pulumi_cli().parent.parent

    def run(*words: object) -> dict[str, Any]:
        command = ["python", str(PROGRAM), STATE, *map(str, words)]
        done = operator.run(command, env={"LAB_PULUMI_ROOT": str(root)}, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.soak
def test_a_stack_from_first_up_to_destroy(cloud: Cloud, stack: Stack) -> None:
    first = stack("up", 1)
    (box,) = first["instances"]
    assert first["changes"] == {"create": 14}
    there = cloud.account()[REGION]
    assert there["instances"] == [box]
    assert {kind: len(ids) for kind, ids in there.items()} == {
        "instances": 1, "volumes": 1, "key pairs": 1, "security groups": 2, "vpcs": 1, "subnets": 1,
        "route tables": 1, "internet gateways": 1,
    }  # fmt: skip
    made = cloud.instance(box, REGION)
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == {"Name": "box-0", "hostler:stack": "office"}
    assert (made["PublicIpAddress"], made["Placement"]["AvailabilityZone"]) == (
        first["addresses"][0],
        "eu-west-1b",
    )
    assert stack("up", 1)["changes"] == {"same": 14}

    cloud.ec2(REGION).create_tags(Resources=[box], Tags=[{"Key": "Name", "Value": "mine"}])
    assert stack("refresh", 1)["changes"] == {"same": 13, "update": 1}
    assert {"Key": "Name", "Value": "box-0"} in cloud.instance(box, REGION)["Tags"]

    cloud.ec2(REGION).terminate_instances(InstanceIds=[box])
    cloud.wait(box, "terminated", REGION)
    assert stack("refresh", 2, "t3.medium")["changes"] == {"same": 13, "create": 2}
    stack("destroy")
    assert cloud.account() == {"global": {"buckets": ["office-hostler"]}}
