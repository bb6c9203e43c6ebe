"""`start`: when requests queue at those that serve, the controller rents one more beside them; `max_age`: one that is older gets
a successor. Nobody is lost meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e import test_cloud_waking as waking
from e2e.desk import Desk
from e2e.load import Load
from e2e.sky import instances, rented_from
from e2e.test_cloud_giving import alarms, gateway
from lab.shell import wait_for
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.usefixtures("controller_world")]
HOME = HostSpec("door-1", suite="bookworm")
AFTER_S = 60
GONE_S = AFTER_S + 120.0
RENTED_S = 600.0
CLIENTS = 8
MAX_AGE_S = 300  # a machine of this file is older when it is asked for
LONG = ((256, 0),)  # tokens: one of them at a time, the others wait
STACK = (
    waking.STACK.replace("stack: waking", "stack: starting")
    .replace("count: 0-1", "count: 2")
    .replace("    pool: burst\n", "    pool: burst\n    replicas: 2\n    slots: 1\n")
)
RENTS = waking.RENTS.replace("stacks/waking", "stacks/starting")


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-starting", "stella", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK)
        desk.first = desk.up()
        place = desk.operator.home / ".config/hostler/controller-aws"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(found.credentials("controller", desk("rights").json))
        desk.edit("count: 2", "count: 0-2\n    start: {queue: 3, for: 5s}")
        desk.edit("after: 2h", f"after: {AFTER_S}s, keep: 1")
        desk.write(desk.file.read_text() + RENTS)
        desk.up()
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


def slots(desk: Desk) -> dict[str, str]:
    text = gateway(desk).run(["cat", "/var/lib/hostler/home/record.json"]).stdout
    return {name: slot["state"] for name, slot in json.loads(text)["slots"].items()}


def ready(desk: Desk) -> list[str]:
    rows = desk("status", "--json", code=(0, 4)).json["replicas"]
    return sorted(row["id"] for row in rows if row["state"] == "ready")


def test_one_more_is_rented_while_requests_queue(office: Desk, cloud: Cloud) -> None:
    wait_for(
        "one to be given back",
        lambda: slots(office) == {"burst-0": "wanted", "burst-1": "parked"},
        GONE_S,
        every=2,
    )
    assert len(instances(cloud)) == 1
    with Load(office, clients=CLIENTS, lengths=LONG) as load:
        wait_for("both to serve", lambda: ready(office) == ["chat-0", "chat-1"], RENTED_S, every=3)
        whole, broken = load.end()
    assert broken == ""
    assert whole > CLIENTS
    assert len(instances(cloud)) == 2
    wait_for("its word", lambda: "rented" in [one["event"] for one in alarms(office)], 120, every=2)
    assert [one["event"] for one in alarms(office)].count("rented") == 1
    assert cloud.refused() == []


def test_and_given_back_again_when_they_are_answered(office: Desk, cloud: Cloud) -> None:
    wait_for("one to be given back", lambda: slots(office)["burst-1"] == "parked", GONE_S, every=2)
    wait_for("it to be gone", lambda: len(instances(cloud)) == 1, 120, every=1)
    assert slots(office)["burst-0"] == "wanted"
    assert office("plan", "--check").out == ""


def test_one_that_is_too_old_gets_a_successor_under_load(office: Desk, cloud: Cloud) -> None:
    wait_for("one to be left", lambda: len(instances(cloud)) == 1, GONE_S, every=1)
    (old,) = instances(cloud)
    office.edit(f"after: {AFTER_S}s, keep: 1", f"after: {AFTER_S}s, keep: 1, max_age: {MAX_AGE_S}s")
    office.edit("queue: 3, for: 5s", "queue: 100, for: 60s")
    with Load(office, clients=2) as load:
        office.up()
        wait_for("the old one to go", lambda: gone(cloud, old["InstanceId"]), RENTED_S, every=2)
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert [one["State"]["Name"] for one in instances(cloud)] == ["running"]
    wait_for("its word", lambda: [one for one in alarms(office) if "older than" in one["text"]], 300, every=2)
    assert cloud.refused() == []


def gone(cloud: Cloud, instance: str) -> bool:
    return cloud.instance(instance)["State"]["Name"] in ("shutting-down", "terminated")
