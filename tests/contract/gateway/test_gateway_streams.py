"""Nothing is lost and nothing clumps: streams, draining, reloads, deaths."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest

from contract.gateway.load import Tally, chat, soon, under_load
from contract.gateway.rig import KEY, Engine, Proxy, Rig, until
from hostler.gateway.specs import ServedModel


def gaps(rig: Rig) -> list[float]:
    """Seconds that each token took from the engine to the client."""

    async def run() -> list[float]:
        late: list[float] = []
        headers = {"authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            body = chat("big", stream=True, x_tokens=20, x_every=0.02)
            async with session.post(f"http://127.0.0.1:{rig.port}/v1/chat/completions", json=body) as answer:
                async for line in answer.content:
                    if line.startswith(b"data: {"):
                        late.append(time.monotonic() - json.loads(line[6:])["at"])
        return late

    return asyncio.run(run())


def test_tokens_do_not_clump(office: Rig) -> None:
    late = sorted(gaps(office))
    assert len(late) == 20
    assert late[15] < 0.015  # a token waits for no other: they leave every 20 ms


@pytest.mark.parametrize("pad", [0, 200_000], ids=["short", "too long to be sent again"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_clients_that_keep_connections_lose_nothing(office: Rig, stream: bool, pad: int) -> None:
    async def enough(tally: Tally) -> None:
        await soon(lambda: tally.whole + len(tally.lost) >= 400)

    tally = under_load(office, 4, chat("chat", stream=stream, pad="x" * pad), enough)
    assert not tally.lost
    assert set(tally.by) == {"chat-0", "chat-1"}


async def exchange(rig: Rig, proxy: Proxy, engine: Engine) -> None:
    """Drains, waits until nothing is in flight, restarts, and takes it back."""
    file = rig.drain(engine.name)
    await soon(lambda: proxy.states()[engine.name].startswith("NOLB"))
    await soon(lambda: proxy.in_flight(engine.name) == 0 and engine.state()["busy"] == 0)
    engine.kill()
    await asyncio.to_thread(engine.start)
    assert proxy.states()[engine.name] != "UP"
    file.unlink()
    await soon(lambda: proxy.states()[engine.name] == "UP")


def test_drained_one_after_the_other_under_streams(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))

    async def both(tally: Tally) -> None:
        for name in ("chat-0", "chat-1"):
            await exchange(rig, proxy, rig.engines[name])

    tally = under_load(rig, 40, chat("chat", stream=True, x_tokens=10, x_every=0.03), both)
    assert not tally.lost
    assert tally.whole > 80


def test_reload_under_load(rig: Rig) -> None:
    spec = rig.spec(rig.model("chat", 2))
    proxy = rig.gateway(spec)

    async def reloads(tally: Tally) -> None:
        for _ in range(4):
            seen = tally.whole
            await asyncio.to_thread(proxy.reload)
            await soon(lambda seen=seen: tally.whole > seen + 100)

    for body in (chat("chat"), chat("chat", stream=True, x_tokens=3, x_every=0.01)):
        assert not under_load(rig, 16, body, reloads).lost


def test_a_reload_keeps_a_drain(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))
    rig.drain("chat-1")  # the last to be checked after a start
    until(lambda: proxy.states()["chat-1"].startswith("NOLB"))

    async def reload(tally: Tally) -> None:
        await asyncio.to_thread(proxy.reload)
        seen = tally.whole
        await soon(lambda: tally.whole > seen + 200)

    tally = under_load(rig, 8, chat("chat"), reload)
    assert not tally.lost
    assert set(tally.by) == {"chat-0"}


def test_a_replica_that_dies_costs_no_whole_answer(rig: Rig) -> None:
    """Each request may meet the dead one until three refusals have marked it down."""
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))
    until(lambda: set(proxy.states().values()) == {"UP"})

    async def kill(tally: Tally) -> None:
        for engine in rig.engines.values():
            await soon(lambda: tally.whole > 50)
            engine.kill()
            seen = tally.whole
            await soon(lambda seen=seen: tally.whole > seen + 50)
            await asyncio.to_thread(engine.start)
            await soon(lambda engine=engine: proxy.states()[engine.name] == "UP")

    tally = under_load(rig, 16, chat("chat", x_delay=0.02), kill)
    assert not tally.lost
    assert set(tally.by) == {"chat-0", "chat-1"}


def test_a_loading_replica_is_not_asked(rig: Rig) -> None:
    rig.engine("chat-0").health(503)
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))
    until(lambda: proxy.states()["chat-0"].startswith("DOWN"))
    assert {rig.chat("chat").json()["name"] for _ in range(6)} == {"chat-1"}
    rig.engines["chat-0"].health(200)
    until(lambda: proxy.states()["chat-0"] == "UP")


def test_an_engine_s_own_404_is_no_drain(rig: Rig) -> None:
    rig.engine("chat-0").health(404)
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states()["chat-0"].startswith("DOWN"))


def test_all_drained_is_told_at_once_where_nothing_waits(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1, hold=None)))
    rig.drain("chat-0")
    until(lambda: proxy.states()["chat-0"].startswith("NOLB"))
    answer = rig.chat("chat")
    assert (answer.status, answer.json()["error"]["code"]) == (503, "model_not_ready")


def test_a_reload_follows_a_replica_to_another_port(rig: Rig) -> None:
    """What the old worker knew of its servers does not outlive the new configuration."""
    spec = rig.spec(rig.model("chat", 1))
    proxy = rig.gateway(spec)
    until(lambda: proxy.states() == {"chat-0": "UP"})
    moved = rig.engine("moved")
    route = rig.route("chat-0", port=moved.port)
    rig.gateway_reload(proxy, rig.spec(ServedModel(name="chat", replicas=(route,))))
    rig.engines["chat-0"].kill()
    until(lambda: rig.chat("chat").status == 200)
