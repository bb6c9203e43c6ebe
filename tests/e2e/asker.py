"""A client's program: requests until it is told to stop, each answer checked to be whole, one JSON line for each.

Streams and plain answers, short and long, by the openai client and by a socket of its own that takes nothing on trust:
status, length, chunks, [DONE], and nothing after it. Run by load.Load, on an operator's machine.

Settings, as JSON in ASKER: address, key, model, clients, rate (requests a second, 0: as fast as they are answered),
numbered (a stub engine that repeats each question's number with each piece), lengths ([tokens, pause in ms] in turn),
out (the file for the lines).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import openai

WAYS = ("openai stream", "raw stream", "openai plain", "raw plain")
LIMIT_S = 240.0  # of one answer, with the time that it may be held


class FlawError(Exception):
    """An answer that is not whole."""


@dataclass
class Answer:
    """One request's life, in seconds of the machine's clock; `flaw` empty: it is whole."""

    number: int
    way: str
    tokens: int
    begun: float
    first: float = 0.0
    ended: float = 0.0
    id: str = ""
    flaw: str = ""
    pieces: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    address: str
    key: str
    model: str
    clients: int
    rate: float
    numbered: bool
    lengths: list[list[int]]
    out: str


class Asker:
    """The clients, and what they ask."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = openai.AsyncOpenAI(
            base_url=settings.address, api_key=settings.key, max_retries=0, timeout=LIMIT_S
        )
        self.stop = asyncio.Event()
        self.numbers = itertools.count(1)
        self.next_at = time.monotonic()
        self.out = open(settings.out, "a", buffering=1, encoding="utf-8")  # noqa: SIM115

    async def run(self) -> None:
        clients = [asyncio.create_task(self._one()) for _ in range(self.settings.clients)]
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        self.stop.set()
        await asyncio.gather(*clients)
        print(next(self.numbers) - 1, flush=True)

    async def _one(self) -> None:
        """One client after the other's answer; raw ones keep their connection as long as it stays open."""
        raw = Raw(self.settings)
        while not self.stop.is_set():
            await self._turn()
            number = next(self.numbers)
            tokens, pause = self.settings.lengths[number // len(WAYS) % len(self.settings.lengths)]
            answer = Answer(number, WAYS[number % len(WAYS)], tokens, time.time())
            try:
                asked = self._asked(answer, pause)
                if answer.way.startswith("openai"):
                    events = openai_events(self.client, asked)
                else:
                    events = raw.events(asked, new=number % 3 == 0)
                async with asyncio.timeout(LIMIT_S):
                    await self._read(answer, events)
            except FlawError as error:
                answer.flaw = str(error)
            except Exception as error:  # noqa: BLE001  whatever it is, the answer is not whole
                answer.flaw = f"{type(error).__name__}: {error}"
            if answer.flaw:
                raw.close()
            answer.ended = time.time()
            row = asdict(answer) | {"pieces": len(answer.pieces)}
            self.out.write(json.dumps(row) + "\n")

    async def _turn(self) -> None:
        """Until the rate allows one more."""
        if self.settings.rate:
            now = time.monotonic()
            self.next_at = max(self.next_at, now - 1) + 1 / self.settings.rate
            if self.next_at > now:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stop.wait(), self.next_at - now)

    def _asked(self, answer: Answer, pause: int) -> dict[str, Any]:
        text = f"number {answer.number} pause {pause}" if self.settings.numbered else "Count to one hundred."
        asked = {"model": self.settings.model, "max_tokens": answer.tokens, "temperature": 0}
        asked["messages"] = [{"role": "user", "content": text}]
        if answer.way.endswith("stream"):
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return asked

    async def _read(self, answer: Answer, events: AsyncIterator[dict[str, Any]]) -> None:
        """All of an answer, and whether it is what was asked for."""
        finish, counted = "", None
        async for event in events:
            if "error" in event:
                raise FlawError(f"an error within: {event['error']}")
            answer.id = answer.id or event["id"]
            if event["id"] != answer.id:
                raise FlawError(f"pieces of another answer: {event['id']} in {answer.id}")
            counted = (event.get("usage") or {}).get("completion_tokens", counted)
            for choice in event["choices"]:
                text = (choice.get("delta") or choice.get("message") or {}).get("content")
                if text:
                    answer.first = answer.first or time.time()
                    answer.pieces.append(text)
                if finish and (text or choice.get("finish_reason")):
                    raise FlawError("words after its end")
                finish = choice.get("finish_reason") or finish
        if finish not in ("stop", "length"):
            raise FlawError(f"finish_reason {finish!r} after {len(answer.pieces)} pieces")
        self._judge(answer, finish, counted)

    def _judge(self, answer: Answer, finish: str, counted: int | None) -> None:
        said = "".join(answer.pieces)
        if not counted:
            raise FlawError("it does not say how many tokens it has")
        if self.settings.numbered:
            expected = "".join(f"{answer.number}.{place} " for place in range(1, answer.tokens + 1))
            if said != expected:
                raise FlawError(f"expected {expected[:60]!r}...; got {said[:60]!r} ({len(said)} characters)")
        elif not said.strip():
            raise FlawError("it is empty")
        if (self.settings.numbered or finish == "length") and counted != answer.tokens:
            raise FlawError(f"expected {answer.tokens} tokens; got {counted}")
        if len(answer.pieces) > counted:
            raise FlawError(f"{len(answer.pieces)} pieces of {counted} tokens")


