"""pytest fixtures: one lab for a whole run (or xdist worker), hosts from it as new.

def test_it(fresh_hosts, operator):
    gpu, = fresh_hosts(HostSpec("gpu-1", gpus=("A10G",)))

@pytest.mark.lab_hosts("gpu-1", "gpu-2", gpus=("RTX 3090",))
def test_them(hosts, operator): ...
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from .hosts import Host
from .lab import Lab
from .machine import trouble
from .operators import Operator
from .python_world import python_world
from .side_by_side import side_by_side
from .spec import HostSpec
from .vllm_image import vllm_image

if TYPE_CHECKING:
    from .cloud.client import Cloud

type FreshHosts = Callable[..., list[Host]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "lab_hosts(*names, **spec): fresh lab hosts of these names, as HostSpec has it"
    )


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One lab; gone at the end of the session, also after Ctrl-C or a kill of pytest."""
    why = trouble()
    if why:
        pytest.fail(f"this machine cannot host a lab: {why}")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with Lab.start(f"test-{os.getpid()}-{worker}") as running:
        yield running


@pytest.fixture
def fresh_hosts(lab: Lab) -> FreshHosts:
    """Hosts by name or HostSpec, as new; `spec` changes all of them."""

    def make(*wanted: str | HostSpec, **spec: object) -> list[Host]:
        lab.clear_faults()
        specs = [w if isinstance(w, HostSpec) else HostSpec(w) for w in wanted]
        specs = [replace(one, **spec) for one in specs]
        there = {host.name: host.spec for host in lab.hosts()}
        for name in there.keys() - {one.name for one in specs}:
            lab.remove(name)
        used = [Host(lab.directory / "hosts" / one.name) for one in specs if there.get(one.name) == one]
        side_by_side([host.reset_soon for host in used])
        made = lab.hosts(*specs)
        side_by_side([host.wait for host in made])
        return made

    return make


@pytest.fixture
def hosts(request: pytest.FixtureRequest, fresh_hosts: FreshHosts) -> list[Host]:
    """The hosts that the test's mark lab_hosts asks for."""
    mark = request.node.get_closest_marker("lab_hosts")
    if mark is None:
        pytest.fail("the fixture `hosts` needs @pytest.mark.lab_hosts(...)")
    return fresh_hosts(*mark.args, **mark.kwargs)


@pytest.fixture(scope="session")
def controller_world() -> None:
    """What the controller comes from: Python's image, and a package index."""
    python_world()


@pytest.fixture(scope="session")
def vllm() -> None:
    """The real vLLM is on Docker Hub, and its model on the hub, in every lab from now on. Minutes, once for a machine."""
    vllm_image()


@pytest.fixture(scope="session")
def running_cloud(lab: Lab) -> Iterator["Cloud"]:
    """One cloud for a whole run."""
    with lab.cloud() as running:
        yield running


@pytest.fixture
def cloud(running_cloud: "Cloud") -> Iterator["Cloud"]:
    """An empty cloud; all that is in it ends with the test."""
    yield running_cloud
    running_cloud.empty()


@pytest.fixture
def operator(lab: Lab) -> Iterator[Operator]:
    """An operator with an empty home."""
    name = f"op{len(lab.operators())}-{os.urandom(2).hex()}"
    made = lab.operator(name)
    yield made
    lab.dismiss(made)
