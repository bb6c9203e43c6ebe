"""The stand-in's rules, without an engine: what a change does, and what inputs are refused; and its start."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from .cloud.provider.changes import changes
from .cloud.provider.schema import faults, read_schema
from .cloud.provider.table import TYPES
from .cloud.releases import archive, schema

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


@pytest.mark.parametrize("python", [sys.executable, "/nowhere/python"])
def test_it_starts_here_and_elsewhere(tmp_path: Path, python: str) -> None:
    """Where this machine's Python is not, from what the archive holds. Its engine's end is its own."""
    with tarfile.open(fileobj=io.BytesIO(archive(python))) as packed:
        packed.extractall(tmp_path, filter="data")
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    words = [tmp_path / "pulumi-resource-aws", "127.0.0.1:1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environ, stdin=pipe, stdout=pipe, text=True) as started:
        assert started.stdout
        assert started.stdin
        assert started.stdout.readline().strip().isdigit()
        loaded = Path(f"/proc/{started.pid}/cmdline").read_text().split("\0")
        assert (str(tmp_path) in loaded) == (python != sys.executable), loaded
        started.stdin.close()
        assert started.wait(20) == 3
