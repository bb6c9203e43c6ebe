"""Files of weights for other hosts of the stack. The edge lets in whom it knows; systemd starts this for each connection.

GET or HEAD /FOLDER/FILE: what lies below /var/lib/hostler/models and was checked, its SHA-256 as ETag; or, while a
process here fetches it, as much as has come, and the answer grows with the file. The receiver checks what it gets.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.server
import os
import socket
import time
from typing import BinaryIO, NamedTuple, Optional
from urllib.parse import unquote

from ..base import files, instances
from ..base.protocol import Answers, NodeError, Request, as_dict
from . import store

UNIT = "hostler-files.socket"
FILES = tuple("/etc/systemd/system/" + name for name in (UNIT, "hostler-files@.service"))
PAUSE = 0.05  # between two looks at a file that grows
STALL_S = 600.0  # how long a receiver may take nothing


def keep(wanted: bool) -> bool:
    """Whether systemd listens for the edge, now and after a boot; says whether that changed. Raises NodeError."""
    changed = instances.linked(UNIT, FILES[0], wanted)
    listens = instances.systemctl("is-active", UNIT).stdout.strip() == "active"
    if listens == wanted:
        return changed
    result = instances.systemctl("start" if wanted else "stop", UNIT)
    if wanted and not result.ok:
        raise NodeError("unit", "%s: %s" % (UNIT, result.why), "systemctl status " + UNIT)
    return True


class Offer(NamedTuple):
    """An open file, the size that it has or will have, and its SHA-256, empty until it is whole."""

    file: BinaryIO
    total: int
    sha256: str


def serve(_request: Request, _answers: Answers) -> int:
    """`serve`: one question on standard input, which is the connection; its answer is the file, and nothing else."""
    with socket.socket(fileno=os.dup(0)) as connection:
        answer(connection)
    return 0


def answer(connection: socket.socket) -> None:
    """One question, one answer. A receiver that goes away, or takes nothing any more, ends it."""
    with contextlib.suppress(ConnectionError, socket.timeout):
        Handler(connection, ("", 0), None)  # type: ignore[arg-type] - it asks its server for nothing


def offered(path: str) -> Optional[Offer]:
    """What can be given of a file of weights now; None: neither whole nor on its way."""
    known = store.sidecar(path)
    try:
        if known is not None:
            return Offer(open(files.at(path), "rb"), int(known["size"]), str(known["sha256"]))
        part = open(files.at(path) + ".part", "rb")  # noqa: SIM115 - as above
    except FileNotFoundError:
        return None
    total = as_dict(files.read_json(path + ".part" + files.BESIDE)).get("size", 0)
    if total > 0 and is_fetched(part):
        return Offer(part, total, "")
    part.close()
    return None


def is_fetched(part: BinaryIO) -> bool:
    """Whether a process is at work on a partial file: it holds its lock."""
    try:
        fcntl.flock(part, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(part, fcntl.LOCK_UN)
    return False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = STALL_S  # pyright: ignore[reportAssignmentType]

    def do_GET(self) -> None:
        path = inside(self.path)
        offer = offered(path) if path else None
        if offer is None:
            self._head(404, 0)
            return
        with offer.file:
            start = first_byte(self.headers.get("Range", ""))
            if start and start >= offer.total:
                self._head(416, 0, content_range="bytes */%d" % offer.total)
                return
            span = "bytes %d-%d/%d" % (start, offer.total - 1, offer.total) if start else ""
            self._head(206 if start else 200, offer.total - start, offer.sha256, span)
            if self.command == "GET":
                self._send(offer, start)

    do_HEAD = do_GET

    def _head(self, status: int, length: int, sha256: str = "", content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        if sha256:
            self.send_header("ETag", '"%s"' % sha256)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def _send(self, offer: Offer, at: int) -> None:
        """To the end; an answer that breaks off early tells that no more of it comes."""
        self.wfile.flush()
        while at < offer.total:
            have = min(os.fstat(offer.file.fileno()).st_size, offer.total)
            if have > at:
                at += self.connection.sendfile(offer.file, at, have - at)
            elif have < at or not is_fetched(offer.file):
                return
            else:
                time.sleep(PAUSE)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def inside(target: str) -> str:
    """The path below the folder of weights; empty for what leads out of it."""
    words = unquote(target.partition("?")[0]).split("/")[1:]
    good = all(word and not word.startswith(".") and "\0" not in word for word in words)
    return "/".join((files.MODELS, *words)) if good and words else ""


def first_byte(wanted: str) -> int:
    """Of `bytes=N-`; 0 for anything else, which is answered whole."""
    number = wanted.partition("=")[2].rstrip("-")
    return int(number) if wanted.startswith("bytes=") and wanted.endswith("-") and number.isdigit() else 0
