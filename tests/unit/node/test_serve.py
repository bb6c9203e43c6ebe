"""What a host gives of its weights: what was checked, and nothing else; and when systemd listens for who asks."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hostler.node.base import files, instances
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.base.told import Told
from hostler.node.exchange import door, exchange
from hostler.node.leaving import purge
from hostler.node.weights import serve

from .fakes import Heard
from .two_hosts import PATH, Scene, scene
from .web import CONTENT, SHA256

__all__ = ["scene"]


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
    said = dict(line.split(": ", 1) for line in rest)
    del said["Date"]  # two answers may have two
    return int(status.split()[1]), said, body


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


# -- the socket


class Systemd:
    """Remembers what listens."""

    def __init__(self) -> None:
        self.listens = False
        self.fails = False

    def systemctl(self, *words: str, timeout: float = 60.0) -> Result:  # noqa: ARG002 - as the real one
        if words[-1] != serve.UNIT:
            return Result(words, 0, "", "")
        if words[0] in ("start", "stop") and not self.fails:
            self.listens = words[0] == "start"
        said = ("active" if self.listens else "inactive") if words[0] == "is-active" else ""
        return Result(words, 1 if self.fails else 0, said, "no such group")


@pytest.fixture
def systemd(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    fake = Systemd()
    monkeypatch.setattr(instances, "systemctl", fake.systemctl)
    monkeypatch.setattr(files, "ids", lambda *_names: (-1, -1))
    return fake


def link() -> bool:
    return os.path.islink(files.at(instances.WANTS, serve.UNIT))


def test_it_listens_now_and_after_a_boot(systemd: Systemd) -> None:
    assert [serve.keep(True), serve.keep(True)] == [True, False]
    assert (systemd.listens, link()) == (True, True)
    systemd.listens = False  # somebody stopped it
    assert serve.keep(True)
    assert [serve.keep(False), serve.keep(False)] == [True, False]
    assert (systemd.listens, link()) == (False, False)


def test_one_that_cannot_listen_is_said(systemd: Systemd) -> None:
    systemd.fails = True
    with pytest.raises(NodeError, match=r"hostler-files.socket: no such group"):
        serve.keep(True)


@pytest.mark.parametrize("shares", [True, False])
def test_an_edge_brings_it_and_takes_it(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    systemd.listens = not shares
    files.write(door.EDGE, b"server files unix@/run/hostler/edge/files.sock" if shares else b"")
    same = {"changed": False, "outcome": "same", "why": "", "log": []}
    monkeypatch.setattr(exchange, "exchange", lambda _request, kept: kept.say_value(same))
    heard = Heard()
    door.door({"op": "door", "id": "edge"}, heard)
    assert systemd.listens is shares
    assert heard.last["changed"]


def test_down_takes_it(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "ran", lambda *words: lambda: systemd.systemctl(*words[1:]))
    for path in serve.FILES:
        files.write(path, b"")
    serve.keep(True)
    told = Told()
    purge._units(told)
    assert not systemd.listens
    assert "unit hostler-files.socket" in told.removed
    assert os.listdir(files.at("/etc/systemd/system/multi-user.target.wants")) == []
    assert [path for path in serve.FILES if os.path.exists(files.at(path))] == []
