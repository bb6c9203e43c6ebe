"""The stand-in's rules, without an engine: what a change does, and what inputs are refused."""

from __future__ import annotations

from typing import Any

import pytest

from .cloud.provider.changes import changes
from .cloud.provider.schema import faults, read_schema
from .cloud.provider.table import TYPES
from .cloud.releases import schema

INSTANCE, GROUP = "aws:ec2/instance:Instance", "aws:ec2/securityGroup:SecurityGroup"
HAVE = {
    "ami": "ami-1",
    "instanceType": "g5.xlarge",
    "subnetId": "subnet-1",
    "keyName": "me",
    "userData": "one",
    "tags": {"Name": "box"},
    "vpcSecurityGroupIds": ["sg-1"],
    "rootBlockDevice": {"volumeSize": 100, "encrypted": True},
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"ami": "ami-2"}, {"ami": "UPDATE_REPLACE"}),
        ({"keyName": "you"}, {"keyName": "UPDATE_REPLACE"}),
        ({"availabilityZone": "eu-west-1b"}, {"availabilityZone": "ADD_REPLACE"}),
        ({"instanceType": "g5.2xlarge"}, {"instanceType": "UPDATE"}),
        ({"vpcSecurityGroupIds": ["sg-2"]}, {"vpcSecurityGroupIds[0]": "UPDATE"}),
        ({"userData": "two"}, {"userData": "UPDATE"}),
        (
            {"userData": "two", "userDataReplaceOnChange": True},
            {"userData": "UPDATE_REPLACE", "userDataReplaceOnChange": "ADD"},
        ),
        (
            {"rootBlockDevice": {"volumeSize": 200, "encrypted": False}},
            {"rootBlockDevice.volumeSize": "UPDATE", "rootBlockDevice.encrypted": "UPDATE_REPLACE"},
        ),
        ({"tags": {}}, {"tags.Name": "DELETE", "tagsAll.Name": "DELETE"}),
    ],
)
def test_what_a_change_does(change: dict[str, Any], expected: dict[str, str]) -> None:
    state = HAVE | {"tagsAll": {"Name": "box", "owner": "me"}}
    found = changes(TYPES[INSTANCE], HAVE, HAVE | change, state, {"owner": "me"}, ())
    assert dict(found) == expected


def test_after_an_import_the_state_fills_in() -> None:
    state = HAVE | {"tagsAll": {"Name": "box"}}
    assert changes(TYPES[INSTANCE], {}, HAVE, state, {}, ()) == []
    other = HAVE | {"ami": "ami-2", "keyName": "you"}
    assert changes(TYPES[INSTANCE], {}, other, state, {}, ("keyName",)) == [("ami", "ADD_REPLACE")]


@pytest.mark.parametrize(
    ("token", "inputs", "where"),
    [
        (INSTANCE, {"ami": "ami-1", "instanceType": "g5.xlarge"}, []),
        (INSTANCE, {"imageId": "ami-1"}, ["imageId"]),
        (INSTANCE, {"rootBlockDevice": {"size": 8}}, ["rootBlockDevice.size"]),
        (INSTANCE, {"vpcSecurityGroupIds": "sg-1"}, ["vpcSecurityGroupIds"]),
        (INSTANCE, {"rootBlockDevice": {"volumeSize": "much"}}, ["rootBlockDevice.volumeSize"]),
        (GROUP, {"ingress": [{"protocol": "tcp", "fromPort": 22}]}, ["ingress[0].toPort"]),
        ("aws:iam/role:Role", {}, ["assumeRolePolicy"]),
    ],
)
def test_what_is_refused(token: str, inputs: dict[str, Any], where: list[str]) -> None:
    assert sorted(faults(read_schema(schema())[token], inputs)) == where
