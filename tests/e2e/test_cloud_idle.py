"""A rented machine that gives itself back: parked, no drift, woken by name; its price; and what the sweep finds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import Desk
from e2e.sky import instances, rented_from, shown
from lab.cloud.catalog import UBUNTU_24
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = pytest.mark.lab
HOME = HostSpec("door-1", suite="bookworm")
FAR = "eu-west-1"
STACK = """
stack: idle
pools:
  door: [door-1]
  burst:
    aws: {regions: [eu-central-1], instances: [g5.xlarge], spot: never, disk: 100 GiB, image: nvidia}
    count: 1
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    pool: burst
    context: 2k
    args: ["--threads", "1"]
    smoke: {prompt: What is the capital of France? Answer in one short sentence., expect: Paris}
mirror: {toolkit_key: ~/.config/hostler/toolkit.asc, driver_key: ~/.config/hostler/toolkit.asc}
"""


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-idle", "ivan", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK)
        desk.first = desk.up()
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    """A gateway at home, and a rented host that serves."""
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


def slot(desk: Desk) -> dict[str, Any]:
    """As the record has it, for those who may not ask AWS."""
    text = desk.lab.hosts()[0].run(["cat", "/var/lib/hostler/home/record.json"]).stdout
    return json.loads(text)["slots"]["burst-0"]


def slot_states(desk: Desk) -> list[str]:
    return [row["state"] for row in shown(desk).json["slots"]]


def test_what_it_costs_is_in_the_record(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    found = slot(office)
    assert (found["machine"], found["instance"]) == (machine["InstanceId"], "g5.xlarge")
    assert (found["region"], found["market"]) == ("eu-central-1", "on-demand")
    assert found["zone"] == machine["Placement"]["AvailabilityZone"]
    assert found["price"] > 0
    assert found["price_source"].startswith("AWS price list")
    assert found["since"] == machine["LaunchTime"].timestamp()


def test_one_that_ends_itself_is_parked_and_no_drift(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    cloud.host(machine["InstanceId"]).run(["systemctl", "--no-block", "poweroff"])
    cloud.wait(machine["InstanceId"], "terminated", limit=300)
    done = office("plan", "--check")
    assert done.out == ""
    assert "burst-0: gave itself back when idle; `hostler wake burst` brings it back" in done.err
    assert slot_states(office) == ["parked"]
    done = office.up("--json")
    assert done.json["changes"] == []
    assert "parked: burst-0" in done.err
    assert (slot(office)["state"], slot(office)["given_back"]) == ("parked", True)
    assert instances(cloud) == []
    done = office("plan", "--check")
    assert "parked, and no drift: burst-0" in done.err
    done = office("status", "--json")
    assert [row["state"] for row in done.json["replicas"]] == ["parked"]  # its place is kept
    assert "next: hostler wake burst" in office("status").err


def test_by_its_pools_name_it_comes_back(office: Desk, cloud: Cloud) -> None:
    before = slot(office)["machine"]
    done = office("wake", "burst", "--yes")
    assert "answered" in done.err
    assert "ended outside of hostler" not in done.err  # it was parked
    (machine,) = instances(cloud)
    assert slot_states(office) == ["wanted"]
    assert (slot(office)["machine"], slot(office)["given_back"]) == (machine["InstanceId"], False)
    assert machine["InstanceId"] != before
    assert "Paris" in office.ask()
    assert office("plan", "--check").out == ""


@pytest.mark.soak
def test_a_model_sleeps_and_wakes_by_its_name(office: Desk) -> None:
    (row,) = office("sleep", "chat", "--json").json
    assert (row["replica"], row["host"], row["changed"], row["error"]) == ("chat-0", "burst-0", True, False)
    assert office("sleep", "chat", "--json").json[0]["changed"] is False
    (row,) = office("wake", "chat", "--json").json
    assert (row["changed"], row["error"]) == (True, False)
    assert "Paris" in office.ask()


@pytest.mark.soak
def test_a_stray_is_shown_by_status_and_ended_by_up(office: Desk, cloud: Cloud) -> None:
    (own,) = instances(cloud)
    office.edit("[eu-central-1]", "[eu-central-1, eu-west-1]")
    tags = {tag["Key"]: tag["Value"] for tag in own["Tags"] if not tag["Key"].startswith("aws:")}
    made = list[str]()
    for name, lease in (("burst-7", time.time() - 60), ("burst-8", time.time() + 3600)):
        mine = tags | {"hostler:slot": name, "hostler:lease": f"{lease:.0f}"}
        answer = cloud.ec2(FAR).run_instances(
            ImageId=UBUNTU_24, InstanceType="t3.micro", MinCount=1, MaxCount=1,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in mine.items()]}
            ],
        )  # fmt: skip
        made.append(str(answer["Instances"][0]["InstanceId"]))
    stray, young = made
    swept = shown(office).json["strays"]
    assert swept["known"]
    assert [(one["kind"], one["id"], one["slot"]) for one in swept["things"]] == [
        ("instance", stray, "burst-7")
    ]
    assert f"stray instance {stray} (burst-7) in {FAR}" in office("status").err
    planned = office("plan", "--check", code=10)
    assert stray in planned.out
    assert young not in planned.out
    assert f"gone: stray instance {stray} (burst-7)" in office.up().err
    assert [one["InstanceId"] for one in instances(cloud, FAR)] == [young]
    assert [one["InstanceId"] for one in instances(cloud)] == [own["InstanceId"]]
    assert office("plan", "--check").out == ""
    assert shown(office).json["strays"]["things"] == []
    cloud.ec2(FAR).terminate_instances(InstanceIds=[young])
    cloud.wait(young, "terminated", FAR)


@pytest.mark.soak
def test_one_that_is_ended_by_hand_is_lost(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    cloud.ec2().terminate_instances(InstanceIds=[machine["InstanceId"]])
    cloud.wait(machine["InstanceId"], "terminated")
    done = office("plan", "--check", code=10)
    assert "another takes its place" in done.err
    assert "gave itself back" not in done.err


def test_nothing_left_after_down(office: Desk, cloud: Cloud) -> None:
    office("down", "--yes")
    assert cloud.account() == {}
