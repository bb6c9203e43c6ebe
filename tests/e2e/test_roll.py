"""A change of a served replica cuts no request where there are two."""

from __future__ import annotations

import pytest

from e2e.desk import Desk, container, replica_of
from e2e.load import Load
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = pytest.mark.lab


def test_a_rolling_restart_cuts_nothing(desk: Desk, hosts: dict[str, Host]) -> None:
    before = {name: containers(host) for name, host in hosts.items()}
    with Load(desk) as load:
        rolled = desk("roll", "chat", "--json").json
        whole, broken = load.end()
    assert [row["outcome"] for row in rolled] == ["exchanged", "exchanged"]
    assert broken == ""
    assert whole > 0
    assert all(containers(host) != before[name] for name, host in hosts.items())
    assert desk.plan() == []


def test_a_changed_model_is_exchanged_under_load(desk: Desk) -> None:
    desk.edit("context: 2k ", "context: 3k ")
    with Load(desk) as load:
        desk.up()
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert {r["context"] for r in desk("status", "--json").json["replicas"]} == {3072}
    assert desk.plan() == []


@pytest.mark.soak
def test_a_replica_that_does_not_start_is_put_back(desk: Desk, hosts: dict[str, Host]) -> None:
    """Arguments that the engine refuses: the old one answers again, exit 7, and the container's own words are shown."""
    desk.edit('"--threads", "1"', '"--threads", "1", "--no-such-flag"')
    with Load(desk) as load:
        failed = desk.up(code=7)
        _, broken = load.end()
    assert broken == ""
    assert "no-such-flag" in failed.err
    assert {r["state"] for r in desk("status", "--json").json["replicas"]} == {"ready"}
    desk.edit(', "--no-such-flag"', "")
    desk.up()
    assert desk.plan() == []


@pytest.mark.soak
def test_one_replica_whose_requests_do_not_wait_needs_allow_downtime(desk: Desk) -> None:
    desk.edit("    replicas: 2 ", "    hold: none\n    exchange: in-place\n    replicas: 1 ")
    desk.up("--allow-downtime")
    desk.edit("context: 2k ", "context: 3k ")
    refused = desk.up(code=9)
    assert "--allow-downtime" in refused.err
    desk.up("--allow-downtime")
    assert desk.plan() == []


def containers(host: Host) -> set[str]:
    names = host.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split()
    return {
        container(host, name.removeprefix("hostler-")) for name in names if name.startswith("hostler-chat")
    }


@pytest.mark.soak
def test_a_replica_that_gets_no_requests_is_not_done(desk: Desk, hosts: dict[str, Host]) -> None:
    """Both engines are ready, and the gateway cannot reach one: the other's answer must not hide that."""
    drop = ["iptables", "-{}", "OUTPUT", "-p", "tcp", "--dport", "8443", "-j", "DROP"]
    away = replica_of(hosts["gpu-2"])

    def states() -> dict[str, str]:
        return {r["id"]: r["state"] for r in desk("status", "--json").json["replicas"]}

    hosts["gpu-1"].run([word.format("I") for word in drop])
    wait_for("the gateway to see it", lambda: states()[away] == "ready, not routed", 30)
    refused = desk("roll", "chat", code=6)
    assert f"{away} on gpu-2: expected a replica that the gateway sends requests" in refused.err
    assert "Paris" in desk.ask()
    desk.edit("context: 2k ", "context: 3k ")
    desk.edit("    replicas: 2 ", "    exchange: in-place\n    replicas: 2 ")
    assert "another replica to serve meanwhile" in desk.up(code=9).err
    hosts["gpu-1"].run([word.format("D") for word in drop])
    wait_for("the gateway to see it", lambda: states()[away] == "ready", 30)
    desk.up()
    assert desk.plan() == []
