"""A rented pool under load: fewer machines, and machines with another image. No request is lost or cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.desk import Desk
from e2e.load import Load
from e2e.sky import instances, rented_from, shown, slot_of
from lab.cloud.catalog import DEEP_LEARNING, UBUNTU_24
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak]
HOME = HostSpec("door-1", suite="bookworm")
STACK = """
stack: counts
pools:
  door: [door-1]
  burst:
    aws: {regions: [eu-central-1], instances: [g5.xlarge], spot: never, disk: 100 GiB, image: nvidia}
    count: 3
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    pool: burst
    replicas: 3
    context: 2k
    args: ["--threads", "1"]
    smoke: {prompt: What is the capital of France? Answer in one short sentence., expect: Paris}
mirror: {toolkit_key: ~/.config/hostler/toolkit.asc, driver_key: ~/.config/hostler/toolkit.asc}
"""


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-counts", "erin", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK)
        desk.first = desk.up()
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    """A gateway at home, and three rented hosts that serve one model."""
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


def ready(desk: Desk) -> list[str]:
    """The host of each replica that is ready."""
    return sorted(row["host"] for row in shown(desk).json["replicas"] if row["state"] == "ready")


def test_three_become_one(office: Desk, cloud: Cloud) -> None:
    assert ready(office) == ["burst-0", "burst-1", "burst-2"]
    office.edit("count: 3", "count: 1")
    assert {one["host"] for one in office.plan() if one["effect"] == "drain"} == {"burst-1", "burst-2"}
    with Load(office) as load:
        done = office.up()
        whole, broken = load.end()
    assert (broken, whole > 0) == ("", True)
    assert "gone: burst-1" in done.err
    assert "gone: burst-2" in done.err
    assert [slot_of(machine) for machine in instances(cloud)] == ["burst-0"]
    office(
        "ssh", "burst-0", "ls", "/etc/systemd/system/hostler-lease.timer"
    )  # what ends it is not ours to take
    assert ready(office) == ["burst-0"] * 3  # they share its card
    assert office("plan", "--check").out == ""


def test_another_image_comes_beside_the_old_one(office: Desk, cloud: Cloud) -> None:
    (old,) = instances(cloud)
    assert old["ImageId"] == DEEP_LEARNING
    office.edit("image: nvidia", "image: ubuntu-24.04")
    assert "image: nvidia => ubuntu-24.04" in office("plan").out
    with Load(office) as load:
        done = office.up()
        whole, broken = load.end()
    assert (broken, whole > 0) == ("", True)
    assert "burst-3: Reboot" in done.err.replace("  ", " ")  # into its driver, while burst-0 serves
    assert "gone: burst-0" in done.err
    (new,) = instances(cloud)
    assert (new["ImageId"], slot_of(new)) == (UBUNTU_24, "burst-3")
    assert ready(office) == ["burst-3"] * 3
    assert office("plan", "--check").out == ""


def test_down_leaves_the_account_empty(office: Desk, cloud: Cloud) -> None:
    office("down", "--yes")
    assert cloud.account() == {}
