"""A bare host with cards and no driver: `up` installs it, reboots in the middle, and serves; then there is nothing to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.desk import Desk, replica_of
from lab.hosts import Host
from lab.lab import Lab
from lab.machine import trouble
from lab.spec import HostSpec

pytestmark = pytest.mark.lab

CARDS = ("RTX 3090",) * 4
SPECS = (
    HostSpec("one", gpus=CARDS, driver="absent", user="ops"),
    HostSpec("two", suite="trixie", gpus=CARDS, driver="absent"),
)
KEY = "~/.config/hostler/toolkit.asc"
STACK = f"""
stack: driver
pools: {{{{rack: [{{host}}]}}}}
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    context: 2k
    args: ["--threads", "1"]
mirror: {{{{toolkit_key: {KEY}, driver_key: {KEY}}}}}
"""


@pytest.fixture(scope="module")
def site(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, dict[str, Host]]]:
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"driver-{os.getpid()}") as lab:
        made = {host.name: host for host in lab.hosts(*SPECS)}
        yield Desk(lab, lab.operator("dora"), wheel, pulumi), made


@pytest.mark.parametrize("name", ["one", pytest.param("two", marks=pytest.mark.soak)])
def test_from_no_driver_to_an_answer(site: tuple[Desk, dict[str, Host]], name: str) -> None:
    desk, host = site[0], site[1][name]
    desk.write(STACK.format(host=name))
    planned = desk("plan", "--json").changes
    assert {change["host"] for change in planned} == {name}
    assert {"package:nvidia-open", f"host:{name}"} <= {c["item"] for c in planned if c["effect"] == "reboot"}
    boot = host.leader
    desk.up()
    assert host.leader != boot
    assert replica_of(host) == "chat-0"
    assert "Paris" in desk.ask()
    assert desk.plan() == []
    pinned = host.run(["apt-cache", "policy", "nvidia-open"]).stdout
    assert "580.95.05-1 1000" in pinned
    assert host.run(["systemctl", "is-active", "nvidia-persistenced"]).stdout == "active\n"
    desk.up()
    assert desk.plan() == []
    desk("down", "--yes")
    left = host.run(["find", "/etc", "/usr/share/keyrings", "-name", "*hostler*"]).stdout
    assert left == ""
    assert host.run(["dpkg-query", "-W", "nvidia-open"], check=False).returncode == 1
