"""Laptops, gateways and locks that are lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from e2e.desk import Desk, container, replica_of
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = pytest.mark.lab


def second(desk: Desk) -> Desk:
    """A colleague's machine: SSH access and the stack file, nothing else."""
    operator = desk.lab.operator("bob")
    desk.lab.publish()
    other = Desk(desk.lab, operator, desk.hostler, desk.pulumi)
    other.write(desk.file.read_text(encoding="utf-8"))
    return other


@pytest.fixture
def colleague(desk: Desk) -> Iterator[Desk]:
    made = second(desk)
    yield made
    desk.lab.dismiss(made.operator)


def test_a_second_laptop_carries_on(colleague: Desk, desk: Desk) -> None:
    assert colleague.plan() == []
    colleague.edit("context: 2k ", "context: 3k ")
    colleague.up()
    assert colleague.plan() == []
    made = colleague("key", "add", "bob").out.strip()
    assert made.startswith("sk-")
    assert "default" in colleague("key", "list").out
    desk.edit("context: 2k ", "context: 3k ")
    assert desk.plan() == []


def test_a_lost_gateway_is_restored_with_its_keys(desk: Desk, hosts: dict[str, Host]) -> None:
    key = desk.connection()["key"]
    hosts["gpu-1"].reset()
    refused = desk.up(code=9)
    assert "--restore" in refused.err
    desk.up("--restore")
    assert desk.connection()["key"] == key
    assert "Paris" in desk.ask()
    assert desk.plan() == []


def test_two_operators_at_once(desk: Desk, colleague: Desk, hosts: dict[str, Host]) -> None:
    """The second is told who holds the lock, from where, why and since when: exit 8."""
    desk.edit("context: 2k ", "context: 3k ")
    first = desk.start("up", "--yes")
    try:
        wait_for(
            "the first operator's lock",
            lambda: hosts["gpu-1"].run(["test", "-s", "/run/lock/hostler.lock"], check=False).returncode == 0,
            60,
        )
        refused = colleague("roll", "chat", code=8)
        assert "held by" in refused.err
        assert "`up`" in refused.err
        first.communicate(timeout=300)
        assert first.returncode == 0
    finally:
        if first.poll() is None:
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=60)


def routes(gateway: Host) -> str:
    """Checksums of where the gateway sends requests, and of whom it trusts there."""
    return gateway.run(
        ["sha256sum", "/etc/hostler/gateway/haproxy.cfg", "/etc/hostler/tls/peers/gpu-2.crt"]
    ).stdout


def containers(host: Host) -> list[str]:
    """Those of its replica and of the gateway."""
    return [container(host, name) for name in (replica_of(host), "gateway")]


@pytest.mark.soak
def test_a_dead_host_does_not_hold_the_others(desk: Desk, hosts: dict[str, Host]) -> None:
    hosts["gpu-2"].network_cut()
    report = desk("status", "--json", code=4).json
    states = {host["name"]: host["reached"] for host in report["hosts"]}
    assert states == {"gpu-1": True, "gpu-2": False}
    assert {r["host"]: r["state"] for r in report["replicas"]}["gpu-2"].startswith("unknown")
    assert "Paris" in desk.ask()
    done = desk("plan", code=4)
    assert "gpu-2" in done.err
    hosts["gpu-2"].network_restore()
    assert desk.plan() == []


@pytest.mark.soak
def test_what_changes_while_a_host_is_off(desk: Desk, hosts: dict[str, Host]) -> None:
    """The others are made true, with exit 4; a second time nothing of them is touched; the host catches up later."""
    known, before = routes(hosts["gpu-1"]), containers(hosts["gpu-1"])
    hosts["gpu-2"].power_cut()
    assert desk("plan", "--json", code=4).changes == []
    desk.edit("context: 2k ", "context: 3k ")
    assert {change["host"] for change in desk("plan", "--json", code=4).changes} == {"gpu-1"}
    first = desk.up("--allow-downtime", code=4)
    assert "gpu-2" in first.err
    assert "done in" in first.err
    assert routes(hosts["gpu-1"]) == known
    changed_once = containers(hosts["gpu-1"])
    assert changed_once[0] != before[0]
    assert changed_once[1] == before[1]
    assert "Paris" in desk.ask()
    assert desk("plan", "--json", code=4).changes == []
    second = desk.up(code=4)
    assert "gpu-2" in second.err
    assert containers(hosts["gpu-1"]) == changed_once
    hosts["gpu-2"].power_on()
    desk.up()
    assert desk.plan() == []
    assert routes(hosts["gpu-1"]) == known
    assert "Paris" in desk.ask()


def test_a_wrong_host_key_is_exit_4_with_both_fingerprints(desk: Desk, hosts: dict[str, Host]) -> None:
    host = hosts["gpu-2"]
    kept = {path: path.read_bytes() for path in (host.directory / "ssh").iterdir()}
    try:
        host.change_host_key()
        done = desk("plan", code=4)
        assert done.err.count("SHA256:") >= 2
        assert desk("roll", "chat", code=4).err.count("gpu-2")
    finally:  # the lab's own copy of the key: the thawed host has the old one again
        for path, content in kept.items():
            path.write_bytes(content)


def test_a_host_of_another_stack_is_refused(desk: Desk) -> None:
    desk.edit("stack: lab\n", "stack: other\n")
    refused = desk("plan", code=8)
    assert "stack lab" in refused.err
