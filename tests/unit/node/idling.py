"""A replica that serves, a gateway that says what a test wants, and policies: for the tests of the agent's room idle."""

import os
import socketserver
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import clock, files
from hostler.node.exchange import exchange
from hostler.node.idle import keeping, people, policy

from .fakes import Heard, Host
from .servers import FakeEngine, UnixServer, serving

NAME = "chat-0"
POLICY = {"after_s": 1200.0, "do": "sleep", "hours": "", "max_age_s": 0.0, "shadow": False, "kept": False}
TABLE = "# pxname,svname,qcur,scur,stot,status,\n"


class Door:
    """HAProxy's runtime socket: `info` and rows of its statistics."""

    def __init__(self, path: Path) -> None:
        self.pid, self.rows, self.silent = 8, [f"model_chat,{NAME},0,0,7,UP,"], False
        door = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                asked = self.rfile.readline().decode()
                if not door.silent:
                    self.wfile.write(door.answer(asked).encode())

        path.parent.mkdir(parents=True, exist_ok=True)
        self.server = serving(UnixServer(str(path), Handler))

    def answer(self, asked: str) -> str:
        table = TABLE + "".join(row + "\n" for row in self.rows) + "\n"
        info = f"Name: HAProxy\nPid: {self.pid}\nStart_time_sec: 1764500000\n\n"
        return {"show info;show stat": info + table, "show stat": table}.get(asked.strip(), "")

    def has(self, busy: int = 0, total: int = 7, waiting: int = 0) -> None:
        self.rows = [f"model_chat,{NAME},0,{busy},{total},UP,", f"model_chat,BACKEND,{waiting},0,0,UP,"]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def engine(host: Host) -> FakeEngine:
    (found,) = host.docker.engines.values()
    return found


def counts(host: Host, tokens: int, busy: int = 0) -> None:
    """What the engine says of itself."""
    engine(host).busy = busy
    engine(
        host
    ).metrics = f"llamacpp:prompt_tokens_total {tokens}\nllamacpp:tokens_predicted_total {tokens}\n"


def wish(**more: Any) -> None:
    files.write_json(policy.FILE, {"replicas": {NAME: {**POLICY, **more}}, "host": None})


@pytest.fixture
def serving_one(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """One replica, proven; nobody else is there."""
    host.want()
    exchange.exchange({"op": "exchange", "id": NAME}, Heard())
    monkeypatch.setattr(people, "table", list)
    (host.root / "proc").mkdir(exist_ok=True)
    counts(host, 5)
    return host


@pytest.fixture
def door(serving_one: Host) -> Generator[Door, None, None]:
    """The gateway of this host."""
    made = Door(serving_one.root / "run/hostler/gateway/admin.sock")
    yield made
    made.close()


def looked(count: int = 2) -> dict[str, Any]:
    """So often looked at: then its window has begun before."""
    return [keeping.look() for _ in range(count)][-1]


def word(looked: dict[str, Any]) -> str:
    return str(looked["replicas"][NAME]["word"])


def idle_look(**more: Any) -> dict[str, Any]:
    heard = Heard()
    keeping.idle_look({"op": "idle-look", **more}, heard)
    return heard.last


class Clock:
    """CLOCK_BOOTTIME, moved by hand."""

    def __init__(self) -> None:
        self.now = 10_000.0


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "boottime", lambda: made.now)
    return made


def due(moved: Clock) -> dict[str, Any]:
    """Idle for so long that something is due."""
    for _ in range(80):
        moved.now += 20
        keeping.look()
    return idle_look()


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Generator[int, None, None]:
    """Its other end."""
    inside, outside = os.pipe()
    with os.fdopen(inside) as file:
        monkeypatch.setattr(keeping.sys, "stdin", file)
        yield outside
