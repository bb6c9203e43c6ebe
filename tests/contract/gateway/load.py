"""Clients that keep their connections, as the openai, httpx and aiohttp clients do, and what they saw."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from contract.gateway.rig import KEY, Rig


@dataclass
class Tally:
    """`lost`: why each request that was not answered whole was not."""

    whole: int = 0
    lost: list[str] = field(default_factory=list)
    by: Counter[str] = field(default_factory=Counter)


class Client:
    def __init__(self, rig: Rig, session: aiohttp.ClientSession, tally: Tally) -> None:
        self.address = f"http://127.0.0.1:{rig.port}/v1/chat/completions"
        self.session, self.tally = session, tally

    async def once(self, body: dict[str, Any]) -> None:
        try:
            async with self.session.post(self.address, json=body) as answer:
                text = await answer.text()
                self.count(answer, text, bool(body.get("stream")))
        except (aiohttp.ClientError, OSError) as error:
            self.tally.lost.append(repr(error))

    def count(self, answer: aiohttp.ClientResponse, text: str, stream: bool) -> None:
        whole = text.endswith("data: [DONE]\n\n") if stream else text.endswith("}")
        if answer.status != 200 or not whole:
            self.tally.lost.append(f"{answer.status} {text[-200:]}")
            return
        self.tally.whole += 1
        self.tally.by[answer.headers["x-hostler-replica"]] += 1


@asynccontextmanager
async def clients(rig: Rig, count: int, tally: Tally) -> AsyncIterator[list[Client]]:
    """Each with a connection of its own that it keeps."""
    headers = {"authorization": f"Bearer {KEY}"}
    made = [
        aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=1)) for _ in range(count)
    ]
    try:
        yield [Client(rig, session, tally) for session in made]
    finally:
        await asyncio.gather(*(session.close() for session in made))


def under_load(rig: Rig, count: int, body: dict[str, Any], work: Callable[[Tally], Awaitable[None]]) -> Tally:
    """What `count` clients saw that asked again and again while `work` went on."""

    async def run() -> Tally:
        tally, stop = Tally(), asyncio.Event()

        async def repeat(client: Client) -> None:
            while not stop.is_set():
                await client.once(body)

        async with clients(rig, count, tally) as made:
            tasks = [asyncio.create_task(repeat(client)) for client in made]
            try:
                await work(tally)
            finally:
                stop.set()
                await asyncio.gather(*tasks)
        return tally

    return asyncio.run(run())


async def soon(what: Callable[[], Any], limit: float = 15.0) -> None:
    """As rig.until, for coroutines; `what` runs on a thread, as it may ask over the network."""
    end = time.monotonic() + limit
    while not await asyncio.to_thread(what):
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        await asyncio.sleep(0.02)


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}], "model": model} | more


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
