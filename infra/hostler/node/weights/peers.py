"""A file of weights from other hosts of the stack, through their edges: mutual TLS, each side pinned by content.

Peers stand nearest first. All that have it are asked until it is whole; what has come from one is gone on with from
the next. Nobody is waited for without end: WAIT_S without a byte, and the outside address is the better one.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from typing import Any, BinaryIO, Dict, List, Set, Tuple
from urllib.parse import quote

from ..base import files
from ..base.protocol import Request, as_dict
from . import download, transfer
from .transfer import Peer, Progress, Wish

SHARING = "/etc/hostler/tls/sharing"  # <host>.crt: who may ask here, and who is asked
OWN = files.TLS + "/edge"  # .crt, .key
SERVER = "files."  # and the host: what its edge is asked for (SNI)
CONNECT_S = 5.0
STALL_S = 30.0  # without a byte: the next peer
WAIT_S = 30.0  # without a byte from anybody: outside
PATIENCE_S = 3.0  # in which the nearest may begin; asking another one would make two ask that
PAUSE = 0.5


class Away(Exception):
    """This peer does not give it now."""


class NotThere(Away):
    """It answers, and has nothing of the file yet."""


class Nobody(Exception):
    """No peer gave the file; each one's reason."""


def named(request: Request) -> Tuple[Peer, ...]:
    rows: List[Any] = request.get("peers") or []
    found = (as_dict(row) for row in rows)
    return tuple(Peer(str(row["host"]), str(row["address"]), int(row["port"])) for row in found)


def may_ask(peers: Tuple[Peer, ...]) -> bool:
    """Whether this host has a certificate by now, and knows one of them by its own."""
    return os.path.exists(files.at(OWN + ".key")) and any(os.path.exists(files.at(pin(p))) for p in peers)


def pin(peer: Peer) -> str:
    return "%s/%s.crt" % (SHARING, peer.host)


def copied(wish: Wish, part: BinaryIO, progress: Progress) -> str:
    """The host that gave the last of it: the part is whole and right then. Raises Nobody; what has come stays."""
    asking = _Asking(wish, part, progress)
    while True:
        host = asking.round()
        if host:
            return host
        if asking.over():
            raise Nobody("; ".join("%s: %s" % row for row in sorted(asking.why.items())))
        progress.at(transfer.size_of(part), waiting=True)
        time.sleep(PAUSE)


class _Asking:
    """Peers, what each said last, and since when nothing has come."""

    def __init__(self, wish: Wish, part: BinaryIO, progress: Progress) -> None:
        self.wish, self.part, self.progress = wish, part, progress
        self.why: Dict[str, str] = {}
        self.wrong: Set[str] = set()
        self.by = ""  # who gave all that is here; empty: several, or it was here before
        self.began = self.heard = time.monotonic()

    def round(self) -> str:
        """Each peer once, until one gives something; its name when the file is whole."""
        for peer in self.wish.peers:
            if peer.host in self.wrong:
                continue
            before = transfer.size_of(self.part)
            self.by = peer.host if before == 0 or self.by == peer.host else ""
            try:
                if self._right(peer, self._received(peer)):
                    return peer.host
            except (Away, download.Broken) as error:
                self.why[peer.host] = str(error)
                if isinstance(error, NotThere) and time.monotonic() - self.began < PATIENCE_S:
                    return ""
            if transfer.size_of(self.part) > before:
                self.heard = time.monotonic() - min(_idle(self.part), STALL_S)
                return ""
        return ""

    def over(self) -> bool:
        return len(self.wrong) == len(self.wish.peers) or time.monotonic() - self.heard > WAIT_S

    def _received(self, peer: Peer) -> str:
        have = transfer.size_of(self.part)
        if self.wish.size and have > self.wish.size:
            have = transfer.start_over(self.part, self.wish)
        source = opened(peer, self.wish.path, have)
        try:
            if self.wish.size and source.size != self.wish.size:
                raise Away("offers %d bytes, not %d" % (source.size, self.wish.size))
            return transfer.received(self.wish, self.part, source._replace(validator=""), have, self.progress)
        finally:
            source.connection.close()

    def _right(self, peer: Peer, digest: str) -> bool:
        """By the release's checksum, else by that of the host that gave it."""
        if digest == (self.wish.sha256 or told(peer, self.wish.path)):
            transfer.keep_digest(self.wish, self.part, digest)
            return True
        if self.by == peer.host:  # else the beginning may be to blame, which came from elsewhere
            self.wrong.add(peer.host)
            self.why[peer.host] = "gave other bytes (SHA-256 %s)" % digest[:12]
        transfer.start_over(self.part, self.wish)
        self.heard = time.monotonic()  # it takes as long again
        return False


def _idle(part: BinaryIO) -> float:
    """Seconds since a byte came."""
    return max(time.time() - os.fstat(part.fileno()).st_mtime, 0.0)


def told(peer: Peer, path: str) -> str:
    """The SHA-256 that a peer found; it may be about to write it down."""
    until = time.monotonic() + STALL_S
    while True:
        source = opened(peer, path, 0, "HEAD")
        source.connection.close()
        if source.validator:
            return source.validator
        if time.monotonic() > until:
            raise Away("does not tell the file's checksum")
        time.sleep(PAUSE)


def opened(peer: Peer, path: str, start: int, method: str = "GET") -> download.Source:
    """The file from `start` on, its SHA-256 as validator where it is known. Raises Away."""
    connection = _Connection(peer)
    headers = {"Range": "bytes=%d-" % start} if start else {}
    try:
        connection.request(method, quote(path[len(files.MODELS) :]), headers=headers)
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Away(_reason(error)) from error
    if response.status not in (200, 206, 416):
        connection.close()
        raise NotThere("has nothing of it" if response.status == 404 else "HTTP %d" % response.status)
    begins, size = download.extent(response)
    validator = (response.getheader("ETag") or "").strip('"')
    return download.Source(response, connection, response.status, begins, size, validator)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "has another certificate"
    if isinstance(error, socket.timeout):
        return "does not answer"
    return str(getattr(error, "strerror", "") or error or type(error).__name__)


class _Connection(http.client.HTTPSConnection):
    """To an edge: the address for the network, the name for the door, its certificate for the trust."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer.address, peer.port, timeout=CONNECT_S)
        self._peer = peer

    def connect(self) -> None:
        pem = files.read(pin(self._peer))
        if pem is None:
            raise OSError(0, "its certificate is not known here yet")
        plain = socket.create_connection((self._peer.address, self._peer.port), CONNECT_S)
        try:
            self.sock = context(pem.decode("ascii")).wrap_socket(
                plain, server_hostname=SERVER + self._peer.host
            )
            if self.sock.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(pem.decode("ascii")):
                raise OSError(0, "has another certificate")
            self.sock.settimeout(STALL_S)
        except BaseException:
            plain.close()
            raise


def context(pem: str) -> ssl.SSLContext:
    """Trusts this one certificate. By content, not by name: OpenSSL matches no wildcard below a single label."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(cadata=pem)
    made.load_cert_chain(files.at(OWN + ".crt"), files.at(OWN + ".key"))
    return made
