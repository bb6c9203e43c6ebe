"""When a former replica has finished, what is done while it has not, and a polite end of all that."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.node.__main__ import find
from hostler.node.base import files, instances, interrupts, sockets
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.docker import docker
from hostler.node.doors import haproxy, ports, sessions
from hostler.node.exchange import bake, exchange, inplace, retire
from hostler.node.replica import beside, journal

from .fakes import Heard, Host
from .test_exchange_killed import KilledError
from .test_surge import NAME, calm, exchanged, machine, serving, want

__all__ = ["machine", "serving"]

WAIT_ANEW = instances.wait_anew  # before a fixture replaces it


def test_what_the_old_one_still_answers_is_not_cut(serving: Host) -> None:
    old: Any = docker.inspect(NAME)
    serving.docker.engines[old["Id"]].busy = 1
    want(serving, tag="2")
    said = exchanged(**{"drain-s": 0.05})
    assert said["outcome"] == "exchanged"
    assert "the former one still answers after 0.05 s, and ends by itself" in said["why"]
    assert len(serving.docker.running()) == 2
    want(serving, tag="3")
    with pytest.raises(NodeError) as caught:
        exchanged(**{"drain-s": 0.05})
    assert caught.value.rc == 3
    with pytest.raises(NodeError):
        retire.retire({"op": "retire", "id": "chat-0", "drain-s": 0.05}, Heard())
    serving.docker.engines[old["Id"]].busy = 0
    with journal.locked(["chat-0"]):
        beside.attend("chat-0")
    calm(serving, "2")


def test_what_nobody_waits_for_holds_nothing(
    serving: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that is stuck counts on: without a connection at once, else from the drain's limit on."""
    stuck: Any = docker.inspect(NAME)
    serving.docker.engines[stuck["Id"]].busy = 2
    monkeypatch.setattr(sockets, "connected", lambda _: False)
    want(serving, tag="2")
    assert "still answers" not in exchanged()["why"]
    assert "it counts 2 requests, but nobody waits for an answer of it" in capsys.readouterr().err
    calm(serving, "2")
    monkeypatch.setattr(sockets, "connected", lambda _: True)
    stuck = docker.inspect(NAME)
    serving.docker.engines[stuck["Id"]].busy = 2
    want(serving, tag="3")
    assert "still answers" in exchanged(**{"drain-s": 0.05})["why"]
    found = journal.read("chat-0") or {}
    journal.step({**found, "old": {**found["old"], "drain_s": 1e-9}}, found["phase"])
    with journal.locked(["chat-0"]):
        beside.attend("chat-0")
    calm(serving, "3")


@pytest.mark.parametrize("tag", ["2", "3"])
def test_one_that_stands_still_forgets_no_former_one(serving: Host, tag: str) -> None:
    """Its journal says what still answers: no other exchange may write over it."""
    old: Any = docker.inspect(NAME)
    serving.docker.engines[old["Id"]].busy = 1
    want(serving, tag="2")
    exchanged(**{"drain-s": 0.05})
    want(serving, tag=tag)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "healed_now", lambda _: instances.stop("chat-0") or "")
        with pytest.raises(NodeError) as caught:
            exchanged(**{"drain-s": 0.05})
    assert caught.value.more["outcome"] == "refused"
    assert (journal.read("chat-0") or {})["phase"] == beside.LEAVE
    assert len(serving.docker.running()) == 1
    serving.docker.engines[old["Id"]].busy = 0
    exchanged()
    calm(serving, tag)


