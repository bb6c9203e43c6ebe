"""A hub, a registry and a file server on loopback: answers from a table, and what was asked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INDEX = b'{"schemaVersion": 2, "manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Web:
    """`pages`: path without query -> (status, headers, body); a list answers one after the other.
    `asked`: (method, path with query, headers)."""

    base: str = ""
    pages: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    token: str = ""  # not empty: /v2/ wants it

    def count(self, method: str, path: str) -> int:
        return sum((m, p.partition("?")[0]) == (method, path) for m, p, _ in self.asked)

    def repo(
        self, name: str, files: dict[str, bytes], sizes: dict[str, int] | None = None, **more: Any
    ) -> None:
        """A repository of the hub; `sizes` where a file is larger than the bytes that are served."""
        siblings = [
            {"rfilename": file, "size": (sizes or {}).get(file, len(body)),
             "lfs": {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "pointerSize": 1}}
            for file, body in files.items()
        ]  # fmt: skip
        info = {"id": name, "sha": COMMIT, "siblings": siblings, "gated": False, "private": False, **more}
        for path in (f"/api/models/{name}", f"/api/models/{name}/revision/main"):
            self.pages[path] = (200, {"Content-Type": "application/json"}, json.dumps(info).encode())
        for file, body in files.items():
            self.pages[f"/{name}/resolve/{COMMIT}/{file}"] = (200, {}, body)

    def image(self, path: str, tag: str) -> None:
        self.pages[f"/v2/{path}/manifests/{tag}"] = (200, {"Docker-Content-Digest": DIGEST}, INDEX)


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            web.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            path = self.path.partition("?")[0]
            page = web.pages.get(path, (404, {}, b""))
            status, headers, body = (
                page.pop(0)
                if isinstance(page, list) and len(page) > 1
                else page[0]
                if isinstance(page, list)
                else page
            )
            if (
                web.token
                and path.startswith("/v2/")
                and self.headers.get("Authorization") != f"Bearer {web.token}"
            ):
                challenge = (
                    f'Bearer realm="{web.base}/token",service="registry.test",scope="repository:a/b:pull"'
                )
                status, headers, body = 401, {"WWW-Authenticate": challenge}, b""
            if status == 0:  # the connection breaks
                self.close_connection = True
                return
            span = self.headers.get("Range")
            if span and status == 200 and "No-Ranges" not in headers:
                first, last = span.removeprefix("bytes=").split("-")
                status, body = 206, body[int(first) : int(last) + 1]
            self._send(status, headers, body)

        do_HEAD = do_GET

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ARG002
            return

    return Handler


@contextmanager
def serve() -> Iterator[Web]:
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(web))
    server.daemon_threads = True
    web.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
