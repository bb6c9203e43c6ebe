"""What an engine answers: whole, and no more of it than an answer needs."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from hostler.node.base import wire

LONGEST = 100_000
ANSWERS = {  # path: headers, what is sent
    "/whole": ({"Content-Length": "5"}, b"hello"),
    "/most": ({"Content-Length": str(LONGEST)}, b"x" * LONGEST),
    "/more": ({"Content-Length": str(LONGEST + 1)}, b"x" * (LONGEST + 1)),
    "/until-it-ends": ({}, b"hello"),
    "/without-end": ({}, b"x" * 20 * LONGEST),
    "/flood": ({}, b"x" * (wire.LONGEST + 1)),
    "/chunks": ({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n"),
    "/many-chunks": ({"Transfer-Encoding": "chunked"}, (b"c350\r\n" + b"x" * 50_000 + b"\r\n") * 40),
    "/broken-off": ({"Content-Length": "500"}, b"hello"),
    "/broken-chunk": ({"Transfer-Encoding": "chunked"}, b"ff\r\nhello"),
    "/nothing": ({"Content-Length": "0"}, b""),
}


class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        headers, content = ANSWERS[self.path]
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("path", ["/whole", "/most", "/until-it-ends", "/chunks", "/nothing"])
def test_an_answer_is_whole(port: int, path: str) -> None:
    answer = wire.ask(port, "GET", path, longest=LONGEST)
    assert answer.body == {"/most": b"x" * LONGEST, "/nothing": b""}.get(path, b"hello")


@pytest.mark.parametrize("path", ["/more", "/without-end", "/many-chunks"])
def test_one_that_is_too_long_is_refused(port: int, path: str) -> None:
    with pytest.raises(OSError, match=f"GET {path}: expected at most {LONGEST} bytes; got more"):
        wire.ask(port, "GET", path, longest=LONGEST)


def test_an_engine_has_a_limit_that_nobody_names(port: int) -> None:
    assert wire.get(port, "/flood") is None
    assert wire.get(port, "/without-end") is not None


@pytest.mark.parametrize("path", ["/broken-off", "/broken-chunk"])
def test_one_that_breaks_off_is_none(port: int, path: str) -> None:
    with pytest.raises(ConnectionError):
        wire.ask(port, "GET", path)
