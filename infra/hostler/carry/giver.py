"""Answers hosts that ask for files of weights: GET with a range, those files alone, with this run's token.

The same paths as between hosts: /FOLDER/FILE, below /var/lib/hostler/models.
"""

from __future__ import annotations

import hmac
import http.client
import http.server
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from hostler.carry.origins import Body, Origin, Unavailable
from hostler.node.weights.serve import first_byte

STALL_S = 600.0  # how long a host may take nothing
TOLD = 1 << 20  # bytes of a file of which it is said that it is through
EVERY_S = 2.0  # between two lines of progress


class Giver:
    """`offers`: path -> file, by host; `tell` hears how far a file is, `say` what went through and what was not given. Safe to use from
    several threads."""

    def __init__(
        self,
        offers: Mapping[str, Mapping[str, Origin]],
        tell: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self._offers, self.tell, self.say = offers, tell, say
        self._told = 0.0
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, host: str, channel: Any) -> None:
        """One connection of a host."""
        _Handler(channel, host, self)

    def offered(self, host: str, path: str) -> Origin | None:
        return self._offers.get(host, {}).get(path)

    def refused(self, host: str, path: str, why: str) -> None:
        with self._lock:
            new = why not in self._warned
            self._warned.add(why)
        if new:
            self.say(f"warning: {host} asked for {path.rpartition('/')[2]}: {why}")

    def progress(self, host: str, origin: Origin, done: int, total: int) -> None:
        with self._lock:
            if time.monotonic() - self._told < EVERY_S:
                return
            self._told = time.monotonic()
        of = f" of {_size(total)}" if total > 0 else ""
        self.tell(f"{host}: {origin.name}: {_size(done)}{of} sent")

    def whole(self, host: str, origin: Origin, total: int) -> None:
        """Ansible shows nothing of a task that has a token."""
        if total >= TOLD:
            self.say(f"sent     {host}: {origin.name}: {_size(total)} from this machine")


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


class _BrokenOff(Exception):
    """The source gave no more, and why."""


def _read(body: Body) -> Iterator[bytes]:
    """Its chunks. What breaks on the source's side is told; the host's own channel may break in silence, for the host
    asks again. Raises _BrokenOff."""
    try:
        yield from body.chunks
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from error


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = STALL_S  # pyright: ignore[reportAssignmentType]

    def __init__(self, channel: Any, host: str, giver: Giver) -> None:
        self._host, self._giver = host, giver
        super().__init__(channel, ("", 0), None)  # type: ignore[arg-type] - it asks its server for nothing

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._giver.token}".encode()):
            self._refuse(401)
            return
        origin = self._giver.offered(self._host, path)
        if origin is None:
            self._refuse(404)
            return
        start = first_byte(self.headers.get("Range", ""))
        try:
            with origin.opened(start, self.headers.get("If-Range", "")) as body:
                self._give(origin, body)
        except Unavailable as error:
            self._giver.refused(self._host, path, str(error))
            self._refuse(error.status)

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _give(self, origin: Origin, body: Body) -> None:
        """An answer that breaks off early tells that no more of it comes now."""
        if 0 <= body.total <= body.start and body.start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{body.total}")
            self.send_header("Content-Length", "0")
        else:
            self.send_response(206 if body.start else 200)
            if body.start:
                self.send_header("Content-Range", f"bytes {body.start}-{body.total - 1}/{body.total}")
            if body.total >= 0:
                self.send_header("Content-Length", str(body.total - body.start))
            if body.tag:
                self.send_header("ETag", body.tag)
        self.send_header("Connection", "close")
        self.end_headers()
        done = body.start
        try:
            for chunk in _read(body):
                self.wfile.write(chunk)
                done += len(chunk)
                self._giver.progress(self._host, origin, done, body.total)
            if 0 <= body.total <= done:
                self._giver.whole(self._host, origin, done)
            elif body.total > done:
                raise _BrokenOff(f"it ended after {_size(done)} of {_size(body.total)}")
        except _BrokenOff as error:
            self._giver.refused(self._host, self.path, f"{origin.name} broke off: {error}")

    def log_message(self, format: str, *args: object) -> None:
        """The hosts say what came."""
