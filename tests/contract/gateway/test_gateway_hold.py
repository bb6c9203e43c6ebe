"""While all replicas of a model are away for an exchange, requests wait at the gateway, and none is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from contract.gateway.load import Tally, chat, soon, under_load
from contract.gateway.rig import KEY, Answer, Proxy, Rig, until
from contract.gateway.test_gateway_streams import exchange
from hostler.gateway.specs import Holding, ServedModel
from worlds.ports import free_port


class Asking:
    """Requests under way, each on a thread."""

    def __init__(self, rig: Rig, count: int, **more: Any) -> None:
        self.answers: list[Answer] = []
        self.threads = [
            threading.Thread(target=lambda: self.answers.append(rig.chat("chat", **more)))
            for _ in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def end(self) -> Counter[int]:
        for thread in self.threads:
            thread.join()
        return Counter(answer.status for answer in self.answers)


def under_way(proxy: Proxy) -> int:
    """Requests that wait for a replica."""
    return sum(
        int(row["scur"]) for row in proxy.rows() if (row["pxname"], row["svname"]) == ("held_chat", "BACKEND")
    )


@contextmanager
def away(rig: Rig, proxy: Proxy, *names: str) -> Iterator[None]:
    """Their engines are stopped in the middle of an exchange; they serve again at the end."""
    marks = [rig.drain(name) for name in names]
    until(lambda: all(proxy.states()[name].startswith("NOLB") for name in names))
    for name in names:
        rig.engines[name].kill()
    yield
    for name, mark in zip(names, marks, strict=True):
        rig.engines[name].start()
        mark.unlink()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("slots", [0, 1], ids=["no queue", "a queue"])
def test_an_only_replica_is_exchanged_under_load(rig: Rig, stream: bool, slots: int) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1, slots=slots)))
    until(lambda: proxy.states() == {"chat-0": "UP"})

    async def twice(tally: Tally) -> None:
        for _ in range(2):
            seen = tally.whole
            await soon(lambda seen=seen: tally.whole > seen + 20)
            await exchange(rig, proxy, rig.engines["chat-0"])
        seen = tally.whole
        await soon(lambda: tally.whole > seen + 20)

    body = chat("chat", stream=stream, x_tokens=5, x_every=0.01)
    tally = under_load(rig, 8, body, twice)
    assert not tally.lost


def test_all_of_several_are_away(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 2)))
    until(lambda: set(proxy.states().values()) == {"UP"})
    with away(rig, proxy, "chat-0", "chat-1"):
        asking = Asking(rig, 8)
        until(lambda: under_way(proxy) == 8)
    assert asking.end() == {200: 8}


def test_behind_an_edge(rig: Rig) -> None:
    port = free_port()
    rig.make("gateway", "gpu-1")
    rig.make("edge", "gpu-2")
    far = rig.route("chat-0", host="gpu-2", edge_address="127.0.0.1", edge_port=port)
    rig.edge(rig.edge_spec("gpu-2", port, far))
    proxy = rig.gateway(rig.spec(ServedModel(name="chat", replicas=(far,))))
    until(lambda: proxy.states() == {"chat-0": "UP"})

    async def restart(tally: Tally) -> None:
        await soon(lambda: tally.whole > 20)
        mark = rig.drain("chat-0", "gpu-2")
        await soon(lambda: proxy.states()["chat-0"].startswith("NOLB"))
        await soon(lambda: proxy.in_flight("chat-0") == 0)
        rig.engines["chat-0"].kill()
        await asyncio.to_thread(rig.engines["chat-0"].start)
        mark.unlink()
        seen = tally.whole
        await soon(lambda: tally.whole > seen + 20)

    assert not under_load(rig, 8, chat("chat", stream=True, x_tokens=3, x_every=0.01), restart).lost


def test_a_reload_takes_over_what_waits(rig: Rig) -> None:
    """Also where the replica is at another port afterwards: the old worker's own view of it is of the past."""
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    mark = rig.drain("chat-0")
    until(lambda: proxy.states()["chat-0"].startswith("NOLB"))
    asking = Asking(rig, 8)
    until(lambda: under_way(proxy) == 8)
    rig.engines["chat-0"].kill()
    proxy.reload()
    moved = rig.engine("moved")
    rig.gateway_reload(
        proxy, rig.spec(ServedModel(name="chat", replicas=(rig.route("chat-0", port=moved.port),)))
    )
    mark.unlink()
    assert asking.end() == {200: 8}
    assert {answer.headers["x-hostler-replica"] for answer in asking.answers} == {"chat-0"}
    assert {answer.json()["name"] for answer in asking.answers} == {"moved"}


