"""What is under the replicas is upgraded without losing a request, one host after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.desk import Desk, container, replica_of
from e2e.load import Load
from e2e.running import Run
from lab import newer
from lab.hosts import Host
from lab.lab import Lab
from lab.machine import trouble
from lab.newer import Made
from lab.shell import wait_for
from lab.spec import HostSpec

pytestmark = pytest.mark.lab

ONE = """
stack: one
pools: {home: [one]}
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    context: 2k
    args: ["--threads", "1"]
"""

FIX = ("lab-tls", "1.0", "1.1")
DOCKER = ("docker-buildx", "1.0", "1.1")  # home-made: of the kind for which a host with cards is drained
KERNEL = ("linux-image-lab", "1.0", "1.1")
DUE = "touch /var/run/reboot-required; echo linux-image-lab >> /var/run/reboot-required.pkgs"


def offered(host: Host, *, docker: str = "", kernel: str = DUE) -> None:
    """A fix, something of Docker's, and a kernel; each has an older one here."""
    old = [Made(name, before) for name, before, _ in (FIX, DOCKER, KERNEL)]
    newer.install(host, *old)
    newer.offer(host, "security", [Made(FIX[0], FIX[2])])
    newer.offer(host, "debian", [Made(DOCKER[0], DOCKER[2], docker), Made(KERNEL[0], KERNEL[2], kernel)])


def drained(host: Host) -> str:
    marks = host.run(["ls", "/run/hostler/drain"], check=False).stdout
    return marks + host.run(["cat", "/var/lib/hostler/away.json"], check=False).stdout


def row(rows: list[dict[str, Any]], host: str, package: str) -> dict[str, Any]:
    found = next(one for one in rows if one["host"] == host)
    return next(one for one in found["packages"] if one["name"] == package)


def test_both_hosts_one_after_the_other_cut_nothing(desk: Desk, hosts: dict[str, Host]) -> None:
    """Plain fixes beside what runs; for Docker's packages each host is drained, and its containers live on."""
    for host in hosts.values():
        offered(host)
    shown = desk("upgrade", "--json").json
    assert [one["host"] for one in shown] == ["gpu-2", "gpu-1"]
    assert (row(shown, "gpu-1", FIX[0])["kind"], row(shown, "gpu-1", FIX[0])["effect"]) == (
        "security",
        "none",
    )
    assert (row(shown, "gpu-1", DOCKER[0])["kind"], row(shown, "gpu-1", DOCKER[0])["effect"]) == (
        "docker",
        "drain",
    )
    assert (row(shown, "gpu-1", KERNEL[0])["kind"], row(shown, "gpu-1", KERNEL[0])["effect"]) == (
        "kernel",
        "reboot",
    )
    before = {name: container(host, replica_of(host)) for name, host in hosts.items()}
    with Load(desk) as load:
        desk("upgrade", "--security", "--docker", "--apply", "--yes")
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    for name, host in hosts.items():
        assert [newer.version(host, one[0]) for one in (FIX, DOCKER, KERNEL)] == ["1.1", "1.1", "1.0"]
        assert container(host, replica_of(host)) == before[name]
        assert drained(host) == ""
    assert desk.plan() == []
    refused = desk("upgrade", "gpu-1", "--kernel", "--apply", "--yes", code=9).err
    assert "it could not answer for about 3 min; the gateway is on gpu-1" in refused
    assert "nothing to do" in desk("upgrade", "--security", "--docker", "--apply", "--yes").err


def replicas(desk: Desk) -> dict[str, str]:
    return {r["id"]: r["state"] for r in desk("status", "--json", code=(0, 4)).json["replicas"]}


def away(run: Run) -> bool:
    """Whether a host's replicas are set aside."""
    return any(run.texts(name, "var/lib/hostler/away.json") for name in run.hosts)


@pytest.mark.soak
@pytest.mark.parametrize("goes_on", ["up", "upgrade"])
def test_killed_while_a_host_is_drained(desk: Desk, hosts: dict[str, Host], goes_on: str) -> None:
    """With all that it started; the transaction on the host is in its middle."""
    for host in hosts.values():
        offered(host, docker="sleep 5")  # of a package whose installation takes its time
    with Load(desk) as load:
        with Run(desk, hosts, "upgrade", "--docker", "--apply", "--yes") as run:
            run.until(away)
            run.kill(whole=True)
        assert "hosts that are being upgraded" in desk("rollout", "status").out
        if goes_on == "up":
            desk.up()
        else:
            desk("upgrade", "--docker", "--apply", "--yes")
            assert [newer.version(host, DOCKER[0]) for host in hosts.values()] == ["1.1", "1.1"]
        _, broken = load.end()
    assert broken == ""
    assert [drained(host) for host in hosts.values()] == ["", ""]
    assert set(replicas(desk).values()) == {"ready"}
    assert desk.plan() == []
    assert "no rollout is under way" in desk("rollout", "status").out


@pytest.mark.soak
def test_ctrl_c_while_requests_are_waited_for(desk: Desk, hosts: dict[str, Host]) -> None:
    """What was drained serves again at once."""
    for host in hosts.values():
        offered(host)
    with (
        Load(desk, lengths=((2000, 0),)) as load,
        Run(desk, hosts, "upgrade", "--docker", "--apply", "--yes") as run,
    ):
        run.until(away)
        assert run.interrupt() == 130
        wait_for("nothing to be drained", lambda: [drained(h) for h in hosts.values()] == ["", ""], 30)
        load.process.kill()
    desk.up()
    assert desk.plan() == []


