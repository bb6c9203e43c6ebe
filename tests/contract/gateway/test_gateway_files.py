"""Weights from host to host: the edge lets neighbours in for files, and for nothing else."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.gateway.rig import Proxy, Rig, certificate
from hostler.gateway import render
from hostler.gateway.specs import EdgeSpec
from hostler.manifest.items import File
from hostler.node.base import files
from hostler.node.weights import serve, store
from worlds.ports import free_port

WEIGHTS = b"weights" * 1_000_000


class Hosts:
    """gpu-1 is the gateway's host, gpu-2 serves chat-0; both and gpu-3 share a file, which gpu-2 has."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rig, self.port = rig, free_port()
        rig.make("gateway", "gpu-1")
        for host in ("gpu-1", "gpu-2", "gpu-3"):
            rig.make("edge", host)
        route = rig.route("chat-0", host="gpu-2", edge_address="127.0.0.1", edge_port=self.port)
        self.spec = self.shared(rig.edge_spec("gpu-2", self.port, route), "gpu-1", "gpu-3")
        self.edge = rig.edge(self.spec)
        monkeypatch.setattr(files, "root", str(rig.folder / "weights"))
        files.write(files.MODELS + "/m/model.gguf", WEIGHTS)
        self.known = store.write_sidecar(files.MODELS + "/m/model.gguf", "c" * 64, "https://x/y")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.spec.paths.run}/files.sock")
        self.listener.listen()
        threading.Thread(target=self.give, daemon=True).start()

    def shared(self, spec: EdgeSpec, *neighbours: str) -> EdgeSpec:
        from dataclasses import replace

        Path(spec.sharing).mkdir(exist_ok=True)
        return replace(spec, neighbours=dict.fromkeys(neighbours))

    def give(self) -> None:
        """As systemd does it."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    serve.answer(connection)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def pair(self, host: str, name: str = "edge") -> str:
        return str(self.rig.folder / host / "tls" / name)

    def ask(self, name: str, pair: str, path: str = "/m/model.gguf", port: int = 0) -> tuple[bytes, bytes]:
        """Head and body of what one who has this certificate hears."""
        where = f"127.0.0.1:{port or self.port}"
        own = ["-cert", f"{pair}.crt", "-key", f"{pair}.key"]
        words = ["openssl", "s_client", "-connect", where, "-servername", name, "-quiet", *own]
        request = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
        answer = subprocess.run(words, input=request, capture_output=True, timeout=20, check=False).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        return head, body


@pytest.fixture
def hosts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    made = Hosts(rig, monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize("host", ["gpu-1", "gpu-3"])
def test_a_neighbour_gets_the_file_whole(hosts: Hosts, host: str) -> None:
    head, body = hosts.ask("files.gpu-2", hosts.pair(host))
    assert head.startswith(b"HTTP/1.1 200")
    assert b'"' + b"c" * 64 + b'"' in head
    assert body == WEIGHTS


def test_the_gateway_still_gets_its_replica(hosts: Hosts) -> None:
    head, body = hosts.ask("chat-0.gpu-2", hosts.pair("gpu-1", "gateway"), "/health")
    assert head.startswith(b"HTTP/1.1 200")
    assert b'"served"' in body


def test_a_neighbour_gets_no_replica(hosts: Hosts) -> None:
    """Not even one that calls itself the gateway's host: it is known by its certificate, not by a name."""
    assert hosts.ask("chat-0.gpu-2", hosts.pair("gpu-3"), "/health") == (b"", b"")
    certificate(Path(hosts.pair("gpu-3")).parent, "edge", "gpu-1")
    hosts.rig.write(edge_files(hosts))
    hosts.edge.reload()
    assert hosts.ask("files.gpu-2", hosts.pair("gpu-3"))[1] == WEIGHTS
    assert hosts.ask("chat-0.gpu-2", hosts.pair("gpu-3"), "/health") == (b"", b"")


def edge_files(hosts: Hosts) -> tuple[File, ...]:
    return render.edge_files(hosts.spec)


def test_a_session_of_files_does_not_become_one_of_a_replica(hosts: Hosts, tmp_path: Path) -> None:
    """A session that is resumed under another name is judged anew, by the certificate that began it."""
    session, pair = tmp_path / "session", hosts.pair("gpu-3")
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{hosts.port}", "-cert", f"{pair}.crt"]
    words += ["-key", f"{pair}.key", "-quiet"]
    request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    first = [*words, "-servername", "files.gpu-2", "-sess_out", str(session)]
    assert b"404" in subprocess.run(first, input=request, capture_output=True, timeout=20).stdout
    assert session.stat().st_size
    again = [*words, "-servername", "chat-0.gpu-2", "-sess_in", str(session)]
    assert subprocess.run(again, input=request, capture_output=True, timeout=20).stdout == b""


def test_a_stranger_gets_nothing(hosts: Hosts, tmp_path: Path) -> None:
    certificate(tmp_path, "edge", "gpu-3")
    assert hosts.ask("files.gpu-2", str(tmp_path / "edge")) == (b"", b"")
    assert hosts.ask("files.gpu-9", hosts.pair("gpu-3")) == (b"", b"")


def test_the_gateways_own_host_gives_files_and_nothing_else(hosts: Hosts) -> None:
    port = free_port()
    hosts.rig.ports = type(hosts.rig.ports)(
        gateway_metrics=free_port(), edge_metrics=free_port(), health=free_port()
    )
    spec = hosts.shared(hosts.rig.edge_spec("gpu-1", port), "gpu-2")
    edge: Proxy = hosts.rig.edge(spec)
    assert b"503" in hosts.ask("files.gpu-1", hosts.pair("gpu-2"), port=port)[0], "nothing listens behind it"
    assert hosts.ask("chat-0.gpu-1", hosts.pair("gpu-2"), port=port) == (b"", b"")
    assert hosts.ask("files.gpu-1", hosts.pair("gpu-3"), port=port) == (b"", b"")
    assert edge.process.poll() is None
