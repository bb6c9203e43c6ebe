"""Weights from host to host: whole files, files that grow, peers that break off, lie, or are somebody else's."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hostler.node import fetch, files, peers, serve

from .fakes import Heard, until
from .web import CONTENT, SHA256, Web, web

PATH = files.MODELS + "/m/model.gguf"
WAIT_S = 1.5

RECEIVER = """
import sys
sys.path.insert(0, {infra!r})
from hostler.node import files, peers, transfer
from hostler.node.__main__ import main
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
            if self.cut:
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
        infra = str(Path(peers.__file__).parents[2])
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


def test_a_whole_file_comes_from_the_peer(scene: Scene) -> None:
    scene.has()
    done = scene.fetched()
    assert (done["rc"], done["changed"], done["why"]) == (0, True, "from gpu-1")
    assert scene.other.whole()
    assert scene.site.asked == []
    assert scene.edge.asked == ["files.gpu-1"]
    assert sorted(os.listdir(scene.other.path.parent)) == ["model.gguf", "model.gguf.hostler"]
    assert scene.fetched()["changed"] is False


def test_what_is_here_already_is_not_copied_again(scene: Scene) -> None:
    scene.has()
    scene.other.path.with_name("model.gguf.part").write_bytes(CONTENT[:2_000_000])
    scene.edge.cut = len(CONTENT) - 2_000_000 + 4096  # would break off if more were asked for
    assert scene.fetched()["why"] == "from gpu-1"
    assert scene.other.whole()
    assert len(scene.edge.asked) == 1


def test_a_wrong_beginning_is_not_the_peers_fault(scene: Scene) -> None:
    scene.has()
    scene.other.path.with_name("model.gguf.part").write_bytes(b"x" * 1000)
    assert scene.fetched()["why"] == "from gpu-1"
    assert scene.other.whole()
    assert scene.site.asked == []


def test_a_file_that_still_comes_is_followed(scene: Scene) -> None:
    """Only one goes over the outside line, and the other has it as soon as it has."""
    scene.site.gate = threading.Event()
    first = threading.Thread(target=scene.has)
    first.start()
    part = Path(files.at(PATH + ".part"))
    until(lambda: part.exists() and part.stat().st_size >= 1 << 20, "the first half is there")
    follower = scene.other.begin(url=scene.site.url(), peers=[scene.peer])
    copy = scene.other.path.with_name("model.gguf.part")
    until(lambda: copy.exists() and copy.stat().st_size >= 1 << 20, "it follows")
    assert len(scene.site.asked) == 1
    scene.site.gate.set()
    done = said(follower)
    first.join(10)
    assert (done["rc"], done["why"]) == (0, "from gpu-1")
    assert scene.other.whole()


def test_a_download_that_ends_early_lets_its_followers_go(scene: Scene) -> None:
    part = Path(files.at(PATH + ".part"))
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[: 2 << 20])
    files.write_json(PATH + ".part.hostler", {"size": len(CONTENT)})
    import fcntl

    with part.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        follower = scene.other.begin(url=scene.site.url(), peers=[scene.peer])
        copy = scene.other.path.with_name("model.gguf.part")
        until(lambda: copy.exists() and copy.stat().st_size == 2 << 20, "it follows")
    done = said(follower)
    assert done["why"] == "from 127.0.0.1 (gpu-1: has nothing of it)"
    assert scene.other.whole()
    assert scene.site.asked[0]["range"] == f"bytes={2 << 20}-"


def test_a_peer_that_dies_in_the_middle_is_replaced_by_outside(scene: Scene) -> None:
    scene.has()
    scene.edge.cut, scene.edge.gone = 1_500_000, True
    done = scene.fetched()
    assert (done["rc"], done["why"]) == (0, "from 127.0.0.1 (gpu-1: Connection refused)")
    assert scene.other.whole()
    assert int(scene.site.asked[0]["range"].removeprefix("bytes=").rstrip("-")) > 1_400_000


def test_the_next_peer_goes_on_where_one_broke_off(scene: Scene) -> None:
    scene.has()
    scene.edge.cut, scene.edge.gone = 1_500_000, True
    second = Edge(tls=scene.edge.tls, knows=scene.other.certificate)
    scene.other.knows("gpu-3", scene.edge.tls / "edge.crt")
    both = [scene.peer, {"host": "gpu-3", "address": "127.0.0.1", "port": second.port}]
    assert scene.fetched(peers=both)["why"] == "from gpu-3"
    assert scene.other.whole()
    assert scene.site.asked == []
    second.close()


def test_who_has_nothing_is_not_waited_for_without_end(scene: Scene) -> None:
    done = scene.fetched()
    assert done["why"] == "from 127.0.0.1 (gpu-1: has nothing of it)"
    assert scene.other.whole()


def test_wrong_bytes_of_a_peer_are_not_kept(scene: Scene) -> None:
    wrong = b"x" * len(CONTENT)
    files.write(PATH, wrong)
    files.write_json(PATH + ".hostler", {"sha256": SHA256, "size": len(CONTENT)})
    done = scene.fetched()
    assert "gpu-1: gave other bytes" in done["why"]
    assert scene.other.whole()
    assert "range" not in scene.site.asked[0]


