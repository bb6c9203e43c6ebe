"""Enterprise Linux 9 with real rpm and dnf: from a bare host with cards and no driver to an answer, twice, and back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import traces
from e2e.desk import Desk, replica_of
from lab.enterprise import SUITE
from lab.hosts import Host
from lab.lab import Lab
from lab.machine import trouble
from lab.rpms import BRANCH, rpm_repositories
from lab.spec import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.soak]

SPEC = HostSpec("rocky", suite=SUITE, gpus=("RTX 3090",) * 4, driver="absent", user="ops")
SOURCES = "/usr/src/nvidia-"  # a folder that the stand-in's package has a file in, and does not own
KEY = "~/.config/hostler/rpm.asc"
STACK = f"""
stack: enterprise
pools: {{rack: [rocky]}}
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    context: 2k
    args: ["--threads", "1"]
mirror: {{toolkit_key: {KEY}, driver_key: {KEY}, docker_key: {KEY}}}
"""


@pytest.fixture(scope="module")
def site(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Host]]:
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"el-{os.getpid()}") as lab:
        host = lab.hosts(SPEC)[0]
        desk = Desk(lab, lab.operator("rhea"), wheel, pulumi)
        shutil.copy(rpm_repositories() / "key.asc", desk.operator.home / ".config/hostler/rpm.asc")
        desk.write(STACK)
        yield desk, host


def installed(host: Host) -> set[str]:
    return set(host.run(["rpm", "-qa", "--qf", "%{NAME}-%{VERSION}\\n"]).stdout.split())


def test_from_no_driver_to_an_answer_and_back(site: tuple[Desk, Host]) -> None:
    desk, host = site
    before, packages = traces.look(host), installed(host)
    planned = desk("plan", "--json").changes
    reboots = {change["item"] for change in planned if change["effect"] == "reboot"}
    assert {"package:nvidia-open", "host:rocky"} <= reboots
    boot = host.leader
    desk.up()
    assert host.leader != boot
    assert replica_of(host) == "chat-0"
    assert "Paris" in desk.ask()
    assert desk.plan() == []
    came = installed(host) - packages
    assert {
        f"nvidia-open-{BRANCH}",
        "docker-ce-28.0.4",
        "nvidia-container-toolkit-1.18.0",
        "dkms-3.2.2",
    } <= came
    assert not [name for name in came if name.startswith("podman")]
    assert host.run(["systemctl", "is-active", "nvidia-persistenced"]).stdout == "active\n"
    locked = host.run(["dnf", "-q", "versionlock", "list"]).stdout
    assert f"kmod-nvidia-open-dkms-3:{BRANCH}" in locked
    newer = host.run(["dnf", "-q", "-y", "upgrade"])
    assert "nvidia" not in newer.stdout, newer.stdout
    desk.up()
    assert desk.plan() == []

    desk("down", "--yes")
    assert installed(host) == packages
    now = traces.look(host)
    lacks, keeps = sorted(before - now), sorted(line for line in now - before if SOURCES not in line)
    assert not lacks, "it lacks what it had:\n" + "\n".join(lacks)
    assert not keeps, "it keeps what it had not:\n" + "\n".join(keeps)
