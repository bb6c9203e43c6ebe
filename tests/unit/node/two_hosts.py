"""Two hosts that share weights: this process gives, another one asks; between them an edge, outside a web server."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.weights import fetch, peers, serve

from .fakes import Heard
from .web import CONTENT, SHA256, Web, web

PATH = files.MODELS + "/m/model.gguf"
WAIT_S = 1.5

RECEIVER = """
import sys
sys.path.insert(0, {infra!r})
from hostler.node.__main__ import main
from hostler.node.base import files
from hostler.node.weights import peers, transfer
files.root = {root!r}
peers.WAIT_S, peers.PATIENCE_S, peers.PAUSE, transfer.EVERY_S = {wait}, 0.2, 0.05, 0.0
sys.exit(main(["fetch", "-"]))
"""


def certificate(folder: Path, name: str = "edge", host: str = "gpu-1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host},DNS:*.{host}"]
    out = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
    subprocess.run([*new, *names, *out], check=True, capture_output=True)
    return folder / f"{name}.crt"


@dataclass
class Edge:
    """An edge in front of `serve` on this process's host: mutual TLS, and faults."""

    tls: Path  # its own pair, edge.crt and edge.key
    knows: Path  # whom it lets in
    cut: int = 0  # bytes after which it breaks off, once
    gone: bool = False  # after that it is away
    says: bytes = b""  # instead of an answer, once; then it is away
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                threading.Thread(target=self.handle, args=(plain,), daemon=True).start()

    def handle(self, plain: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls / "edge.crt", self.tls / "edge.key")
        context.load_verify_locations(self.knows)
        context.verify_mode = ssl.CERT_REQUIRED
        context.sni_callback = lambda _sock, name, _context: self.asked.append(name)
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            if self.says:
                connection.recv(65536)
                self.close()
                connection.sendall(self.says)
            elif self.cut:
                self.broken(connection)
            else:
                serve.answer(connection)

    def broken(self, connection: ssl.SSLSocket) -> None:
        """So many bytes of the answer, and no more."""
        mine, theirs = socket.socketpair()
        with mine, theirs:
            request = connection.recv(65536)
            mine.sendall(request)
            threading.Thread(target=serve.answer, args=(theirs,), daemon=True).start()
            left, self.cut = self.cut, 0
            if self.gone:
                self.close()
            while left > 0 and (data := mine.recv(min(left, 65536))):
                connection.sendall(data)
                left -= len(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Receiver:
    """Another host: the agent as a process of its own, on a root of its own."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root / name, name
        self.tls = self.root / "etc/hostler/tls"
        self.certificate = certificate(self.tls, host=name)
        (self.tls / "sharing").mkdir()
        (self.root / files.MODELS[1:] / "m").mkdir(parents=True)
        self.program = self.root / "agent.py"
        infra = str(Path(peers.__file__).parents[3])
        self.program.write_text(RECEIVER.format(infra=infra, root=str(self.root), wait=WAIT_S))

    @property
    def path(self) -> Path:
        return self.root / PATH[1:]

    def knows(self, host: str, pem: Path) -> None:
        (self.tls / "sharing" / f"{host}.crt").write_bytes(pem.read_bytes())

    def begin(self, **request: Any) -> subprocess.Popen[bytes]:
        asked = {"path": PATH, "sha256": SHA256, "size": len(CONTENT), **request}
        process = subprocess.Popen(
            [sys.executable, "-S", str(self.program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.close()
        process.stdin = None
        return process

    def fetched(self, **request: Any) -> dict[str, Any]:
        return said(self.begin(**request))

    def whole(self) -> bool:
        return self.path.read_bytes() == CONTENT


def said(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=30)
    return {"rc": process.returncode, **json.loads(out.splitlines()[-1])}


@dataclass
class Scene:
    """gpu-1 is this process; gpu-2 asks it; outside is a web server."""

    root: Path
    edge: Edge
    other: Receiver
    site: Web

    @property
    def peer(self) -> dict[str, Any]:
        return {"host": "gpu-1", "address": "127.0.0.1", "port": self.edge.port}

    def has(self) -> None:
        """gpu-1 fetches the file."""
        asked = {"url": self.site.url(), "path": PATH, "sha256": SHA256, "size": len(CONTENT)}
        fetch.fetch({"op": "fetch", **asked}, Heard())
        self.site.asked.clear()

    def fetched(self, **request: Any) -> dict[str, Any]:
        return self.other.fetched(**{"url": self.site.url(), "peers": [self.peer], **request})


@pytest.fixture
def scene(short_root: Path, quick: None) -> Generator[Scene, None, None]:
    other = Receiver(short_root, "gpu-2")
    own = certificate(short_root / "etc/hostler/tls")
    other.knows("gpu-1", own)
    edge = Edge(tls=own.parent, knows=other.certificate)
    with web() as site:
        yield Scene(short_root, edge, other, site)
    edge.close()
