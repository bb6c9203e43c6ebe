"""Keys whose budget is used up: refused as OpenAI refuses them, at once, over reloads and restarts, and nobody else."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contract.gateway.load import chat, soon
from contract.gateway.rig import Answer, Proxy, Rig, until
from hostler.controller.service import gateway as controller
from hostler.controller.service.gateway import Gateway
from hostler.gateway import render, runtime
from hostler.money.refusing import Told

CI, APP = "sk-ci", "sk-app"
WORDS = "12.30 of 12.00 EUR; it is free again on 2026-12-01 00:00 UTC"


class Place:
    """A gateway of two keys' clients, and its controller."""

    def __init__(self, rig: Rig, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(controller, "REPAIRED_S", 0.0)
        self.rig = rig
        keys = tuple((runtime.key_hash(key), name) for key, name in ((CI, "ci"), (APP, "app")))
        self.spec = rig.spec(rig.model("chat", 1), keys=keys, refuses=True)
        self.map = Path(self.spec.paths.spent)
        self.controller = Gateway(self.map.parent)
        self.proxy = self.begun()

    def begun(self) -> Proxy:
        """With whatever map there is."""
        (self.map.parent / "admin.sock").unlink(missing_ok=True)  # of one that was killed
        proxy = self.rig.gateway(self.spec)
        until(lambda: set(proxy.states().values()) == {"UP"})
        return proxy

    def refuse(self, left: float = 100.0, words: str = WORDS, key: str = "ci") -> None:
        self.controller.refuse({key: Told(until=int(time.time()) + left, text=words)})

    def asks(self, key: str) -> Answer:
        body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
        return self.rig.ask("POST", "/v1/chat/completions", body, key=key)

    def statuses(self) -> tuple[int, int]:
        return self.asks(CI).status, self.asks(APP).status


@pytest.fixture
def place(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(rig, monkeypatch)


def test_without_a_file_nobody_is_refused(place: Place) -> None:
    assert not place.map.exists()
    assert place.statuses() == (200, 200)


def test_as_openai_refuses(place: Place) -> None:
    place.refuse()
    answer = place.asks(CI)
    assert answer.status == 429
    assert answer.headers["content-type"] == "application/json"
    assert 90 <= int(answer.headers["retry-after"]) <= 100
    assert answer.json() == {
        "error": {
            "message": f"This key's budget for the month is used up: {WORDS}",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        }
    }
    assert place.asks(APP).status == 200


def test_what_asks_no_model_is_answered(place: Place) -> None:
    place.refuse()
    assert place.rig.ask("GET", "/v1/models", key=CI).status == 200
    assert place.rig.ask("GET", "/v1/models/chat", key=CI).status == 200
    assert place.rig.ask("GET", "/health", key=CI).status == 200
    assert place.rig.ask("POST", "/v1/nothing", {}, key=CI).status == 404


def test_it_names_no_key(place: Place) -> None:
    place.refuse()
    text = place.map.read_text()
    assert text.startswith("ci ")
    assert not any(word in text for word in (CI, "sk-", runtime.key_hash(CI)))
    assert place.map.stat().st_mode & 0o777 == 0o644  # the gateway's account reads it


def test_over_reloads_and_restarts(place: Place) -> None:
    place.refuse()
    place.proxy.reload()
    assert place.statuses() == (429, 200)
    place.proxy.stop()
    place.proxy = place.begun()
    assert place.statuses() == (429, 200)


def test_lifted(place: Place) -> None:
    place.refuse()
    assert place.statuses() == (429, 200)
    place.controller.refuse({})
    assert place.statuses() == (200, 200)
    place.proxy.reload()
    assert place.statuses() == (200, 200)


def test_a_month_that_is_over_refuses_nobody(place: Place) -> None:
    """Without a controller, too."""
    place.refuse(left=2.0)
    assert place.asks(CI).status == 429
    until(lambda: place.asks(CI).status == 200)
    place.proxy.reload()
    assert place.statuses() == (200, 200)


@pytest.mark.parametrize("text", ["", "ci\n", "ci soon\n", "# nothing\n\n"])
def test_a_file_that_says_nothing(place: Place, text: str) -> None:
    place.map.write_text(text)
    place.proxy.reload()
    assert place.statuses() == (200, 200)


def live(place: Place) -> dict[str, str]:
    answer = place.proxy.command(runtime.show_spent(str(place.map)))
    return {line.split()[1]: line.split(" ", 2)[2] for line in answer.splitlines() if line.strip()}


@pytest.mark.parametrize(
    "harm",
    [
        lambda place: place.map.unlink(),
        lambda place: place.map.write_text("app 9999999999 by hand\n"),
        lambda place: place.proxy.command(f"clear map {place.map}"),
        lambda place: place.proxy.command(f"add map {place.map} app 9999999999\\ x"),
        lambda place: place.proxy.command(f"set map {place.map} ci 9999999999\\ x"),
    ],
    ids=["no file", "another file", "an empty map", "one too many", "other words"],
)
def test_both_are_mended(place: Place, harm: Any) -> None:
    told = {"ci": Told(until=int(time.time()) + 100.0, text=WORDS)}
    place.controller.refuse(told)
    file, map_ = place.map.read_text(), live(place)
    harm(place)
    assert (place.map.exists() and place.map.read_text(), live(place)) != (file, map_)
    place.controller.refuse(told)
    assert (place.map.read_text(), live(place)) == (file, map_)


def test_where_no_gateway_runs_its_next_start_knows(place: Place) -> None:
    place.proxy.stop()
    with pytest.raises(ConnectionError):
        place.refuse()
    place.proxy = place.begun()
    assert place.statuses() == (429, 200)


def test_what_says_no_is_tried_again(place: Place) -> None:
    """A gateway of before has no such map yet, until its new configuration is loaded."""
    place.rig.gateway_reload(place.proxy, replace(place.spec, refuses=False))
    with pytest.raises(ValueError, match="Unknown map"):
        place.refuse()
    assert place.statuses() == (200, 200)
    place.rig.gateway_reload(place.proxy, place.spec)
    assert place.statuses() == (429, 200)
    place.refuse(words="12.40 of 12.00 EUR")
    assert "12.40" in place.asks(CI).json()["error"]["message"]


def test_told_to_end_its_word_stays(place: Place) -> None:
    place.refuse()
    place.controller.close()
    place.controller.refuse({})
    assert place.statuses() == (429, 200)


def test_a_stream_under_way_is_not_cut(place: Place) -> None:
    async def run() -> list[bytes]:
        lines: list[bytes] = []
        headers = {"authorization": f"Bearer {CI}"}
        body = chat("chat", stream=True, x_tokens=30, x_every=0.05)
        async with aiohttp.ClientSession(headers=headers) as session:
            url = f"http://127.0.0.1:{place.rig.port}/v1/chat/completions"
            async with session.post(url, json=body) as answer:

                async def read() -> None:
                    lines.extend([line async for line in answer.content if line.startswith(b"data: ")])

                reading = asyncio.create_task(read())
                await soon(lambda: place.rig.engines["chat-0"].state()["busy"] > 0)
                await asyncio.to_thread(place.refuse)
                assert (await asyncio.to_thread(place.asks, CI)).status == 429
                assert not reading.done()
                await asyncio.to_thread(place.proxy.reload)
                await reading
        return lines

    lines = asyncio.run(run())
    assert lines[-1].strip() == b"data: [DONE]"
    assert sum(b'"at"' in line for line in lines) == 30
    assert json.loads(lines[0][6:])


def test_a_gateway_that_refuses_nobody_reads_no_map(rig: Rig) -> None:
    files = {Path(file.path).name: file for file in render.gateway_files(rig.spec(rig.model("chat", 1)))}
    assert "spent" not in str(files["haproxy.cfg"].content)
