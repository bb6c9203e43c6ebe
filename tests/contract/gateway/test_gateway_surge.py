"""The agent's own exchange of a model's only replica, beside the one that serves: a real HAProxy, engines as processes,
clients that ask throughout. Docker and systemd are stand-ins; tests/e2e/test_surge.py has real ones."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.gateway.load import Tally, chat, soon, under_load
from contract.gateway.rig import KEY, Engine, Rig, listens, until
from hostler.gateway.specs import Route, ServedModel
from hostler.node.base import files, instances, interrupts, spec
from hostler.node.base.protocol import NodeError
from hostler.node.canary import canary
from hostler.node.docker import docker
from hostler.node.doors import ports
from hostler.node.exchange import exchange, starts
from hostler.node.replica import beside, journal
from unit.node.fake_docker import FakeDocker
from unit.node.fakes import DIGEST, FakeSystemd, Heard, Host
from worlds.ports import free_port

STREAM = {"stream": True, "x_tokens": 20, "x_every": 0.02}
NAME = "hostler-chat-0"
HEAD = (
    b"POST /m/chat/v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n"
    b"content-type: application/octet-stream\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
)


class Ended(BaseException):
    """kill -9 of the agent."""


class Process:
    """An engine, as a container's process."""

    def __init__(self, folder: Path, port: int, name: str) -> None:
        self.engine = Engine(folder, name, port)

    def close(self) -> None:
        self.engine.kill()


class Processes(FakeDocker):
    """Containers run real processes, each on the port of its words; the first word is the engine's name."""

    folder: Path

    def start(self, found: dict[str, Any]) -> None:
        words = found["Config"]["Cmd"]
        port = int(words[words.index("--port") + 1])
        found["State"].update(Running=True, Status="running", StartedAt=f"call {len(self.calls)}")
        self.most_running = max(self.most_running, len(self.running()))
        self.engines[found["Id"]] = Process(self.folder, port, words[0])  # type: ignore[assignment]


class Machine:
    """The gateway's host with the model's only replica; nothing waits for it (`hold: none`)."""

    def __init__(self, rig: Rig, patch: pytest.MonkeyPatch) -> None:
        self.rig, root = rig, rig.folder / "root"
        (root / "run/hostler").mkdir(parents=True)
        patch.setattr(files, "root", str(root))
        patch.setattr(files, "ids", lambda *_: (-1, -1))
        self.docker = Processes(root / "var/run/docker.sock")
        self.docker.folder = rig.folder
        self.docker.images["llama@" + DIGEST] = "sha256:image"
        systemd = FakeSystemd()
        patch.setattr(instances, "systemctl", systemd.systemctl)
        patch.setattr(instances, "wait_anew", self.anew)
        patch.setattr(interrupts, "caught", contextlib.nullcontext)  # signals are the main thread's
        patch.setattr(interrupts, "no_more", lambda: None)
        patch.setattr(canary, "proven", lambda *_: "")  # the stand-in says what no canary takes
        patch.setattr(canary, "measured", lambda _: {})
        patch.setattr(starts, "limited", lambda new: new)
        port = free_pair()
        self.host = Host(root, self.docker, systemd, port)
        route = Route(id="chat-0", host="gpu-1", port=port)
        made = rig.spec(ServedModel(name="chat", replicas=(route,), hold=None))
        for link, target in (
            ("run/hostler/gateway", made.paths.run),
            ("run/hostler/drain", made.paths.drain),
        ):
            (root / link).symlink_to(target)
        (root / "proc").symlink_to("/proc")
        self.proxy = rig.gateway(made)
        self.want("one")
        self.exchange()
        until(lambda: set(self.proxy.states().values()) == {"UP"})

    def anew(self, name: str) -> None:
        self.host.systemd.threads.pop(name)
        self.host.systemd.systemctl("start", f"hostler@{name}.service")

    def want(self, name: str) -> None:
        words = [name, "x", "x", "--port", str(self.host.port)]
        self.host.want(argv=words, context=0, memory_mib=10, drain_s=20)

    def exchange(self, **request: Any) -> dict[str, Any]:
        heard = Heard()
        exchange.exchange({"op": "exchange", "id": "chat-0", "beside": True, **request}, heard)
        return heard.last

    def attended(self) -> bool:
        """Whether nothing is left beside it: its `run` looks now and then."""
        with journal.locked(["chat-0"]):
            beside.attend("chat-0")
        return journal.names() == []

    def says(self) -> str:
        return self.rig.chat("chat").json()["name"]


