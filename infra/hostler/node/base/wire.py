"""HTTP to what is on this machine: a unix socket (its path) or a port on loopback (its number)."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from typing import Any, Generator, Mapping, NamedTuple, Optional, Union

from . import files
from .protocol import STEP

Where = Union[str, int]
LOOPBACK = "127.0.0.1"
LONGEST = 4 << 20  # bytes of an engine's answer: it is not ours, and what reads it is root
# A line of a page of metrics: its name, without labels, and its value.
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})?\s+([0-9.eE+-]+)", re.MULTILINE)


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The parsed body; None when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over AF_UNIX."""

    def __init__(self, path: str, timeout: Optional[float]) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = unix_socket(self._path, self.timeout)


def unix_socket(path: str, timeout: Optional[float]) -> socket.socket:
    """A connected stream socket; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(files.at(path))
    except OSError:
        sock.close()
        raise
    return sock


def connection(where: Where, timeout: Optional[float]) -> http.client.HTTPConnection:
    if isinstance(where, int):
        return http.client.HTTPConnection(LOOPBACK, where, timeout=timeout)
    return UnixConnection(where, timeout)


@contextlib.contextmanager
def opened(
    where: Where,
    method: str,
    path: str,
    body: Any = None,
    timeout: Optional[float] = 10.0,
    headers: Optional[Mapping[str, str]] = None,
) -> Generator[http.client.HTTPResponse, None, None]:
    """An answer whose body is still to be read; `body` is bytes, or a value that is sent as JSON.

    Whatever goes wrong on the wire is an OSError. `timeout` is for each read, in seconds; None waits for ever.
    """
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if content is not None else {}
    wire = connection(where, timeout)
    try:
        wire.request(method, path, content, {**kind, **(headers or {})})
        with contextlib.closing(
            wire.getresponse()
        ) as response:  # one that ends with its answer has passed its socket on
            yield response
    except http.client.HTTPException as error:
        raise ConnectionError("%s %s: %s" % (method, path, error or type(error).__name__)) from error
    finally:
        wire.close()


def ask(
    where: Where,
    method: str,
    path: str,
    body: Any = None,
    timeout: Optional[float] = 10.0,
    headers: Optional[Mapping[str, str]] = None,
    longest: int = LONGEST,
) -> Answer:
    """One question, the whole answer; raises OSError, for one of more than `longest` bytes too."""
    with opened(where, method, path, body, timeout, headers) as response:
        content = _whole(response, longest)
        if content is None:
            raise ConnectionError("%s %s: expected at most %d bytes; got more" % (method, path, longest))
        return Answer(response.status, content, {k.lower(): v for k, v in response.getheaders()})


def _whole(response: http.client.HTTPResponse, longest: int) -> Optional[bytes]:
    """None: it is longer. Raises IncompleteRead for one that breaks off."""
    content = bytearray()
    while True:
        piece = response.read(STEP)
        content += piece
        if len(content) > longest:
            return None
        if not piece:
            break
    if response.length:
        raise http.client.IncompleteRead(bytes(content), response.length)
    return bytes(content)


def get(where: Where, path: str, timeout: float = 5.0) -> Optional[Answer]:
    """The answer to a GET, None when nothing answers in time."""
    try:
        return ask(where, "GET", path, timeout=timeout)
    except OSError:
        return None
