"""A rented machine that stops when it is idle keeps its disk: its controller starts it for a request, `wake` by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e import test_cloud_waking as waking
from e2e.desk import Desk
from e2e.sky import instances, rented_from
from e2e.test_cloud_giving import gateway
from hostler.cloud import live
from lab.shell import wait_for
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.usefixtures("controller_world")]
HOME = HostSpec("door-1", suite="bookworm")
AFTER_S = 60
STOPPED_S = AFTER_S + 120.0
ALONE_S = AFTER_S + 660.0  # by the host alone
WAITING = 20
NEVER, SOON = "after: 2h, do: stop", f"after: {AFTER_S}s, do: stop"
STACK = waking.STACK.replace("stack: waking", "stack: stopping").replace(
    "do: terminate, queue: 16", "do: stop, queue: 32"
)
RENTS = waking.RENTS.replace("stacks/waking", "stacks/stopping")


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-stopping", "stan", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK.replace("count: 0-1", "count: 1"))
        desk.first = desk.up()
        desk.edit("count: 1", "count: 0-1")
        place = desk.operator.home / ".config/hostler/controller-aws"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(found.credentials("controller", desk("rights").json))
        desk.write(desk.file.read_text() + RENTS)
        desk.up()
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


def slot(desk: Desk) -> dict[str, Any]:
    text = gateway(desk).run(["cat", "/var/lib/hostler/home/record.json"]).stdout
    return json.loads(text)["slots"]["burst-0"]


def behaviour(cloud: Cloud, machine: str) -> str:
    asked = cloud.ec2().describe_instance_attribute(
        InstanceId=machine, Attribute="instanceInitiatedShutdownBehavior"
    )
    return asked["InstanceInitiatedShutdownBehavior"]["Value"]


def rests(cloud: Cloud, limit_s: float = STOPPED_S) -> dict[str, Any]:
    """The machine, once it is stopped."""
    wait_for("it to stop", lambda: instances(cloud)[0]["State"]["Name"] == "stopped", limit_s, every=1)
    return instances(cloud)[0]


def test_its_shutdown_stops_it(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    assert behaviour(cloud, machine["InstanceId"]) == "stop"
    assert office("plan", "--check").out == ""


def test_idle_it_is_stopped_by_itself_and_no_drift(office: Desk, cloud: Cloud) -> None:
    (before,) = instances(cloud)
    office.edit(NEVER, SOON)
    office.up()
    machine = rests(cloud)
    assert machine["InstanceId"] == before["InstanceId"]
    assert machine["StateReason"]["Code"] == live.BY_ITSELF
    wait_for("its slot to be parked", lambda: slot(office)["state"] == "parked", 60)
    found = slot(office)
    assert (found["given_back"], found["stopped"], found["machine"]) == (True, True, machine["InstanceId"])
    done = office("plan", "--check")
    assert done.out == ""
    assert "stopped, and no drift: burst-0 (its disk costs; `hostler wake` starts it)" in done.err
    rows = office("status", "--json").json
    assert [row["state"] for row in rows["slots"]] == ["parked, stopped"]
    assert [row["state"] for row in rows["replicas"]] == ["parked"]
    assert rows["strays"]["things"] == []
    office.edit(SOON, NEVER)


def test_all_who_wait_are_answered_by_the_same_machine(office: Desk, cloud: Cloud) -> None:
    (before,) = instances(cloud)
    those = [waking.waiting(office, how) for how in ("stream", "whole") * (WAITING // 2)]
    try:
        answers = [one.communicate(timeout=900) for one in those]
    finally:
        for one in those:
            if one.poll() is None:
                one.kill()
    assert [one.returncode for one in those] == [0] * WAITING, [err[-400:] for _, err in answers]
    assert all("Paris" in out for out, _ in answers), answers
    (machine,) = instances(cloud)
    assert (machine["InstanceId"], machine["State"]["Name"]) == (before["InstanceId"], "running")
    assert "ec2:StartInstances" in cloud.called("controller")
    assert cloud.refused() == []
    wait_for("its slot to be wanted", lambda: slot(office)["state"] == "wanted", 300, every=2)
    assert slot(office)["stopped"] is False
    office.up()  # the window, which was edited
    assert office("plan", "--check").out == ""


def test_the_host_alone_stops_itself(office: Desk, cloud: Cloud) -> None:
    """Nobody is there to ask it, and nobody writes down that it went; the next `up` does."""
    office.edit(NEVER, SOON)
    office.up()
    gateway(office).run(["systemctl", "stop", "hostler-controller.service"])
    rests(cloud, ALONE_S)
    done = office("plan", "--check", code=10)
    assert "1 change on 1 host" in done.err  # the controller, which was stopped by hand
    assert "burst-0: stopped itself when idle; its disk is kept, and costs" in done.err
    office.edit(SOON, NEVER)
    done = office("wake", "burst", "--yes")
    assert "stopped itself; it is started again, and costs again" in done.err
    assert "Paris" in office.ask()
    assert office("plan", "--check").out == ""


def test_by_hand_it_is_drained_and_stopped(office: Desk, cloud: Cloud) -> None:
    (before,) = instances(cloud)
    done = office("sleep", "burst", "--yes")
    assert "stopped: parked until it is woken" in done.out
    assert rests(cloud)["InstanceId"] == before["InstanceId"]
    assert slot(office)["stopped"] is True
    assert office("plan", "--check").out == ""
    office("wake", "burst", "--yes")
    assert instances(cloud)[0]["InstanceId"] == before["InstanceId"]
    assert "Paris" in office.ask()


def test_down_ends_what_is_stopped(office: Desk, cloud: Cloud) -> None:
    office("sleep", "burst", "--yes")
    rests(cloud)
    office("down", "--yes")
    assert cloud.account() == {}
