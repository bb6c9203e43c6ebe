"""Handing a request on to the gateway's own socket, once its model is awake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from hostler.controller.holder_requests import HOP, Asked, Headers

NOT_READY = b'"model_not_ready"'
REFUSED = {429: b'"rate_limit_exceeded"', 404: b'"model_not_found"'}  # the gateway's own
_CONNECT_S = 5.0
_LOOK_S = 5.0
_NOT_OURS = frozenset((b"host", b"content-length", b"expect", b"authorization", b"x-model"))


@dataclass(frozen=True, slots=True)
class Answer:
    """Of an engine, or of the gateway about it; its body still comes. `refused`: the gateway did not ask an engine, as too
    many wait for it, or it does not know the model."""

    response: httpx.Response
    refused: bool = False

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> Headers:
        return self.response.headers.raw

    async def body(self) -> AsyncIterator[bytes]:
        """As it was sent; raises httpx.TransportError where it breaks off."""
        async for part in self.response.aiter_raw():
            yield part

    async def close(self) -> None:
        await self.response.aclose()


class Onward:
    """`internal`: path of the gateway's socket. Each request has a connection of its own: none that is kept can be
    closed while it is asked."""

    def __init__(self, internal: str) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        transport = httpx.AsyncHTTPTransport(uds=internal, limits=limits)
        self._client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None, connect=_CONNECT_S))

    async def ask(self, asked: Asked, model: str) -> Answer | None:
        """None: nothing serves the model, or the gateway itself is just being started again."""
        path = f"/m/{quote(model, safe='')}".encode() + asked.path
        target = path + b"?" + asked.query if asked.query else path
        request = httpx.Request(
            asked.method,
            "http://gateway",
            headers=[*_passed(asked), *_own(asked)],
            content=await asked.body_for(model),
            extensions={"target": target, "timeout": self._client.timeout.as_dict()},
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError:
            return None
        if response.status_code != 503 and response.status_code not in REFUSED:
            return Answer(response)
        try:
            said = await response.aread()  # short: the gateway's own, or an error
        except httpx.TransportError:
            return None
        finally:
            await response.aclose()
        if response.status_code == 503 and NOT_READY in said:
            return None
        refused = REFUSED.get(response.status_code, NOT_READY) in said
        return Answer(_again(response, said), refused)

    async def sees(self, model: str) -> bool:
        """Whether the gateway counts a replica of the model as ready."""
        address = f"http://gateway/v1/models/{quote(model, safe='')}"
        try:
            answer = await self._client.get(address, timeout=_LOOK_S)
            return answer.status_code == 200 and answer.json().get("state") == "ready"
        except (httpx.TransportError, ValueError):
            return False

    async def close(self) -> None:
        await self._client.aclose()


def _passed(asked: Asked) -> list[tuple[bytes, bytes]]:
    """What the client said, without what holds for one connection, and without the gateway's own words."""
    return [
        (name, value)
        for name, value in asked.headers
        if name not in HOP | _NOT_OURS and not name.startswith(b"x-hostler-")
    ]


def _own(asked: Asked) -> list[tuple[bytes, bytes]]:
    """It must not come back to the holder; and for whom it is counted."""
    key = [(b"x-hostler-key", asked.key.encode("latin-1"))] if asked.key else []
    return [(b"x-hostler-woken", b"1"), *key]


def _again(response: httpx.Response, body: bytes) -> httpx.Response:
    """A response that was read, to be read once more."""

    async def parts() -> AsyncIterator[bytes]:
        yield body

    return httpx.Response(response.status_code, headers=response.headers.raw, content=parts())