@pytest.mark.parametrize("known", [True, False])
def test_what_a_door_has_open_is_waited_for(
    serving: Host, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """What the engine does not count yet."""
    old = serving.port
    monkeypatch.setattr(haproxy, "command", lambda *_: spoken(old, known))
    monkeypatch.setattr(ports, "tell", lambda *_: None)
    want(serving, tag="2")
    assert "still answers" in exchanged(**{"drain-s": 0.05})["why"]
    monkeypatch.setattr(haproxy, "command", lambda *_: spoken(old + 10000, True))
    with journal.locked(["chat-0"]):
        beside.attend("chat-0")
    calm(serving, "2")


def spoken(to: int, known: bool) -> str:
    """A session, as HAProxy 3.4 prints it."""
    if not known:
        raise TimeoutError
    return f"  backend=model_chat (id=7) addr=127.0.0.1:5\n  server=chat-0 (id=1) addr=127.0.0.1:{to}\n"


def test_cut_is_told(serving: Host) -> None:
    old: Any = docker.inspect(NAME)
    serving.docker.engines[old["Id"]].busy = 1
    want(serving, tag="2")
    assert "still answers" not in exchanged(cut=True, **{"drain-s": 0.05})["why"]
    calm(serving, "2")


@pytest.mark.parametrize("brief", [False, True])
def test_an_exchange_waits_for_who_only_puts_right(
    serving: Host, monkeypatch: pytest.MonkeyPatch, brief: bool
) -> None:
    """A container's stop takes longer than an exchange waits for another one."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with journal.locked(["chat-0"], brief=brief):
            held.set()
            over.wait(10)

    monkeypatch.setattr(journal, "LOCK_S", 0.0)
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    clock = SimpleNamespace(monotonic=time.monotonic, time=time.time, sleep=lambda _: over.set())
    monkeypatch.setattr(journal, "time", clock)
    if brief:
        assert exchanged()["outcome"] == "same"
    else:
        with pytest.raises(NodeError, match="another exchange of it is going on"):
            exchanged()
        over.set()
    thread.join()


def test_a_port_that_is_left_is_nobody_s(serving: Host) -> None:
    """The doors send what asks the first port there again."""
    (serving.root / "run/hostler/edge").mkdir(parents=True)
    want(serving, tag="2")
    exchanged()
    assert "setenv" in files.read_text(ports.path("edge"))
    retire.retire({"op": "retire", "id": "chat-0"}, Heard())
    assert "setenv" not in files.read_text(ports.path("edge"))


def test_a_reload_reads_where_replicas_are(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (serving.root / "run/hostler/edge").mkdir(parents=True)
    files.write(ports.path("edge"), b"global\n    setenv PORT_1 1001\n")
    read: list[str] = []

    def loaded(*_: Any) -> int:
        read.append(files.read_text(ports.path("edge")))
        return 0

    monkeypatch.setattr(haproxy, "reload", loaded)
    find("reload")({"op": "reload", "id": "edge"}, Heard())
    assert "setenv" not in read[0]


def test_a_new_one_without_a_run_gets_one(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def systemctl(*words: str, **_: Any) -> Result:
        said.append(words[0])
        return Result(words, 3, "inactive" if words[0] == "is-active" else "", "")

    monkeypatch.setattr(instances, "systemctl", systemctl)
    WAIT_ANEW("chat-0")
    assert said == ["reset-failed", "is-active", "start"]


def test_who_serves_is_not_the_first_to_go(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes on after a kill gives the score back."""
    serving.docker.pids = [7]
    score = serving.root / "proc/7/oom_score_adj"
    score.parent.mkdir(parents=True)
    step = journal.step

    def killed(record: dict[str, Any], phase: str, **more: Any) -> None:
        step(record, phase, **more)
        if phase == beside.SWITCH:
            raise KilledError

    want(serving, tag="2")
    with monkeypatch.context() as patch:
        patch.setattr(journal, "step", killed)
        with pytest.raises(KilledError):
            exchanged()
    assert score.read_text() == "500"
    with journal.locked(["chat-0"]):
        beside.attend("chat-0")
    assert score.read_text() == "0"
    calm(serving, "2")


# a polite end


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_an_interruption_is_heard_in_its_bake_and_after_it(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves, so it stays, and what the old one still answers is left to `run`."""

    def baked(*_: Any) -> str:
        with pytest.raises(interrupts.InterruptedRun):
            interrupt()
        return "ended early"

    def open_to(_: int) -> bool:
        interrupt()
        return True

    monkeypatch.setattr(bake, "bake", baked)
    monkeypatch.setattr(sessions, "open_to", open_to)
    want(serving, tag="2")
    why = exchanged(**{"drain-s": 30})["why"]
    assert "ended early; the former one still answers, and ends by itself" in why
    monkeypatch.setattr(sessions, "open_to", lambda _: False)
    with journal.locked(["chat-0"]):
        beside.attend("chat-0")
    calm(serving, "2")


def test_an_interruption_is_heard_in_place_after_all(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inplace, "exchange", lambda *_: interrupt())
    want(serving, "exits", tag="2")
    with pytest.raises(NodeError, match="interrupted by signal 15"):
        exchanged()
    calm(serving, "1")
