"""What somebody changed by hand shows as just that, and `up` mends just that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from e2e.desk import Desk, container, replica_of
from lab.hosts import Host

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Drift:
    """`touch` breaks the host; `items` are what the plan must then show on it."""

    name: str
    host: str
    touch: Callable[[Host], object]
    items: Callable[[Host], set[str]]


def sh(script: str) -> Callable[[Host], object]:
    return lambda host: host.run(["sh", "-ec", script.replace("REPLICA", replica_of(host))])


def just(*items: str) -> Callable[[Host], set[str]]:
    return lambda _: set(items)


GATEWAY = "/etc/hostler/gateway"
CASES = [
    Drift("a deleted file", "gpu-1", sh(f"rm {GATEWAY}/models.lua"), just(f"path:{GATEWAY}/models.lua")),
    Drift(
        "an edited file",
        "gpu-1",
        sh(f"echo '# by hand' >> {GATEWAY}/haproxy.cfg"),
        just(f"path:{GATEWAY}/haproxy.cfg"),
    ),
    Drift("a changed mode", "gpu-1", sh(f"chmod 0666 {GATEWAY}/keys.map"), just(f"path:{GATEWAY}/keys.map")),
    Drift(
        "a changed owner",
        "gpu-2",
        sh("chown nobody /etc/hostler/edge/haproxy.cfg"),
        just("path:/etc/hostler/edge/haproxy.cfg"),
    ),
    Drift(
        "an edited unit",
        "gpu-2",
        sh("echo '# by hand' >> /etc/systemd/system/hostler@.service"),
        just("path:/etc/systemd/system/hostler@.service"),
    ),
    Drift(
        "an edited setting of Docker",
        "gpu-2",
        sh('sed -i \'s/"live-restore": true/"live-restore": false/\' /etc/docker/daemon.json'),
        just("json:/etc/docker/daemon.json#live-restore"),
    ),
    Drift(
        "a removed package",
        "gpu-1",
        sh("dpkg --remove --force-depends nvidia-container-toolkit"),
        just("package:nvidia-container-toolkit"),
    ),
    Drift(
        "somebody's file in our folder",
        "gpu-1",
        sh("echo x > /etc/hostler/wanted/old-7.json"),
        just("path:/etc/hostler/wanted/old-7.json"),
    ),
]


QUICK = (
    "an edited file",
    "an edited setting of Docker",
)  # one a role that differs most; each case is a whole `up`


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=() if case.name in QUICK else pytest.mark.soak)
        for case in CASES
    ],
)
def test_shown_as_just_that_and_mended(case: Drift, steady: Desk, hosts: dict[str, Host]) -> None:
    host = hosts[case.host]
    case.touch(host)
    changes = steady.plan()
    assert {(c["host"], c["item"]) for c in changes} == {(case.host, item) for item in case.items(host)}, (
        changes
    )
    steady.up()
    assert steady.plan() == []


def test_a_stopped_container_is_started(steady: Desk, hosts: dict[str, Host]) -> None:
    host = hosts["gpu-2"]
    replica = replica_of(host)
    host.run(["systemctl", "stop", f"hostler@{replica}.service"])
    assert {c["replica"] or c["item"] for c in steady.plan()} == {replica}
    steady.up()
    assert container(host, replica)
    assert steady.plan() == []


@pytest.mark.soak
def test_a_leftover_of_a_model_is_removed(desk: Desk, hosts: dict[str, Host]) -> None:
    """A model that left the file leaves the hosts, its weights too; the others go on serving."""
    desk.edit("    replicas: 2 ", "    replicas: 1 ")
    changes = desk.plan()
    gone = {c["item"] for c in changes if c["action"] == "remove"}
    assert any(item.startswith("container:chat-") for item in gone)
    desk.up("--allow-downtime")
    running = [
        replica
        for host in hosts.values()
        if (replica := container(host, "chat-0") or container(host, "chat-1"))
    ]
    assert len(running) == 1
    assert desk.plan() == []
    assert "Paris" in desk.ask()


def test_plan_check_is_10_when_there_are_changes(desk: Desk, hosts: dict[str, Host]) -> None:
    hosts["gpu-1"].run(["rm", "/etc/hostler/gateway/models.map"])
    assert desk("plan", "--check", code=10).code == 10


def test_a_moved_tag_changes_nothing(desk: Desk) -> None:
    """A release is digests: what the tag says now is of no interest to `up`."""
    desk.lab.move_tag("ghcr.io/ggml-org/llama.cpp:server-cuda", "server-b2")
    assert desk.plan() == []