def test_without_a_checksum_the_peers_word_holds(scene: Scene) -> None:
    scene.has()
    done = scene.fetched(sha256="", size=0)
    assert (done["sha256"], done["why"]) == (SHA256, "from gpu-1")
    assert scene.other.whole()


def test_without_a_checksum_other_bytes_than_the_peer_says_are_not_kept(scene: Scene) -> None:
    files.write(PATH, b"x" * len(CONTENT))
    files.write_json(PATH + ".hostler", {"sha256": SHA256, "size": len(CONTENT)})
    assert "gave other bytes" in scene.fetched(sha256="", size=0)["why"]
    assert scene.other.whole()


def test_a_gated_file_without_its_token_is_not_asked_for_outside(scene: Scene) -> None:
    done = scene.fetched(secret="HF_TOKEN")
    assert (done["rc"], done["error"]) == (fetch.NOBODY, "peers")
    assert scene.site.asked == []
    done = scene.fetched(secret="HF_TOKEN", token="hf_abc", peers=[])
    assert scene.other.whole()
    assert scene.site.asked[0]["authorization"] == "Bearer hf_abc"


def test_one_with_another_certificate_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    scene.has()
    scene.other.knows("gpu-1", certificate(tmp_path))  # the same names
    assert scene.fetched()["why"] == "from 127.0.0.1 (gpu-1: has another certificate)"


def test_one_whose_certificate_is_not_here_is_not_asked(scene: Scene) -> None:
    scene.has()
    (scene.other.tls / "sharing/gpu-1.crt").unlink()
    assert "its certificate is not known here yet" in scene.fetched()["why"]


def test_in_the_background_outside_is_not_asked(scene: Scene) -> None:
    assert scene.fetched(inside=True)["error"] == "peers"
    assert scene.site.asked == []


def test_in_the_background_nothing_begins_before_the_doors_can_be_known(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_started", lambda _: True)
    asked = {"url": scene.site.url(), "path": PATH, "sha256": SHA256, "size": 1, "background": True}

    def begins(peer: str) -> bool:
        heard = Heard()
        fetch.fetch({"op": "fetch", **asked, "peers": [{**scene.peer, "host": peer}]}, heard)
        return bool(heard.last["background"])

    monkeypatch.setattr(fetch, "BESIDE", 0)
    assert not begins("gpu-2")
    (scene.root / "etc/hostler/tls/sharing").mkdir()
    (scene.root / "etc/hostler/tls/sharing/gpu-2.crt").touch()
    assert begins("gpu-2")


# -- what is given


def ask(target: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One question to `serve`, without a door."""
    mine, theirs = socket.socketpair()
    thread = threading.Thread(target=serve.answer, args=(theirs,))
    thread.start()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    mine.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    mine.shutdown(socket.SHUT_WR)
    answer = b""
    while not answer.endswith(b"\r\n\r\n") or method == "GET":
        data = mine.recv(1 << 20)
        answer += data
        if b"\r\n\r\n" in answer and len(answer.partition(b"\r\n\r\n")[2]) >= length(answer, method):
            break
        if not data:
            break
    theirs.close()
    mine.close()
    thread.join(10)
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in rest), body


def length(answer: bytes, method: str) -> int:
    found = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(found[0].split(b":")[1]) if method == "GET" and found else 0


def test_a_checked_file_with_its_checksum(scene: Scene) -> None:
    scene.has()
    status, headers, body = ask("/m/model.gguf")
    assert (status, headers["ETag"], body) == (200, f'"{SHA256}"', CONTENT)
    assert ask("/m/model.gguf", "HEAD")[:2] == (status, headers)
    status, headers, body = ask("/m/model.gguf", Range="bytes=2999990-")
    assert (status, headers["Content-Range"], body) == (206, "bytes 2999990-2999999/3000000", CONTENT[-10:])
    assert ask("/m/model.gguf", Range="bytes=3000000-")[1]["Content-Range"] == "bytes */3000000"


@pytest.mark.parametrize(
    "target",
    ["/m/model.gguf.hostler", "/m/../m/model.gguf", "/../../../../etc/passwd", "/m/%2e%2e/x", "/", "/m", "/no"],
)  # fmt: skip
def test_nothing_else_is_given(scene: Scene, target: str) -> None:
    scene.has()
    files.write("/etc/passwd", b"root")
    assert ask(target)[0] == 404


def unchecked(scene: Scene) -> None:
    files.write(PATH, CONTENT)


def written_since(scene: Scene) -> None:
    scene.has()
    Path(files.at(PATH)).write_bytes(b"x" * len(CONTENT))
    os.utime(files.at(PATH), ns=(1, 1))


def left_behind(scene: Scene) -> None:
    files.write(PATH + ".part", CONTENT[:5])
    files.write_json(PATH + ".part.hostler", {"size": len(CONTENT)})


@pytest.mark.parametrize("state", [unchecked, written_since, left_behind])
def test_what_was_not_checked_is_not_given(scene: Scene, state: Callable[[Scene], None]) -> None:
    state(scene)
    assert ask("/m/model.gguf")[0] == 404
