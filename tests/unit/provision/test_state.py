"""What is rented, by Pulumi's own document."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.cloud.types import Candidate, Rented
from hostler.provision import state
from hostler.provision.state import INSTANCE

TAGS = {
    "hostler:uid": "u1",
    "hostler:slot": "burst-0",
    "hostler:pool": "burst",
    "hostler:lease": "1800000000",
}
INPUTS = {
    "region": "eu-central-1", "availabilityZone": "eu-central-1b", "instanceType": "g5.xlarge", "ami": "ami-1", "tags": TAGS,
}  # fmt: skip
OUTPUTS = {"publicIp": "198.51.100.7", "privateIp": "10.77.4.9", "instanceState": "running", "tags": TAGS}
MACHINE = Rented(
    slot="burst-0", pool="burst", id="i-1", public_ip="198.51.100.7", private_ip="10.77.4.9", uid="u1",
    lease=1_800_000_000.0, state="running",
    candidate=Candidate(region="eu-central-1", zone="eu-central-1b", instance="g5.xlarge", market="on-demand", ami="ami-1"),
)  # fmt: skip


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:lab::hostler::{kind}::{name}"


def item(kind: str = INSTANCE, name: str = "burst-0", **more: Any) -> dict[str, Any]:
    return {"urn": urn(kind, name), "type": kind, "id": "i-1", "inputs": INPUTS, "outputs": OUTPUTS} | more


def document(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resources": list(resources)} | more


def test_an_instance_in_full() -> None:
    assert state.rented(document(item())) == (MACHINE,)


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"inputs": INPUTS | {"instanceMarketOptions": {"marketType": "spot"}}}, "market", "spot"),
        ({"inputs": {}, "outputs": OUTPUTS | {"instanceLifecycle": "spot"}}, "market", "spot"),
        ({"inputs": {}, "outputs": OUTPUTS | {"availabilityZone": "eu-west-1c"}}, "region", "eu-west-1"),
        (
            {"inputs": {}, "outputs": OUTPUTS | {"availabilityZone": "us-west-2-lax-1a"}},
            "region",
            "us-west-2",
        ),
        ({"inputs": {}, "outputs": OUTPUTS | {"instanceType": "g6.xlarge"}}, "instance", "g6.xlarge"),
    ],
)
def test_how_it_was_had(change: dict[str, Any], field: str, expected: str) -> None:
    (found,) = state.rented(document(item(**change)))
    assert getattr(found.candidate, field) == expected


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"outputs": OUTPUTS | {"tags": {}}, "inputs": INPUTS | {"tags": {}}}, "uid", ""),
        (
            {"outputs": OUTPUTS | {"tags": {}}},
            "uid",
            "u1",
        ),  # tags that are nowhere else are those that were wished
        ({"outputs": {"tags": {}}, "inputs": {}}, "pool", "burst"),
        ({"outputs": OUTPUTS | {"tags": TAGS | {"hostler:lease": "soon"}}}, "lease", 0.0),
        ({"outputs": {}}, "public_ip", ""),
        ({"outputs": {state.SECRET: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}}, "state", ""),
    ],
)
def test_what_is_missing(change: dict[str, Any], field: str, expected: object) -> None:
    (found,) = state.rented(document(item(**change)))
    assert getattr(found, field) == expected


def test_what_is_not_rented() -> None:
    others = (
        item(delete=True, id="i-old"),  # replaced, still to be deleted
        item("aws:ec2/vpc:Vpc", "eu-central-1"),
        item(name="burst-1", id=""),  # never came to be
        item("hostler:index:OwnedHost", "gpu-1"),
    )
    assert state.rented(document(*others)) == ()
    assert [machine.slot for machine in state.rented(document(item(name="burst-2"), item()))] == [
        "burst-0",
        "burst-2",
    ]
    assert state.rented({}) == ()


STACK = item(state.STACK, "hostler-lab", id="", inputs={}, outputs={"uid": "u9"})


@pytest.mark.parametrize(
    ("found", "uid", "new"),
    [
        ({}, "", True),
        (document(STACK), "u9", False),
        (document(STACK | {"outputs": {}}), "", True),
        (document(STACK | {"outputs": {}}, item()), "u1", False),
        (document(STACK | {"outputs": {}}, pending_operations=[{"type": "creating"}]), "", False),
    ],
)
def test_whose_it_is(found: dict[str, Any], uid: str, new: bool) -> None:
    assert (state.uid_of(found), state.is_new(found)) == (uid, new)


def test_what_commands_are_pointed_at() -> None:
    vpc = item("aws:ec2/vpc:Vpc", "eu-central-1", id="vpc-1")
    provider = item(state.AWS_PROVIDER, "aws", id="p", inputs={"region": "eu-west-1"})
    found = document(
        STACK, provider, vpc, item(), item(delete=True, id="i-old"), item("hostler:index:OwnedHost", "gpu-1")
    )
    assert state.cloud_urns(found) == [one["urn"] for one in (provider, vpc, item())]
    assert state.slot_urns(found, ["burst-0", "burst-9"]) == {"burst-0": urn(INSTANCE, "burst-0")}
    assert {"i-1", "i-old", "vpc-1"} <= state.ids(found)
    assert state.provider_region(found) == "eu-west-1"
    assert state.names(found, state.NETWORK) == {"eu-central-1"}


@pytest.mark.parametrize(
    ("provider", "lines"),
    [
        ({"type": "passphrase", "state": {"salt": "v1:abc"}}, {"encryptionsalt": "v1:abc"}),
        (
            {"type": "cloud", "state": {"url": "awskms://alias/x", "encryptedkey": "AQ"}},
            {"secretsprovider": "awskms://alias/x", "encryptedkey": "AQ"},
        ),
        ({}, {}),
    ],
)
def test_what_opens_its_secrets(provider: dict[str, Any], lines: dict[str, str]) -> None:
    assert state.secrets_provider({"secrets_providers": provider}) == lines


def test_the_file_of_the_backend() -> None:
    assert state.deployment({"version": 3, "checkpoint": {"latest": document(item())}}) == document(item())
    assert state.deployment({"version": 3, "checkpoint": {}}) == {}
