"""A model's only replica is exchanged beside the one that serves: no request waits, is lost or is cut."""

from __future__ import annotations

import json

import pytest

from e2e.desk import Desk, container, replica_of
from e2e.load import Load
from e2e.running import Hosts, Run
from lab.hosts import Host

pytestmark = [pytest.mark.lab, pytest.mark.soak]
WORDS = '"--threads", "1"'
BORN = "{{.Id}} {{.State.StartedAt}}"


def alone(desk: Desk, hosts: Hosts) -> tuple[Host, str]:
    """One replica, and nothing of it held in an earlier test."""
    desk.edit("    replicas: 2 ", "    replicas: 1 ")
    desk.up()
    host = next(h for h in hosts.values() if "hostler-chat-" in h.run(["docker", "ps"]).stdout)
    return host, replica_of(host)


def born(host: Host, replica: str) -> str:
    """Which container it is, and since when it runs."""
    return host.run(["docker", "inspect", "-f", BORN, f"hostler-{replica}"]).stdout.strip()


def running(host: Host) -> list[str]:
    return sorted(
        name
        for name in host.run(["docker", "ps", "-a", "--format", "{{.Names}}"]).stdout.split()
        if "chat" in name
    )


def test_no_request_waits(desk: Desk, hosts: Hosts) -> None:
    host, replica = alone(desk, hosts)
    before = container(host, replica)
    desk.edit("context: 2k ", "context: 3k ")
    with Load(desk) as load:
        done = desk.up()
        whole, broken = load.end()
    assert f"exchange: {replica} on" in done.err
    assert "(beside the old one)" in done.err
    assert "held:" not in done.err
    assert (broken, whole > 0) == ("", True)
    assert container(host, replica) != before
    assert running(host) == [f"hostler-{replica}"]
    assert {r["context"] for r in desk("status", "--json").json["replicas"]} == {3072}
    assert desk.plan() == []
    with Load(desk) as load:
        rolled = desk("roll", "chat", "--json")
        whole, broken = load.end()
    assert "beside the old one" in rolled.err
    assert (broken, whole > 0) == ("", True)
    assert running(host) == [f"hostler-{replica}"]
    host.run(["systemctl", "restart", "hostler@gateway"], check=False)  # a door that starts anew finds it
    assert "Paris" in desk.ask()


def test_a_bad_one_never_stops_the_old_one(desk: Desk, hosts: Hosts) -> None:
    host, replica = alone(desk, hosts)
    before = born(host, replica)
    desk.edit(WORDS, f'{WORDS}, "--slot-save-path", "/nowhere/at/all/"')
    with Load(desk) as load:
        failed = desk.up(code=7)
        whole, broken = load.end()
    assert "the old one never stopped" in failed.err
    assert (broken, whole > 0) == ("", True)
    assert born(host, replica) == before
    assert running(host) == [f"hostler-{replica}"]
    desk.edit(', "--slot-save-path", "/nowhere/at/all/"', "")
    assert desk.plan() == []


@pytest.mark.parametrize("phase", ["beside", "switch"])
def test_one_that_is_killed(desk: Desk, hosts: Hosts, phase: str) -> None:
    """All of it dies in the middle, the agent too; one serves throughout, and the next `up` goes on."""
    host, replica = alone(desk, hosts)
    before = born(host, replica)
    desk.edit("context: 2k ", "context: 3k ")
    with Load(desk) as load:
        with Run(desk, hosts) as run:
            run.until(lambda run: bool({phase, "leave"} & run.phases("chat")))
            run.kill(whole=True)
            for text in run.texts(host.name, "var/lib/hostler/journal/chat-*.json"):
                host.run(["kill", "-9", str(json.loads(text)["pid"])], check=False)
        desk.up()
        whole, broken = load.end()
    assert (broken, whole > 0) == ("", True)
    assert born(host, replica) != before
    assert running(host) == [f"hostler-{replica}"]
    assert desk.plan() == []
