"""Updates without anyone: switched on, one night that goes well, the reasons to leave things alone, and switched off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from e2e import nights
from e2e.desk import Desk, replica_of
from e2e.load import Load
from lab.hosts import Host

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("controller_world")]
SERVER = "ghcr.io/ggml-org/llama.cpp:server-cuda"
Hosts = dict[str, Host]


@pytest.fixture(autouse=True)
def still(desk: Desk) -> Iterator[None]:
    before = desk.file.read_text()
    yield
    desk.write(before)
    desk.lab.clear_faults()


def accounts(hosts: Hosts) -> list[bool]:
    return [host.run(["id", "hostler-updates"], check=False).returncode == 0 for host in hosts.values()]


def test_a_night(desk: Desk, hosts: Hosts) -> None:
    """Switched on, a newer image taken under load with nobody there, and switched off without a trace."""
    gateway = hosts["gpu-1"]
    files = {name: set(host.files()) for name, host in hosts.items()}
    before = desk.file.read_text()
    said = nights.switched_on(desk)
    assert "the controller on gpu-1 reaches gpu-1, gpu-2" in said
    assert accounts(hosts) == [True, True]
    assert nights.turn(gateway)["text"] == "nothing newer"
    desk.lab.move_tag(SERVER, "server-b2")
    with Load(desk) as load:
        found = nights.turn(gateway)
        whole, broken = load.end()
    assert (found["state"], found["last"]["ended"]) == ("idle", "good"), found["text"]
    assert broken == ""
    assert whole > 0
    newest = desk("releases", "--json").json[0]
    assert (newest["live"], newest["ended"]) == (True, "good")
    assert newest["who"].startswith("hostler-updates@")
    assert [one["event"] for one in nights.told(gateway)] == ["new chat", "updated chat"]
    assert "updates: " in desk("status").out
    desk.write(before)
    desk.up()
    assert desk.plan() == []
    assert accounts(hosts) == [False, False]
    for name, host in hosts.items():
        left = {path for path in set(host.files()) - files[name] if "updates" in path or "controller" in path}
        assert not {path for path in left if path.startswith(("/etc/", "/home/"))}, left


@pytest.mark.soak
def test_what_it_leaves_alone(desk: Desk, hosts: Hosts) -> None:
    """Outside the window, too young, older, held by somebody, a host that is off, a change by hand: each said, none taken;
    and each is taken when that is over."""
    gateway, elsewhere = hosts["gpu-1"], replica_of(hosts["gpu-2"])
    tomorrow = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[(datetime.now(UTC).weekday() + 2) % 7]
    nights.switched_on(desk, window=f"{tomorrow} 03:00-05:00 UTC")
    desk.lab.move_tag(SERVER, "server-b2")
    closed = nights.turn(gateway)
    assert (closed["state"], "the window opens" in closed["text"]) == ("waiting", True), closed

    nights.switched_on(desk, min_age="3d")
    young = nights.turn(gateway)
    assert young["state"] == "waiting", young
    assert young["waiting"][0]["from"] > time.time() + 2 * 86400
    first = young["waiting"][0]["seen"]
    assert nights.turn(gateway)["waiting"][0]["seen"] == first  # its age goes on

    nights.switched_on(desk)
    desk("update", "--pause", "an exam", "--for", "2h")
    assert nights.turn(gateway)["state"] == "paused"
    assert "an exam" in desk("status").out
    hosts["gpu-2"].power_cut()
    desk("update", "--go-on")
    off = nights.turn(gateway)
    assert (off["state"], "gpu-2" in off["text"]) == ("deferred", True), off
    desk("update", "--pause", "so that the timer's own turn takes nothing between")
    hosts["gpu-2"].power_on()
    hosts["gpu-2"].run(["systemctl", "stop", f"hostler@{elsewhere}.service"])
    desk("update", "--go-on")
    ill = nights.turn(gateway)
    assert (ill["state"], elsewhere in ill["text"]) == ("deferred", True), ill
    desk.up()
    done = nights.turn(gateway)
    assert done["last"]["ended"] == "good", done
    desk.lab.move_tag(SERVER, "server")
    assert nights.turn(gateway)["text"] != ""
    assert desk("releases", "--json").json[0]["why"] == "update of chat"


@pytest.mark.soak
def test_a_bad_one_goes_back_and_is_not_tried_again(desk: Desk, hosts: Hosts) -> None:
    gateway = hosts["gpu-1"]
    nights.switched_on(desk)
    desk.lab.move_tag(SERVER, "server-bad")
    with Load(desk) as load:
        found = nights.turn(gateway)
        _, broken = load.end()
    assert found["last"]["ended"] == "went back", found
    assert broken == ""
    assert [one["event"] for one in nights.told(gateway)][-1] == "went back"
    releases = desk("releases", "--json").json
    assert releases[0]["ended"].startswith("failed")
    again = nights.turn(gateway)
    assert again["last"]["ended"] == "went back"
    assert desk("releases", "--json").json == releases
    desk.lab.move_tag(SERVER, "server-b2")  # the next one is good, and a day has passed
    nights.remember(gateway, took={})
    assert nights.turn(gateway)["last"]["ended"] == "good"
    assert desk.plan() == []


@pytest.mark.soak
@pytest.mark.parametrize("is_open", [True, False])
def test_interrupted_by_a_power_cut(desk: Desk, hosts: Hosts, is_open: bool) -> None:
    """The gateway's host dies while a replica elsewhere is exchanged: the next turn goes on where the window is open, and
    goes back where it is not."""
    gateway = hosts["gpu-1"]
    nights.switched_on(desk)
    desk.lab.move_tag(SERVER, "server-b2")
    nights.remember(gateway, looked=0.0)
    gateway.run(["systemctl", "start", "--no-block", "hostler-updates.service"])
    journal = hosts["gpu-2"].root / "var/lib/hostler/journal"
    until = time.monotonic() + 240
    while not list(journal.glob("chat*.json")):
        assert time.monotonic() < until, nights.status(gateway)
        time.sleep(0.05)  # of a wait for a condition
    gateway.power_cut()
    gateway.power_on()
    if not is_open:
        day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[(datetime.now(UTC).weekday() + 2) % 7]
        text = gateway.run(["cat", "/etc/hostler/controller/stack.yaml"]).stdout
        closed = text.replace(nights.ALWAYS, f"{day} 03:00-05:00 UTC")
        gateway.run(["tee", "/etc/hostler/controller/stack.yaml"], stdin=closed)
    found = nights.turn(gateway)
    assert found["last"]["ended"] == ("good" if is_open else "went back"), found
    assert desk("rollout", "status", "--json").json["release"] is None
    assert "Paris" in desk.ask()
