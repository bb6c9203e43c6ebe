"""Rented hosts in the lab's cloud: from an empty account to a chat, and back to an account with nothing in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.desk import ROOT, Desk
from e2e.sky import instances, rented_from

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = pytest.mark.lab
STACK = (ROOT / "stacks" / "lab-cloud.yaml").read_text(encoding="utf-8")
LOOKING = ("ec2:Describe", "sts:", "s3:GET", "s3:HEAD")


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-cloud", "carol", wheel, pulumi) as found:
        found[0].write(STACK)
        yield found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    """An operator whose stack file rents everything."""
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


@pytest.fixture(autouse=True)
def clear(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.mend()


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


@pytest.mark.soak
def test_a_gateway_on_another_machine(office: Desk, cloud: Cloud) -> None:
    """The old one serves until the new one has answered; where clients find it is said before."""
    (before,) = instances(cloud)
    office.write(STACK.replace("g5.xlarge, g6.xlarge", "g6.xlarge"))
    done = office("up", "--yes", code=9)
    assert f"clients of {before['PublicIpAddress']}" in done.err
    assert "--allow-downtime" in done.err
    done = office.up("--allow-downtime")
    assert "answered" in done.err
    (after,) = instances(cloud)
    assert after["InstanceType"] == "g6.xlarge"
    assert "Paris" in office.ask()
    assert office("plan", "--check", code=0).out == ""
    open_to = cloud.ec2().describe_security_groups(Filters=[{"Name": "tag-key", "Values": ["hostler:uid"]}])
    assert not [group for group in open_to["SecurityGroups"] if "successor" in group["GroupName"]]


def test_nothing_left_after_down(office: Desk, cloud: Cloud) -> None:
    done = office("down", "--yes")
    assert "instance" in done.out
    assert "gone" in done.err
    assert cloud.account() == {}
    assert json.loads(office("doctor", "--json", code=(0, 4)).out)
