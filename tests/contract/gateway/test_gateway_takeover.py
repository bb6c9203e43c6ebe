"""A new HAProxy takes over the sockets of the one that serves: nothing is refused, nothing is cut."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from contract.gateway.load import Tally, chat, soon, under_load
from contract.gateway.rig import Proxy, Rig, until
from contract.gateway.test_gateway_edges import Fleet
from contract.gateway.test_gateway_hold import Asking, under_way
from hostler.node.doors import haproxy as node
from hostler.node.exchange import takeover
from tools.haproxy import haproxy


class Successor:
    """What the agent starts beside the old one: the same words, and whom to ask for the sockets."""

    def __init__(self, rig: Rig, old: Proxy) -> None:
        self.old, self.master = old, old.run / "master.sock"
        self.before = self.master.stat().st_ino
        old.save_state()
        self.log = old.run / "successor.log"
        words = [haproxy(), *old.container.argv[1:], "-x", str(old.run / "admin.sock")]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        rig.proxies.append(self)  # type: ignore[arg-type]  it is stopped alike

    def good(self) -> bool:
        """As takeover._good sees it."""
        assert self.process.poll() is None, self.log.read_text()
        return self.master.stat().st_ino != self.before and takeover.serving(str(self.master))

    def alone(self) -> bool:
        return self.old.process.poll() is not None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


async def take_over(rig: Rig, old: Proxy, tally: Tally) -> None:
    await soon(lambda: tally.whole > 50)
    successor = Successor(rig, old)
    await soon(successor.good, 30)
    old.process.send_signal(signal.SIGUSR1)
    await soon(successor.alone, 30)
    seen = tally.whole
    await soon(lambda: tally.whole > seen + 100, 30)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_nothing_is_lost(rig: Rig, stream: bool) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))
    until(lambda: set(proxy.states().values()) == {"UP"})
    body = chat("chat", stream=stream, x_tokens=5, x_every=0.01)
    assert not under_load(rig, 16, body, lambda tally: take_over(rig, proxy, tally)).lost


def test_an_edge_s_successor_loses_nothing(rig: Rig) -> None:
    fleet = Fleet(rig)
    until(lambda: set(fleet.gateway.states().values()) == {"UP"})
    body = chat("other", stream=True, x_tokens=5, x_every=0.01)
    assert not under_load(rig, 8, body, lambda tally: take_over(rig, fleet.edge, tally)).lost
    assert fleet.gateway.states()["other-0"] == "UP"


def test_what_waits_is_handed_on(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    mark = rig.drain("chat-0")
    until(lambda: proxy.states()["chat-0"].startswith("NOLB"))
    asking = Asking(rig, 8)
    until(lambda: under_way(proxy) == 8)
    successor = Successor(rig, proxy)
    until(successor.good, 30)
    proxy.process.send_signal(signal.SIGUSR1)
    until(lambda: node.worker(str(proxy.run / "admin.sock")) != "" and under_way(proxy) == 8, 30)
    mark.unlink()
    assert asking.end() == {200: 8}


def test_one_that_is_not_good_costs_nothing(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))
    until(lambda: set(proxy.states().values()) == {"UP"})
    configuration = Path(proxy.container.argv[-1])

    async def fail(tally: Tally) -> None:
        await soon(lambda: tally.whole > 50)
        text = configuration.read_text()
        configuration.write_text(text + "nonsense\n")
        successor = Successor(rig, proxy)
        await soon(lambda: successor.process.poll() is not None, 30)
        configuration.write_text(text)
        seen = tally.whole
        await soon(lambda: tally.whole > seen + 100, 30)

    assert not under_load(rig, 8, chat("chat"), fail).lost
    assert proxy.process.poll() is None
    assert set(proxy.states().values()) == {"UP"}


def test_one_that_goes_again_leaves_the_old_one_its_sockets(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))
    until(lambda: set(proxy.states().values()) == {"UP"})
    before = node.worker(str(proxy.run / "admin.sock"))

    async def back(tally: Tally) -> None:
        await soon(lambda: tally.whole > 50)
        successor = Successor(rig, proxy)
        await soon(successor.good, 30)
        successor.process.send_signal(signal.SIGUSR1)
        await soon(lambda: successor.process.poll() is not None, 30)
        seen = tally.whole
        await soon(lambda: tally.whole > seen + 100, 30)

    assert not under_load(rig, 8, chat("chat"), back).lost
    assert node.worker(str(proxy.run / "admin.sock")) == before


def test_it_starts_where_nobody_has_the_sockets(rig: Rig) -> None:
    """After a boot the container still asks: nobody answers, and it opens its own."""
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    worker = int(node.worker(str(proxy.run / "admin.sock")))
    proxy.stop()
    os.kill(worker, signal.SIGKILL)
    successor = Successor(rig, Stopped(proxy))
    until(successor.good, 30)
    assert rig.chat("chat").status == 200


class Stopped(Proxy):
    """One that left its files."""

    def __init__(self, was: Proxy) -> None:
        self.container, self.run, self.process, self.log = was.container, was.run, was.process, was.log

    def command(self, text: str, name: str = "admin.sock") -> str:  # noqa: ARG002  nobody answers
        return ""