async def openai_events(client: openai.AsyncOpenAI, asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    if not asked.get("stream"):
        yield (await client.chat.completions.create(**asked)).model_dump()
        return
    async for piece in await client.chat.completions.create(**asked):
        yield piece.model_dump()


class Raw:
    """HTTP/1.1 by hand on one connection, which is kept while the other side keeps it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.place = urlsplit(settings.address)
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def events(self, asked: dict[str, Any], *, new: bool) -> AsyncIterator[dict[str, Any]]:
        """Answers, or a stream's events; raises FlawError for anything that is not by the book."""
        if new or self.writer is None or self.writer.is_closing() or (self.reader and self.reader.at_eof()):
            self.close()
            secure = self.place.scheme == "https"
            self.reader, self.writer = await asyncio.open_connection(
                self.place.hostname, self.place.port, ssl=secure or None, limit=1 << 20
            )
        assert self.reader
        assert self.writer
        body = json.dumps(asked).encode()
        self.writer.write(
            f"POST {self.place.path}/chat/completions HTTP/1.1\r\nHost: {self.place.netloc}\r\n"
            f"Authorization: Bearer {self.settings.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await self.writer.drain()
        status, headers = await self._head(self.reader)
        parts = self._chunks(self.reader) if "chunked" in headers.get("transfer-encoding", "") else None
        if status != 200:
            rest = (
                await self._whole(self.reader, headers)
                if parts is None
                else b"".join([p async for p in parts])
            )
            raise FlawError(f"status {status}: {rest[:200]!r}")
        if asked.get("stream"):
            if parts is None:
                raise FlawError("a stream without chunks")
            async for event in self._stream(parts):
                yield event
        else:
            data = (
                await self._whole(self.reader, headers)
                if parts is None
                else b"".join([p async for p in parts])
            )
            yield json.loads(data)
        if headers.get("connection", "").lower() == "close":
            if rest := await self.reader.read():
                raise FlawError(f"{len(rest)} bytes after its end")
            self.close()

    async def _head(self, reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def _whole(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        return await reader.readexactly(int(headers["content-length"]))

    async def _chunks(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """A chunked body to its last, empty chunk."""
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            data = await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                raise FlawError("a chunk does not end where it says")
            if not size:
                return
            yield data

    async def _stream(self, parts: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
        """Events up to [DONE], which is there, and after which there is nothing."""
        buffer, done = b"", False
        async for part in parts:
            buffer += part
            *events, buffer = buffer.split(b"\n\n")
            for data in self._data(events):
                if done:
                    raise FlawError("words after [DONE]")
                done = data == b"[DONE]"
                if not done:
                    yield json.loads(data)
        if not done or buffer.strip():
            raise FlawError("the stream ends without [DONE]")

    def _data(self, events: list[bytes]) -> Iterator[bytes]:
        for event in events:
            if event.startswith(b"data:"):
                yield event[5:].strip()
            elif event.strip() and not event.startswith(b":"):
                raise FlawError(f"not an event: {event[:60]!r}")


if __name__ == "__main__":
    asyncio.run(Asker(Settings(**json.loads(os.environ["ASKER"]))).run())
