"""The page as an ASGI app. Whoever reaches it may read all of it: the gateway in front lets in admin keys only."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hostler import resources
from hostler.controller.page.metrics import Stack
from hostler.controller.page.source import Source

STATIC = Path(__file__).parent / "static"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
BEAT_S = 15.0  # proxies cut what is silent for longer than a minute
GAP_S = 1.0  # between two snapshots on one connection
RETRY_MS = 2000  # how soon a browser comes back
LATER_S = 5  # for what was not seen yet
# No script, style, picture or connection but our own, and no text that becomes HTML
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Page(FastAPI):
    """`stop` ends the streams, which else go on until their readers leave."""

    def __init__(self, source: Source) -> None:
        super().__init__(title="Hostler", docs_url=None, redoc_url=None, openapi_url=None)
        self.add_middleware(Headers)
        self.news = News(source)

    def stop(self) -> None:
        """In the event loop."""
        self.news.over.set()

    async def close(self) -> None:
        """It holds nothing."""


def app(source: Source) -> Page:
    """/hostler and what is below it."""
    made = Page(source)
    news = made.news
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Stack(source))

    @made.get("/hostler")
    @made.get("/hostler/")
    async def page() -> Response:  # pyright: ignore[reportUnusedFunction]
        return static("index.html")

    @made.get("/hostler/status.json")
    async def status() -> Response:  # pyright: ignore[reportUnusedFunction]
        text = news.text()
        if text is None:
            raise HTTPException(503, "nothing was seen yet", {"Retry-After": str(LATER_S)})
        return Response(text, media_type="application/json")

    @made.get("/hostler/events")
    async def events() -> Response:  # pyright: ignore[reportUnusedFunction]
        return StreamingResponse(stream(news), media_type="text/event-stream")

    @made.get("/hostler/metrics")
    async def metrics(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": kind})

    @made.get("/hostler/grafana.json")
    async def dashboard() -> Response:  # pyright: ignore[reportUnusedFunction]
        text = (resources.templates() / "grafana" / "hostler.json").read_bytes()
        attached = {"Content-Disposition": 'attachment; filename="hostler.json"'}
        return Response(text, media_type="application/json", headers=attached)

    @made.get("/hostler/static/{name}")
    async def file(name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return static(name)

    return made


class News:
    """The snapshot as text: the same for all who ask, written once for each version."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.over = asyncio.Event()
        self._written: tuple[int, str] | None = None

    async def changed(self, version: int, limit_s: float) -> bool:
        """Comes back when there is another version, or all is over: true; or when the time is up: false."""
        tasks = [asyncio.ensure_future(self.source.after(version)), asyncio.ensure_future(self.over.wait())]
        try:
            done, _ = await asyncio.wait(tasks, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
            return bool(done)
        finally:
            for one in tasks:
                one.cancel()

    def text(self) -> str | None:
        version = self.source.version()
        if self._written is None or self._written[0] != version:
            snapshot = self.source.snapshot()
            if snapshot is None:
                return None
            self._written = (version, json.dumps(snapshot, ensure_ascii=False, allow_nan=False))
        return self._written[1]


async def stream(news: News, beat_s: float = BEAT_S, gap_s: float = GAP_S) -> AsyncIterator[str]:
    """Server-sent events: `snapshot` when there is another one, and `beat` (a comment is not told to scripts), with
    this machine's clock, by which a page knows how old the snapshot is."""
    yield f"retry: {RETRY_MS}\n\n"
    while not news.over.is_set():
        version = news.source.version()
        text = news.text()
        yield _beat()
        if text is not None:
            yield f"event: snapshot\nid: {version}\ndata: {text}\n\n"
            await asyncio.sleep(gap_s)
        while not await news.changed(version, beat_s):
            yield ": still here\n\n" + _beat()


def _beat() -> str:
    return f"event: beat\ndata: {time.time():.3f}\n\n"


def static(name: str) -> Response:
    """One of our own files, and nothing else on this machine."""
    if name not in files():
        raise HTTPException(404, "there is no such file")
    return Response(files()[name], media_type=KINDS[Path(name).suffix])


@cache
def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in KINDS}


class Headers:
    """Puts HEADERS on each answer, and lets streams pass as they are."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.inner(scope, receive, told)