def free_pair() -> int:
    while True:
        port = free_port()
        if port + ports.SECOND < 65536 and not listens(port + ports.SECOND):
            return port


@pytest.fixture
def machine(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(rig, monkeypatch)
    yield made
    until(made.host.dark)
    made.docker.close()
    shutil.rmtree(rig.folder / "root/var")


async def more(tally: Tally, count: int = 60) -> None:
    seen = tally.whole
    await soon(lambda: tally.whole > seen + count, 30)


@pytest.mark.parametrize(
    "body",
    [pytest.param(STREAM, id="stream", marks=pytest.mark.soak), pytest.param({"x_delay": 0.1}, id="whole")],
)
def test_nothing_waits_and_nothing_is_lost(machine: Machine, body: dict[str, Any]) -> None:
    said: list[dict[str, Any]] = []

    async def there_and_back(tally: Tally) -> None:
        for name in ("two", "three"):
            machine.want(name)
            await more(tally)
            said.append(await asyncio.to_thread(machine.exchange))
            await more(tally)

    tally = under_load(machine.rig, 12, chat("chat", **body), there_and_back)
    assert tally.lost == []
    assert [one["outcome"] for one in said] == ["exchanged", "exchanged"]
    assert all("beside the old one" in one["why"] and "still answers" not in one["why"] for one in said)
    assert machine.docker.most_running == 2
    assert machine.says() == "three"
    assert machine.docker.names() == [f"/{NAME}"]


def test_a_body_that_still_arrives_is_not_cut(machine: Machine) -> None:
    """No engine counts it."""
    whole = b"x" * 100_000
    with socket.create_connection(("127.0.0.1", machine.rig.port)) as client:
        client.settimeout(20)
        client.sendall(HEAD % (KEY.encode(), len(whole)) + whole[:1000])
        until(lambda: machine.proxy.in_flight("chat-0") == 1)
        machine.want("two")
        assert "still answers after 0.5 s" in machine.exchange(**{"drain-s": 0.5})["why"]
        assert machine.says() == "two"
        client.sendall(whole[1000:])
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"name": "one"' in answer
    until(machine.attended)
    assert machine.docker.names() == [f"/{NAME}"]


@pytest.mark.soak
def test_a_bad_one_takes_nothing(machine: Machine) -> None:
    (machine.rig.folder / "HEALTH-bad").write_text("503")
    before: Any = docker.inspect(NAME)
    failed: list[NodeError] = []

    async def bad(tally: Tally) -> None:
        machine.want("bad")
        await more(tally)
        try:
            await asyncio.to_thread(machine.exchange)
        except NodeError as error:
            failed.append(error)
        await more(tally)

    tally = under_load(machine.rig, 12, chat("chat", **STREAM), bad)
    assert tally.lost == []
    assert failed[0].more["outcome"] == "restored"
    assert "the old one never stopped" in failed[0].message
    after: Any = docker.inspect(NAME)
    assert (after["Id"], after["State"]) == (before["Id"], before["State"])
    assert machine.says() == "one"


@pytest.mark.soak
@pytest.mark.parametrize("point", ["beside", "switch", "told", "leave"])
def test_a_kill_takes_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """The agent dies; the instance's own `run` puts it right while clients ask on."""
    step, tell = journal.step, ports.tell

    def dying(record: dict[str, Any], phase: str, **what: Any) -> None:
        step(record, phase, **what)
        if phase == point:
            raise Ended

    def dying_told(*asked: Any) -> None:
        tell(*asked)
        if point == "told" and journal.names():
            raise Ended

    async def killed(tally: Tally) -> None:
        machine.want("two")
        await more(tally)
        with monkeypatch.context() as patch:
            patch.setattr(journal, "step", dying)
            patch.setattr(ports, "tell", dying_told)
            with contextlib.suppress(Ended):
                await asyncio.to_thread(machine.exchange)
        await more(tally)
        await soon(machine.attended, 30)
        await more(tally)

    tally = under_load(machine.rig, 12, chat("chat", **STREAM), killed)
    assert tally.lost == []
    assert machine.docker.names() == [f"/{NAME}"]
    assert machine.says() == ("one" if point == "beside" else "two")
    assert spec.port(spec.applied("chat-0") or {}) == machine.host.port + (
        0 if point == "beside" else ports.SECOND
    )
