"""What the gateway's process says of who waits, and what it is told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.controller.service.gateway import Gateway

STAT = """# pxname,svname,qcur,qmax,scur,smax,slim,stot,
model_chat,chat-0,0,0,3,9,,100,
model_chat,held,0,0,0,4,,12,
model_chat,BACKEND,2,0,3,9,,112,
held_chat,chat-0,0,0,5,9,,100,
held_chat,wait,0,0,4,9,,7,
held_chat,BACKEND,0,0,9,9,,107,
model_other,BACKEND,7,0,0,0,,0,
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A runtime socket that answers each command with the same."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "admin.sock"))
    server.listen()

    def answer() -> None:
        while True:
            try:
                there, _ = server.accept()
            except OSError:
                return
            with there:
                there.recv(4096)
                there.sendall(STAT.encode())

    threading.Thread(target=answer, daemon=True).start()
    yield tmp_path
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_who_waits(run: Path) -> None:
    """Queued in the model's backend, or held; what a replica answers does not wait."""
    assert Gateway(run).waiting("chat") == 2 + 4
    assert Gateway(run).waiting("other") == 7


def test_what_nobody_knows_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not know nothing"):
        Gateway(run).waiting("nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="No such file"):
        Gateway(tmp_path / "empty").waiting("chat")


def test_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, path = Gateway(tmp_path), tmp_path / "states.json"
    monkeypatch.setattr(time, "time", lambda: 1700000000.9)
    gateway.tell({"chat": {"state": "asleep", "eta_s": 12.0}})
    assert path.read_text().startswith('{"at": ')  # models.lua wants it there
    assert json.loads(path.read_text()) == {
        "at": 1700000000,
        "models": {"chat": {"state": "asleep", "eta_s": 12.0}},
    }
    assert path.stat().st_mode & 0o777 == 0o644  # the gateway's account reads it
    before = path.stat().st_ino
    gateway.tell({"chat": {"state": "asleep", "eta_s": 12.0}})
    assert path.stat().st_ino == before
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)  # models.lua believes it for a minute
    gateway.tell({"chat": {"state": "asleep", "eta_s": 12.0}})
    assert path.stat().st_ino != before
    path.unlink()  # a boot
    gateway.tell({"chat": {"state": "asleep", "eta_s": 12.0}})
    assert path.exists()
    gateway.tell({})
    assert json.loads(path.read_text())["models"] == {}
    assert [one.name for one in tmp_path.iterdir()] == ["states.json"]


def test_at_its_end_it_takes_its_word_back(tmp_path: Path) -> None:
    """And does not speak over its successor."""
    gateway, path = Gateway(tmp_path), tmp_path / "states.json"
    gateway.tell({"chat": {"state": "asleep", "eta_s": 12.0}})
    gateway.close()
    assert json.loads(path.read_text())["models"] == {}
    Gateway(tmp_path).tell({"chat": {"state": "waking"}})
    gateway.tell({"chat": {"state": "asleep"}})
    assert json.loads(path.read_text())["models"] == {"chat": {"state": "waking"}}
