"""A request that is held, and what its client hears: bounded reading, errors as OpenAI's clients read them, comments."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.types import Receive, Scope, Send

MOST_BODY = 31_457_280  # bytes; the gateway takes no more
MOST_REPLAYED = 8192  # bytes of a request, with its head: what is longer the gateway cannot ask again (16 KB with its own words)
RETRY_S = 10.0  # said where nothing is known
HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"transfer-encoding", b"upgrade")
)  # fmt: skip
_LARGE = 262_144  # bytes of JSON that are parsed on a thread: others would wait for it
_EVENTS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"connection", b"close"),
)
Headers = Iterable[tuple[bytes, bytes]]


class Gone(Exception):
    """The client went away."""


@dataclass(eq=False)
class Refusal(Exception):
    """An answer of the holder's own."""

    status: int
    message: str
    retry_s: float = RETRY_S
    kind: str = "server_error"
    code: str = "model_not_ready"

    def json(self) -> str:
        error = {"message": self.message, "type": self.kind, "param": "model", "code": self.code}
        return json.dumps({"error": error})


@dataclass(frozen=True)
class Asked:
    """One request, read whole. `model`: whom the client asked for."""

    model: str
    key: str  # name of the key that asked; empty: not known
    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @cached_property
    def is_json(self) -> bool:
        """As the gateway takes it: not every client says what it sends."""
        return self.body[:64].lstrip().startswith(b"{")

    @property
    def is_short(self) -> bool:
        """Whether the gateway still has it whole, and can ask another."""
        head = (
            len(self.path) + len(self.query) + sum(len(name) + len(text) + 4 for name, text in self.headers)
        )
        return head + len(self.body) <= MOST_REPLAYED

    async def fields(self) -> dict[str, Any]:
        """The body of a JSON request; empty where it is none."""
        if not self.is_json:
            return {}
        if len(self.body) < _LARGE:
            return _object(self.body)
        return await asyncio.to_thread(_object, self.body)

    async def streams(self) -> bool:
        """Whether the client waits for events. The gateway marks those, and what it did not read."""
        marked = bool(_first(self.headers, b"x-hostler-stream"))
        return marked and (await self.fields()).get("stream") is True

    async def body_for(self, model: str) -> bytes:
        """Engines check the name of their model."""
        if model == self.model or not self.is_json:
            return self.body
        if not (fields := await self.fields()):
            return self.body
        changed = fields | {"model": model}
        return await asyncio.to_thread(lambda: json.dumps(changed, ensure_ascii=False).encode())


async def read(scope: Scope, receive: Receive, take: Callable[[int], None]) -> Asked:
    """`take`: room for so many bytes more, or a Refusal. Raises Gone, and Refusal for a body over the limit, too."""
    parts: list[bytes] = []
    size = 0
    async for part in _parts(receive):
        size += len(part)
        if size > MOST_BODY:
            raise Refusal(413, "The body is over 30 MB", 0, "invalid_request_error", "request_too_large")
        take(len(part))
        parts.append(part)
    headers = tuple(scope["headers"])
    return Asked(
        model=model_of(scope),
        key=_first(headers, b"x-hostler-key").decode("latin-1"),
        method=scope["method"],
        path=scope["raw_path"],
        query=scope["query_string"],
        headers=headers,
        body=b"".join(parts),
    )


def model_of(scope: Scope) -> str:
    return _first(scope["headers"], b"x-hostler-model").decode("latin-1")


def is_full(scope: Scope) -> bool:
    """Whether the gateway has no room in the model's line."""
    return bool(_first(scope["headers"], b"x-hostler-full"))


async def gone(receive: Receive) -> None:
    """Returns when the client went away."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Client:
    """What one client hears. Headers that were sent for comments leave errors no place but an event."""

    def __init__(self, send: Send) -> None:
        self._send, self.began = send, False

    async def comment(self, text: str) -> None:
        if not self.began:
            await self.start(200, _EVENTS)
        await self.part(f": {text}\n\n".encode())

    async def refuse(self, refusal: Refusal) -> None:
        """Events end without [DONE], so that no client takes the answer as whole."""
        if self.began:
            await self._end(f"data: {refusal.json()}\n\n".encode())
            return
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        if refusal.retry_s:
            headers.append((b"retry-after", str(max(1, math.ceil(refusal.retry_s))).encode()))
        await self.whole(refusal.status, headers, refusal.json().encode())

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        await self.start(status, (*headers, (b"content-length", str(len(body)).encode())))
        await self._end(body)

    async def pass_on(self, status: int, headers: Headers, body: AsyncIterator[bytes]) -> None:
        """Another's answer, byte for byte; after comments only its events can follow, and any other answer is one."""
        headers = [pair for pair in headers if pair[0].lower() not in HOP]
        events = status == 200 and _first(headers, b"content-type").startswith(b"text/event-stream")
        if self.began and not events:
            whole = b"".join([part async for part in body])
            await self._end(b"data: " + _one_line(whole) + b"\n\n")
            return
        if not self.began:
            await self.start(status, (*headers, (b"connection", b"close")))
        async for part in body:
            await self.part(part)
        await self._end(b"")

    async def start(self, status: int, headers: Headers) -> None:
        self.began = True
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def part(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _end(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _first(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key.lower() == name), b"")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]  JSON


def _one_line(body: bytes) -> bytes:
    """JSON without line breaks; any other text as the message of an error."""
    try:
        return json.dumps(json.loads(body)).encode()
    except ValueError:
        return Refusal(502, body[:500].decode("utf-8", "replace"), code="bad_gateway").json().encode()
