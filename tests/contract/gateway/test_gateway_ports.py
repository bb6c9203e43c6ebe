"""The doors send a replica's requests to its other port, under load: no gap, and nothing more to the former one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contract.gateway.load import Tally, chat, soon, under_load
from contract.gateway.rig import Engine, Proxy, Rig, until
from contract.gateway.test_gateway_edges import Fleet
from hostler.node.base import sockets, spec
from hostler.node.doors import haproxy, ports

BODY = {"x_tokens": 5, "x_every": 0.01}


class Moving:
    """A replica whose successor listens on another port; `tell` as the agent does on the host of `proxy`."""

    def __init__(self, rig: Rig, patch: pytest.MonkeyPatch, proxy: Proxy, replica: str) -> None:
        self.proxy, self.replica, self.former = proxy, replica, rig.engines[replica]
        self.new = Engine(rig.folder, f"{replica}-new")
        rig.engines[self.new.name] = self.new
        self.applied: dict[str, Any] = {"id": replica, "port": self.former.port}
        patch.setattr(spec, "applied", lambda _: self.applied)
        patch.setattr(spec, "replicas", lambda: [replica])
        patch.setattr(haproxy, "PORTS", str(proxy.run.parent / "%s" / "ports.cfg"))
        patch.setattr(
            haproxy, "SOCKETS", [str(proxy.run.parent / door / "admin.sock") for door in ports.DOORS]
        )

    def tell(self, port: int) -> None:
        self.applied |= {"port": port, "first_port": self.former.port}
        ports.tell(self.replica)

    async def over(self, tally: Tally) -> None:
        """To the new one under load, until the former one is quiet; then that one ends."""
        await soon(lambda: tally.whole > 50)
        self.tell(self.new.port)
        await soon(lambda: not sockets.connected(self.former.port))
        for _ in range(50):
            assert not sockets.connected(self.former.port)
            await asyncio.sleep(0.01)  # a while in which anything that came late would be seen
        self.former.kill()
        seen = tally.whole
        await soon(lambda: tally.whole > seen + 100, 30)


@pytest.mark.soak
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_the_gateway_s_own_replica_moves_under_load(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: set(proxy.states().values()) == {"UP"})
    moving = Moving(rig, monkeypatch, proxy, "chat-0")
    assert not under_load(rig, 16, chat("chat", stream=stream, **BODY), moving.over).lost
    assert rig.chat("chat").json()["name"] == "chat-0-new"
    proxy.reload()  # it reads the port anew, and keeps it
    until(lambda: set(proxy.states().values()) == {"UP"})
    assert rig.chat("chat").json()["name"] == "chat-0-new"


def test_an_edge_s_replica_moves_under_load(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(rig)
    until(lambda: set(fleet.gateway.states().values()) == {"UP"})
    moving = Moving(rig, monkeypatch, fleet.edge, "other-0")
    assert not under_load(rig, 8, chat("other", stream=True, **BODY), moving.over).lost
    assert fleet.gateway.states()["other-0"] == "UP"
    assert rig.chat("other").json()["name"] == "other-0-new"
    text = Path(haproxy.PORTS % "edge").read_text()
    assert f"setenv PORT_{moving.former.port} {moving.new.port}" in text


@pytest.mark.soak
def test_it_goes_back_as_well(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: set(proxy.states().values()) == {"UP"})
    moving = Moving(rig, monkeypatch, proxy, "chat-0")

    async def there_and_back(tally: Tally) -> None:
        for port in (moving.new.port, moving.former.port) * 5:
            seen = tally.whole
            moving.tell(port)
            await soon(lambda seen=seen: tally.whole > seen + 20)

    assert not under_load(rig, 8, chat("chat", stream=True, **BODY), there_and_back).lost
    assert rig.chat("chat").json()["name"] == "chat-0"
    assert "setenv" not in Path(haproxy.PORTS % "gateway").read_text()
