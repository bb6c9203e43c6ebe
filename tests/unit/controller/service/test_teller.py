"""What is told is told once, kept before it is told, and nobody waits for a webhook that hangs."""

from __future__ import annotations

import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.controller import telling
from hostler.controller.service import teller as tellers
from hostler.controller.service.teller import Teller
from worlds import configure_world

SILENT = {"name": "gpu-1", "reached": False, "error": "no answer", "error_kind": "timeout", "next": ""}
LOST: dict[str, Any] = {"hosts": [SILENT]}


class Told:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.go = threading.Event()
        self.go.set()

    def alarm(self, _file: Any, _out: Any, event: str, text: str, _details: Any) -> None:
        assert self.go.wait(10)
        self.said.append((event, text))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    found = Told()
    monkeypatch.setattr(telling, "alarm", found.alarm)
    return found


def made(folder: Path) -> Teller:
    return Teller(configure_world.stack(), Out(stderr=StringIO()), folder)


def done(teller: Teller) -> None:
    """All that was to be told was told."""
    teller._queue.shutdown(wait=True)  # pyright: ignore[reportPrivateUsage]


def test_once_over_restarts(tmp_path: Path, told: Told) -> None:
    teller = made(tmp_path)
    teller.look(LOST, 100.0)
    teller.look(LOST, 105.0)
    done(teller)
    assert [event for event, _ in told.said] == ["host"]
    again = made(tmp_path)
    again.look(LOST, 110.0)
    again.look({"hosts": []}, 115.0)
    done(again)
    assert [text for _, text in told.said][1:] == ["over: gpu-1 does not answer: no answer"]
    assert again.errors == [
        {"at": 100.0, "text": "gpu-1 does not answer: no answer", "next": "hostler doctor"}
    ]


def test_nobody_waits_for_a_hook_that_hangs(tmp_path: Path, told: Told) -> None:
    told.go.clear()
    teller = made(tmp_path)
    teller.look(LOST, 100.0)
    teller.event("wake failed", "chat did not wake: out of memory", "chat")
    assert told.said == []
    assert [one["text"] for one in teller.errors] == [
        "chat did not wake: out of memory",
        "gpu-1 does not answer: no answer",
    ]
    assert teller.wakes == {("chat", "failed"): 1.0}
    told.go.set()
    done(teller)
    assert [event for event, _ in told.said] == ["host", "wake failed"]


def test_a_wake_that_worked_is_no_alarm(tmp_path: Path, told: Told) -> None:
    teller = made(tmp_path)
    teller.took["chat"] = 9.0
    teller.event("woken", "chat woke in 9 s", "chat")
    teller.look({}, 100.0)
    done(teller)
    assert told.said == []
    assert made(tmp_path).took == {"chat": 9.0}


def test_what_fails_again_and_again_is_told_once(tmp_path: Path, told: Told) -> None:
    teller = made(tmp_path)
    for _ in range(3):
        teller.event("wake failed", "chat did not wake: out of memory", "chat")
    teller.event("wake failed", "big did not wake: out of memory", "big")
    teller.event("woken", "chat woke in 9 s", "chat")
    teller.event("wake failed", "chat did not wake: out of memory", "chat")
    done(teller)
    assert [text.partition(" ")[0] for _, text in told.said] == ["chat", "big", "chat"]
    assert teller.wakes[("chat", "failed")] == 4.0
    assert len(teller.errors) == 3


def test_what_waits_is_bounded(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tellers, "MOST", 2)
    told.go.clear()
    teller = made(tmp_path)
    for at in range(5):
        teller.event("idle", f"chat-{at} sleeps", f"chat-{at}")
    told.go.set()
    done(teller)
    assert len(told.said) == 2
