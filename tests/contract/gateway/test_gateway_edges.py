"""Between hosts: mutual TLS on pinned certificates, the name asked for is the replica."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from contract.gateway.load import Tally, chat, soon, under_load
from contract.gateway.rig import Proxy, Rig, ask, certificate, until
from hostler.gateway.specs import Route, ServedModel
from worlds.ports import free_port


class Fleet:
    """`chat` on gpu-1, the gateway's host (chat-0), and on gpu-2 (chat-1, other-0) behind its edge."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.port = rig, free_port()
        rig.make("gateway", "gpu-1")
        rig.make("edge", "gpu-2")
        far = {"host": "gpu-2", "edge_address": "127.0.0.1", "edge_port": self.port}
        self.far = (rig.route("chat-1", **far), rig.route("other-0", **far))
        self.edge = rig.edge(rig.edge_spec("gpu-2", self.port, *self.far))
        chat = ServedModel(name="chat", replicas=(rig.route("chat-0"), self.far[0]))
        self.spec = rig.spec(chat, ServedModel(name="other", replicas=self.far[1:]))
        self.gateway = rig.gateway(self.spec)

    def tls(self, host: str) -> Path:
        return self.rig.folder / host / "tls"


@pytest.fixture
def fleet(rig: Rig) -> Fleet:
    made = Fleet(rig)
    until(lambda: set(made.gateway.states().values()) == {"UP"})
    return made


def test_replicas_of_another_host_are_served(fleet: Fleet) -> None:
    assert {fleet.rig.chat("chat").json()["name"] for _ in range(20)} == {"chat-0", "chat-1"}
    answer = fleet.rig.chat("other")
    assert (answer.json()["name"], answer.headers["x-hostler-replica"]) == ("other-0", "other-0")


def test_long_prompts_go_through(fleet: Fleet) -> None:
    assert fleet.rig.chat("other", pad="x" * (20 << 20)).json()["size"] > 20 << 20


def handshake(fleet: Fleet, name: str, certificate: str, key: str, path: str = "/health") -> bytes:
    """What one who knows the edge's address hears of it."""
    connect = ["openssl", "s_client", "-connect", f"127.0.0.1:{fleet.port}", "-servername", name, "-quiet"]
    own = ["-cert", certificate, "-key", key] if certificate else []
    request = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    return subprocess.run([*connect, *own], input=request, capture_output=True, timeout=10).stdout


def test_the_gateway_is_let_in(fleet: Fleet) -> None:
    own = str(fleet.tls("gpu-1") / "gateway")
    assert b'"served"' in handshake(fleet, "chat-1.gpu-2", f"{own}.crt", f"{own}.key")


def test_nobody_else_is(fleet: Fleet, tmp_path: Path) -> None:
    certificate(tmp_path, "forged", "gpu-1")  # the right name, another key
    forged = (str(tmp_path / "forged.crt"), str(tmp_path / "forged.key"))
    own = str(fleet.tls("gpu-1") / "gateway")
    attempts = {
        "no certificate": ("chat-1.gpu-2", "", ""),
        "another certificate": ("chat-1.gpu-2", *forged),
        "another replica": ("chat-9.gpu-2", f"{own}.crt", f"{own}.key"),
        "no replica": ("gpu-2", f"{own}.crt", f"{own}.key"),
    }
    assert {why: handshake(fleet, *words) for why, words in attempts.items()} == dict.fromkeys(attempts, b"")


def test_plain_http_is_refused(fleet: Fleet) -> None:
    with pytest.raises(OSError):  # noqa: PT011  reset or closed, as the kernel will
        ask("GET", "/health", port=fleet.port)


def test_an_edge_with_another_certificate_is_not_believed(fleet: Fleet) -> None:
    fleet.rig.make("edge", "gpu-2")
    fleet.edge.reload()
    until(lambda: fleet.gateway.states()["chat-1"].startswith("DOWN"))
    assert fleet.rig.chat("other").status == 503


def test_an_edge_under_another_host_s_name_is_not_believed(rig: Rig) -> None:
    fleet = Fleet(rig)
    until(lambda: fleet.gateway.states()["chat-1"] == "UP")
    certificate(fleet.tls("gpu-2"), "edge", "gpu-3")
    rig.gateway_reload(fleet.gateway, fleet.spec)
    fleet.edge.reload()
    until(lambda: fleet.gateway.states()["chat-1"].startswith("DOWN"))


def test_drained_by_a_file_on_its_own_host(fleet: Fleet) -> None:
    async def drain(tally: Tally) -> None:
        file = fleet.rig.drain("chat-1", "gpu-2")
        await soon(lambda: fleet.gateway.states()["chat-1"].startswith("NOLB"))
        seen = tally.by["chat-1"]
        await soon(lambda: fleet.gateway.in_flight("chat-1") == 0)
        fleet.rig.engines["chat-1"].kill()
        assert tally.by["chat-1"] <= seen + 8
        fleet.rig.engines["chat-1"].start()
        file.unlink()
        await soon(lambda: fleet.gateway.states()["chat-1"] == "UP")

    tally = under_load(fleet.rig, 16, chat("chat", stream=True, x_tokens=5, x_every=0.02), drain)
    assert not tally.lost
    assert fleet.gateway.states()["other-0"] == "UP"


def test_clients_that_keep_connections_lose_nothing(fleet: Fleet) -> None:
    async def enough(tally: Tally) -> None:
        await soon(lambda: tally.whole + len(tally.lost) >= 200)

    body = chat("other", stream=True, pad="x" * 200_000)  # too long to be sent again
    assert not under_load(fleet.rig, 4, body, enough).lost


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_nothing_is_lost_while_edge_and_gateway_reload(fleet: Fleet, stream: bool) -> None:
    async def reloads(tally: Tally) -> None:
        for proxy in (fleet.edge, fleet.gateway, fleet.edge):
            seen = tally.whole
            proxy.reload()
            await soon(lambda seen=seen: tally.whole > seen + 100)

    assert not under_load(fleet.rig, 8, chat("chat", stream=stream), reloads).lost


@pytest.mark.parametrize("what", ["engine", "edge"])
def test_a_dead_engine_or_host_costs_no_whole_answer(fleet: Fleet, what: str) -> None:
    async def kill(tally: Tally) -> None:
        await soon(lambda: tally.by["chat-1"] > 20)
        (fleet.rig.engines["chat-1"].kill if what == "engine" else lambda: end(fleet.edge))()
        seen = tally.whole
        await soon(lambda: tally.whole > seen + 100)

    assert not under_load(fleet.rig, 8, chat("chat", x_delay=0.02), kill).lost


def end(proxy: Proxy) -> None:
    """Master and worker at once, as a lost host ends them."""
    info = dict(line.split(": ", 1) for line in proxy.command("show info").splitlines() if ": " in line)
    proxy.process.kill()
    os.kill(int(info["Pid"]), signal.SIGKILL)


def test_an_edge_that_cannot_be_resolved_stops_nothing_else(rig: Rig) -> None:
    rig.make("gateway", "gpu-1")
    rig.make("edge", "gpu-2")
    far = Route(id="far-0", host="gpu-2", port=1, edge_address="gpu-2.invalid")
    rig.gateway(rig.spec(rig.model("chat", 1), ServedModel(name="far", replicas=(far,))))
    assert rig.chat("chat").status == 200
    assert rig.chat("far").status == 503
