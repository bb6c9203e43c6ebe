"""The cards of a container, exactly those that were asked for; and the power limit of a pool's cards."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest

from e2e.desk import Desk, container, replica_of
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = pytest.mark.lab
ABSENT = "/etc/lab-gpu-absent"
APPS = "/etc/lab-gpu-apps"


def inside(host: Host, identity: str) -> list[str]:
    said = host.run(["docker", "exec", container(host, identity), "nvidia-smi", "-L"]).stdout
    return re.findall(r"UUID: (GPU-[^)]+)", said)


def replicas(desk: Desk) -> Sequence[Mapping[str, list[str]]]:
    return desk("status", "--json").json["replicas"]


def test_a_container_sees_its_cards_and_no_other(steady: Desk, hosts: dict[str, Host]) -> None:
    rows = replicas(steady)
    assert len(rows) == 2
    for row in rows:
        assert row["cards"], row
        assert inside(hosts[str(row["host"])], str(row["id"])) == row["cards"]


def test_a_card_that_is_silently_absent_fails_the_up(desk: Desk, hosts: dict[str, Host]) -> None:
    """The new container goes, the old one answers again; when the card is there, the same `up` goes through."""
    host = hosts["gpu-1"]
    name = replica_of(host)
    card = next(row["cards"][0] for row in replicas(desk) if row["id"] == name)
    host.run(["bash", "-c", f"echo {card} > {ABSENT}"])
    desk.edit("context: 2k ", "context: 3k ")
    failed = desk.up(code=7)
    assert f"cards in the container: expected {card}; got none" in failed.err
    assert "Paris" in desk.ask()
    host.run(["rm", ABSENT])
    desk.up()
    assert desk.plan() == []
    assert inside(host, name) == [card]


def says(host: Host, identity: str, card: str, mib: int) -> None:
    """What nvidia-smi says of the replica's own process."""
    asked = ["docker", "inspect", "-f", "{{.State.Pid}}", container(host, identity)]
    pid = host.run(asked).stdout.strip()
    host.run(["bash", "-c", f"echo '{pid}, {card}, {mib}, /app/llama-server' > {APPS}"])


def test_computed_memory_beside_what_the_card_says(desk: Desk, hosts: dict[str, Host]) -> None:
    row = next(row for row in replicas(desk) if row["host"] == "gpu-1")
    name, (card,) = str(row["id"]), row["cards"]
    unknown = next(row for row in desk("status", "--json").json["memory"] if row["replica"] == name)
    assert (unknown["seen_mib"], unknown["unknown"]) == (None, "the driver names no process of it")
    computed = unknown["computed_mib"]
    for mib, warned in ((computed, False), (computed * 2, True)):
        says(hosts["gpu-1"], name, card, mib)
        shown = desk("status", "--json").json
        found = next(row for row in shown["memory"] if row["replica"] == name)
        assert found["seen_mib"] == mib
        assert any("than was computed (+100%)" in one["text"] for one in shown["warnings"]) is warned
    assert "+100%" in desk("status").out


def limits(host: Host) -> list[float]:
    asked = ["nvidia-smi", "--query-gpu=power.limit", "--format=csv,noheader,nounits"]
    return [float(line) for line in host.run(asked).stdout.split()]


@pytest.mark.soak
def test_a_power_limit_holds_also_after_a_boot_and_goes_with_its_wish(
    desk: Desk, hosts: dict[str, Host]
) -> None:
    before = {name: limits(host) for name, host in hosts.items()}
    pool = "hosts: [gpu-1, gpu-2]"
    desk.edit(pool, f"{pool}\n    power: 900 W")
    refused = desk.up(code=9)
    assert re.search(r"card 0 \(.*3090.*\) takes 100 W to \d+ W, not 900 W", refused.err)
    desk.edit("900 W", "280 W")
    desk.up()
    assert {watts for host in hosts.values() for watts in limits(host)} == {280.0}
    assert desk.plan() == []
    hosts["gpu-1"].run(["nvidia-smi", "-i", "0", "-pl", "300"])
    (change,) = desk.plan()
    assert (change["now"], change["then"]) == ("300 W", "280 W")
    hosts["gpu-1"].reboot()
    wait_for("the unit to set it again", lambda: set(limits(hosts["gpu-1"])) == {280.0}, 60)
    desk.edit("\n    power: 280 W", "")
    desk.up()
    assert {name: limits(host) for name, host in hosts.items()} == before
    assert desk.plan() == []