@pytest.mark.soak
def test_a_package_that_fails_stops_at_the_first_host(desk: Desk, hosts: dict[str, Host]) -> None:
    for host in hosts.values():
        offered(host, docker="echo it cannot be configured >&2; exit 1")
    first = replica_of(hosts["gpu-2"])
    with Load(desk) as load:
        failed = desk("upgrade", "--docker", "--apply", "--yes", code=6)
        _, broken = load.end()
    assert broken == ""
    assert f"error processing package {DOCKER[0]}" in failed.err
    assert "gpu-2 stays drained" in failed.err
    assert newer.version(hosts["gpu-1"], DOCKER[0]) == "1.0"
    assert replicas(desk)[first] == "draining"
    assert "half installed: docker-buildx" in desk("upgrade", "--apply", "--yes", code=6).err
    desk.up()
    assert set(replicas(desk).values()) == {"ready"}
    hosts["gpu-2"].run(["rm", f"/var/lib/dpkg/info/{DOCKER[0]}.postinst"])
    hosts["gpu-2"].run(["dpkg", "--configure", "-a"])


@pytest.mark.soak
def test_reboots_one_after_the_other(desk: Desk, hosts: dict[str, Host]) -> None:
    """The host with no gateway cuts nothing; the gateway's is downtime that was agreed to, and is back by itself."""
    for host in hosts.values():
        offered(host)
    boots = {name: host.leader for name, host in hosts.items()}
    with Load(desk) as load:
        desk("upgrade", "gpu-2", "--kernel", "--apply", "--yes")
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert (hosts["gpu-2"].leader != boots["gpu-2"], hosts["gpu-1"].leader) == (True, boots["gpu-1"])
    assert newer.version(hosts["gpu-2"], KERNEL[0]) == "1.1"
    desk("upgrade", "--kernel", "--apply", "--yes", "--allow-downtime")
    assert hosts["gpu-1"].leader != boots["gpu-1"]
    assert set(replicas(desk).values()) == {"ready"}
    assert "Paris" in desk.ask()
    with Load(desk) as load:
        desk("upgrade", "gpu-2", "--reboot", "--apply", "--yes")
        _, broken = load.end()
    assert broken == ""
    assert [drained(host) for host in hosts.values()] == ["", ""]
    assert desk.plan() == []


@pytest.mark.soak
def test_docker_itself(desk: Desk, hosts: dict[str, Host]) -> None:
    """Debian's own packages under a higher version: the daemons restart, and the containers live on, the gateway's too."""
    for host in hosts.values():
        newer.offer(host, "security", ["docker.io", "containerd", "runc"])
    names = {
        name: ("gateway" if name == "gpu-1" else "edge", replica_of(host)) for name, host in hosts.items()
    }
    before = {name: [container(host, one) for one in names[name]] for name, host in hosts.items()}
    pids = {name: host.run(["pidof", "dockerd", "containerd"]).stdout for name, host in hosts.items()}
    with Load(desk) as load:
        desk("upgrade", "--docker", "--apply", "--yes")
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    for name, host in hosts.items():
        assert newer.version(host, "docker.io").endswith(newer.SUFFIX)
        assert host.run(["pidof", "dockerd", "containerd"]).stdout != pids[name]
        assert [container(host, one) for one in names[name]] == before[name]
    assert desk.plan() == []


@pytest.fixture
def alone(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Host]]:
    """The only host of a stack, with the gateway, and without cards."""
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"alone-{os.getpid()}") as lab:
        host = lab.hosts(HostSpec("one"))[0]
        desk = Desk(lab, lab.operator("olga"), wheel, pulumi)
        desk.write(ONE)
        desk.up()
        yield desk, host


@pytest.mark.soak
def test_an_only_host_without_cards(alone: tuple[Desk, Host]) -> None:
    """Docker's patches drain nothing there: gateway and engine live on while both daemons restart. A reboot is downtime."""
    desk, host = alone
    newer.offer(host, "security", ["docker.io", "containerd", "runc"])
    newer.install(host, Made(KERNEL[0], KERNEL[1]))
    newer.offer(host, "debian", [Made(KERNEL[0], KERNEL[2], DUE)])
    before = [container(host, one) for one in ("gateway", "chat-0")]
    daemons = host.run(["pidof", "dockerd", "containerd"]).stdout
    with Load(desk) as load:
        said = desk("upgrade", "--docker", "--apply", "--yes")
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert "serve on" in said.out
    assert host.run(["pidof", "dockerd", "containerd"]).stdout != daemons
    assert [container(host, one) for one in ("gateway", "chat-0")] == before
    refused = desk("upgrade", "--all", "--apply", "--yes", code=9).err
    assert "it could not answer for about 3 min; the gateway is on one" in refused
    assert newer.version(host, KERNEL[0]) == "1.0"
    desk("upgrade", "--all", "--apply", "--yes", "--allow-downtime")
    assert newer.version(host, KERNEL[0]) == "1.1"
    assert "Paris" in desk.ask()
    assert desk.plan() == []
