"""A web server for downloads: it cuts, ignores ranges, redirects, asks for a token."""

import hashlib
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from .servers import Handler, Server, serving

CONTENT = random.Random(7).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Web:
    """What it does to the next requests, and what it was asked."""

    port: int = 0
    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)  # bytes after which an answer breaks off
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    etag: str = '"v1"'
    chunked: bool = False  # says no length, and sends what it has
    redirect: str = ""
    gate: threading.Event | None = None  # the second half of a file comes when it is set
    asked: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str = "/model.gguf") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, request: Handler) -> None:
        request.close_connection = True
        self.asked.append({k.lower(): v for k, v in request.headers.items()})
        if self.statuses:
            return request.say(self.statuses.pop(0), b"no")
        if self.redirect:
            request.send_response(302)
            request.send_header("Location", self.redirect)
            request.send_header("Content-Length", "0")
            return request.end_headers()
        return self.file(request)

    def file(self, request: Handler) -> None:
        start = 0
        asked, condition = request.headers.get("Range"), request.headers.get("If-Range")
        if asked and self.ranges and condition in (None, self.etag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start and start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.send_header("Content-Length", "0")
            return request.end_headers()
        rest = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.chunked:
            request.send_header("Transfer-Encoding", "chunked")
            rest = b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest)
        else:
            request.send_header("Content-Length", str(len(rest)))
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        sent = rest[: self.cuts.pop(0)] if self.cuts else rest
        with suppress(ConnectionError):
            request.wfile.write(sent[: len(sent) // 2])
        if self.gate is not None:
            self.gate.wait(10)
        with suppress(ConnectionError):  # nobody waits for it any more
            request.wfile.write(sent[len(sent) // 2 :])
        return None


@contextmanager
def web() -> Generator[Web, None, None]:
    site = Web()

    class Site(Handler):
        def answer(self) -> None:
            site.answer(self)

    server = Server(("127.0.0.1", 0), Site)
    site.port = server.server_address[1]
    serving(server)
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
