"""One lab for all: brought up once from bare hosts, frozen, and thawed for each test that changes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import traces
from e2e.desk import Desk
from lab.hosts import Host
from lab.lab import Lab
from lab.machine import trouble
from lab.spec import HostSpec
from tools.pulumi_cli import pulumi_cli
from tools.wheel import installed

BARE = "bare"
CONVERGED = "converged"
GPU_1 = HostSpec("gpu-1", suite="bookworm", gpus=("RTX 3090",) * 4)
GPU_2 = HostSpec("gpu-2", suite="trixie", gpus=("RTX 3090", "A10G"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`hostler` as users have it: from the wheel, outside the checkout."""
    return installed(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def pulumi() -> Path:
    return pulumi_cli()


@pytest.fixture(scope="session")
def home() -> Iterator[Lab]:
    """The lab of these tests, apart from that of tests/lab."""
    why = trouble()
    if why:
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"e2e-{os.getpid()}") as running:
        yield running


@pytest.fixture(scope="session")
def first_desk(home: Lab, wheel: Path, pulumi: Path) -> Desk:
    """Two bare hosts of both guest systems, taken to a chat; frozen then."""
    home.hosts(GPU_1, GPU_2)
    desk = Desk(home, home.operator("alice"), wheel, pulumi)
    desk.write()
    desk.before = {host.name: traces.look(host) for host in home.hosts()}
    home.snapshot(BARE)
    desk.first = desk.up()
    home.snapshot(CONVERGED)
    return desk


def thaw(home: Lab) -> None:
    """The stack as it was frozen, serving again: until its models are loaded it could not lose a replica."""
    home.restore(CONVERGED)
    patient = ["curl", "-sf", "--retry", "100", "--retry-delay", "1", "--retry-all-errors"]
    for host in home.hosts():
        host.run([*patient, "http://127.0.0.1:18080/health"])


@pytest.fixture
def desk(first_desk: Desk, home: Lab) -> Iterator[Desk]:
    """A stack that is up. What the test changes is taken back before the next one."""
    yield first_desk
    first_desk.environment.clear()
    thaw(home)


@pytest.fixture
def bare(first_desk: Desk, home: Lab) -> Iterator[Desk]:
    """The same desk and hosts as they were before the first `up`."""
    home.restore(BARE)
    yield first_desk
    first_desk.environment.clear()
    thaw(home)


@pytest.fixture
def steady(first_desk: Desk) -> Desk:
    """A stack that is up, for tests that only look at it."""
    return first_desk


@pytest.fixture
def hosts(home: Lab) -> dict[str, Host]:
    return {host.name: host for host in home.hosts()}
