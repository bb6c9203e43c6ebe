"""`haproxy -c` takes whatever a spec allows."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from contract.gateway.rig import Rig, issue
from hostler.gateway import render
from hostler.gateway.specs import Holding, Route, ServedModel
from tools.haproxy import haproxy

NEAR = Route(id="m-0", host="gpu-1", port=1)
FAR = {"host": "gpu-2", "port": 18080}


def models(*routes: Route, name: str = "chat") -> tuple[ServedModel, ...]:
    return (ServedModel(name=name, replicas=routes),)


SPECS: dict[str, dict[str, Any]] = {
    "nothing to serve": {"models": ()},
    "no replica": {"models": models()},
    "a model's odd name": {
        "models": models(Route(id="m-0", host="gpu-1", port=1), name="Org.Model_1:q4-K.m")
    },
    "IPv6": {"models": models(Route(id="m-0", edge_address="fd00::2", **FAR))},
    "by name": {"models": models(Route(id="m-0", edge_address="gpu-2.invalid", **FAR))},
    "engines that keep connections": {
        "models": models(Route(id="m-0", edge_address="10.0.0.2", keep_alive=True, **FAR))
    },
    "asleep": {
        "models": tuple(
            ServedModel(name=f"m{n}", replicas=routes, sleeps=True, hold=hold)
            for n, (routes, hold) in enumerate(
                (routes, hold) for routes in ((), (NEAR,)) for hold in (None, Holding())
            )
        )[:3]
    },
    "a page": {"models": models(), "page": True, "admins": (("a" * 64, "boss"),)},
    "private authority": {"models": models(), "tls": "private-ca"},
    "many": {
        "models": tuple(
            ServedModel(
                name=f"m{n}",
                replicas=tuple(Route(id=f"m{n}-{r}", host="gpu-1", port=20000 + r) for r in range(8)),
            )
            for n in range(60)
        )
    },
}


def check(cfg: str) -> None:
    answer = subprocess.run([haproxy(), "-c", "-f", cfg], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "[WARNING]" not in answer.stderr


@pytest.mark.parametrize("name", SPECS)
def test_gateways(rig: Rig, name: str) -> None:
    rig.make("gateway", "gpu-1")
    rig.make("edge", "gpu-2")
    spec = rig.spec(
        *SPECS[name]["models"], **{key: value for key, value in SPECS[name].items() if key != "models"}
    )
    issue(Path(spec.paths.tls), "127.0.0.1")
    rig.write(render.gateway_files(spec))
    check(f"{spec.paths.etc}/haproxy.cfg")


@pytest.mark.parametrize("count", [0, 1, 40])
def test_edges(rig: Rig, count: int) -> None:
    rig.make("gateway", "gpu-1")
    rig.make("edge", "gpu-2")
    routes = (Route(id=f"m-{n}", edge_address="10.0.0.2", **FAR) for n in range(count))
    spec = rig.edge_spec("gpu-2", 8443, *routes)
    rig.write(render.edge_files(spec))
    check(f"{spec.paths.etc}/haproxy.cfg")
