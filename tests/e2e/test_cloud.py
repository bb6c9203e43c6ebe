"""Rented hosts in the lab's cloud: from an empty account to a chat, and back to an account with nothing in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import ROOT, Desk
from lab.lab import Lab
from lab.machine import trouble

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = pytest.mark.lab
STACK = (ROOT / "stacks" / "lab-cloud.yaml").read_text(encoding="utf-8")
REGION = "eu-central-1"
LOOKING = ("ec2:Describe", "sts:", "s3:GET", "s3:HEAD")


@pytest.fixture(scope="module")
def sky() -> Iterator[Lab]:
    """A lab without hosts of its own: all are rented."""
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start("e2e-cloud") as running:
        yield running


@pytest.fixture(scope="module")
def cloud(sky: Lab) -> Iterator[Cloud]:
    with sky.cloud() as running:
        yield running


@pytest.fixture(scope="module")
def office(sky: Lab, cloud: Cloud, wheel: Path, pulumi: Path) -> Desk:
    """An operator with an account in that cloud, and the stack file that rents."""
    desk = Desk(sky, cloud.admit(sky.operator("carol")), wheel, pulumi)
    desk.write(STACK)
    return desk


@pytest.fixture(autouse=True)
def clear(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.mend()


def instances(cloud: Cloud, region: str = REGION) -> list[dict[str, Any]]:
    """Those that are not ended."""
    answers = cloud.ec2(region).describe_instances()["Reservations"]
    found = [one for answer in answers for one in answer["Instances"]]
    return [one for one in found if one["State"]["Name"] not in ("terminated", "shutting-down")]


def test_a_plan_shows_what_it_costs_and_rents_nothing(office: Desk, cloud: Cloud) -> None:
    done = office("plan")
    assert "g5.xlarge on-demand in eu-central-1" in done.err
    assert "USD/h" in done.err
    assert "a month" in done.err
    assert "g6.xlarge" in done.err
    assert "burst-0" in done.out
    assert cloud.account() == {}


def test_from_an_empty_account_to_a_chat(office: Desk, cloud: Cloud) -> None:
    done = office.up()
    assert "answered" in done.err
    assert "Paris" in office.ask()
    (machine,) = instances(cloud)
    tags = {tag["Key"]: tag["Value"] for tag in machine["Tags"]}
    assert tags["hostler:slot"] == "burst-0"
    assert tags["hostler:stack"] == "lab-cloud"
    assert {"hostler:uid", "hostler:owner", "hostler:lease"} <= set(tags)
    assert machine["MetadataOptions"]["HttpTokens"] == "required"


def test_the_second_up_changes_nothing(office: Desk, cloud: Cloud) -> None:
    before = cloud.calls()
    done = office.up("--json")
    assert done.json["changes"] == []
    assert "nothing to do" in done.err
    made = {call for call, count in cloud.calls().items() if count > before.get(call, 0)}
    assert {call for call in made if not call.startswith(LOOKING)} == set()
    assert office("plan", "--check", code=0).out == ""


def test_the_key_of_its_birth_is_worthless(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    asked = cloud.ec2().describe_instance_attribute(InstanceId=machine["InstanceId"], Attribute="userData")
    assert asked["UserData"]["Value"]
    born = "ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub; cat /var/lib/hostler/lease; ls /etc/ssh"
    said = office("ssh", "burst-0", "sh", "-c", born).out
    assert "ED25519" in said
    assert "none" in said
    assert "hostler_next" not in said


def test_nothing_left_after_down(office: Desk, cloud: Cloud) -> None:
    done = office("down", "--yes")
    assert "instance" in done.out
    assert "gone" in done.err
    assert cloud.account() == {}
    assert json.loads(office("doctor", "--json", code=(0, 4)).out)