@pytest.mark.parametrize("reload", [False, True], ids=["", "a reload"])
def test_what_queued_for_a_slot_does_not_wait_for_it(rig: Rig, reload: bool) -> None:
    """It waits with the others; an old worker would never hear that the replica is back."""
    proxy = rig.gateway(rig.spec(rig.model("chat", 1, slots=1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    first = threading.Thread(target=lambda: rig.chat("chat", x_delay=3))
    first.start()
    until(lambda: proxy.in_flight("chat-0") == 1)
    asking = Asking(rig, 4)
    until(lambda: "4" in [row["qcur"] for row in proxy.rows() if row["pxname"] == "model_chat"])
    with away(rig, proxy, "chat-0"):
        until(lambda: under_way(proxy) >= 4)
        if reload:
            proxy.reload()
    first.join()
    assert asking.end() == {200: 4}


def test_over_the_limits(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1, hold=Holding(queue=4, seconds=2))))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    rig.drain("chat-0")
    until(lambda: proxy.states()["chat-0"].startswith("NOLB"))
    began = time.monotonic()
    asking = Asking(rig, 4)
    until(lambda: under_way(proxy) == 4)
    full = rig.chat("chat")
    assert time.monotonic() - began < 1.5
    assert asking.end() == {503: 4}
    assert 2 <= time.monotonic() - began < 4
    for answer, why in ((full, "Too many requests wait"), (asking.answers[0], "no replica that is ready")):
        assert answer.status == 503
        assert answer.headers["retry-after"] == "10"
        error = answer.json()["error"]
        assert (error["code"], error["param"], error["type"]) == ("model_not_ready", "model", "server_error")
        assert why in error["message"]


def test_a_client_that_goes_away_frees_its_place(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1, hold=Holding(queue=1))))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    with away(rig, proxy, "chat-0"):
        with pytest.raises(TimeoutError):
            rig.ask("POST", "/v1/chat/completions", chat("chat"), timeout=1)
        until(lambda: under_way(proxy) == 0)
        asking: list[Asking] = []

        def is_held() -> bool:
            asking.append(Asking(rig, 1))
            until(lambda: under_way(proxy) == 1 or asking[-1].answers)
            return not asking[-1].answers

        until(is_held)
    assert asking[-1].end() == {200: 1}


def test_who_has_no_key_does_not_wait(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    rig.drain("chat-0")
    until(lambda: proxy.states()["chat-0"].startswith("NOLB"))
    assert rig.ask("POST", "/v1/chat/completions", chat("chat"), key=KEY + "x").status == 401


def test_a_replica_that_died_is_told_soon(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    rig.engines["chat-0"].kill()
    until(lambda: proxy.states()["chat-0"].startswith("DOWN"))
    began = time.monotonic()
    answer = rig.chat("chat")
    assert (answer.status, answer.json()["error"]["code"]) == (503, "model_not_ready")
    assert answer.headers["retry-after"] == "10"
    assert time.monotonic() - began < 2


def test_what_waits_is_told_when_its_replica_comes_back_dead(rig: Rig) -> None:
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    mark = rig.drain("chat-0")
    until(lambda: proxy.states()["chat-0"].startswith("NOLB"))
    asking = Asking(rig, 2)
    until(lambda: under_way(proxy) == 2)
    rig.engines["chat-0"].kill()
    mark.unlink()
    assert asking.end() == {503: 2}


def test_a_long_prompt_and_an_upload_wait_too(rig: Rig) -> None:
    """And go to the next worker, whatever names their model."""
    proxy = rig.gateway(rig.spec(rig.model("chat", 1)))
    until(lambda: proxy.states() == {"chat-0": "UP"})
    sizes: list[int] = []
    kind = {"content-type": "multipart/form-data; boundary=x"}

    def long() -> None:
        sizes.append(rig.chat("chat", pad="x" * (5 << 20)).json()["size"])

    def upload() -> None:
        path = "/m/chat/v1/audio/transcriptions"
        sizes.append(rig.ask("POST", path, b"--x\r\n" + b"\0" * 1_000_000, headers=kind).json()["size"])

    with away(rig, proxy, "chat-0"):
        threads = [threading.Thread(target=work) for work in (long, upload)]
        for thread in threads:
            thread.start()
        until(lambda: under_way(proxy) == 2)
        proxy.reload()
    for thread in threads:
        thread.join()
    assert sorted(size >> 20 for size in sizes) == [0, 5]
