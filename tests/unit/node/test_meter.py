"""The stack file's own command for what a host draws at the wall."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import processes, shell
from hostler.node.base.shell import Result
from hostler.node.idle import keeping, meter

from .fakes import Heard
from .idling import stdin

__all__ = ["stdin"]

LIMIT_S = 20.0


def until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT_S
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(
    ("command", "watts", "why"),
    [
        ("echo 312.5", 312.5, ""),
        ("echo 410; echo and more", 410.0, ""),
        ("printf ' 95 \\n'", 95.0, ""),
        ('[ "$HOSTLER_HOST" = gpu-1 ] && echo 1', 1.0, ""),
        ("cat; echo 7", 7.0, ""),  # nothing of it is on its stdin
        ("echo 312 W", None, "expected watts, a number, on its first line"),
        ("echo; echo 312", None, "expected watts, a number, on its first line"),
        ("true", None, "expected watts, a number, on its first line"),
        ("echo nan", None, "expected watts, a number, on its first line"),
        ("echo -3", None, "expected watts, a number, on its first line"),
        ("echo 312; exit 3", None, "it ended with status 3"),
        ("no-such-command-there", None, "it ended with status 127"),
    ],
)
def test_what_it_says_is_taken_or_not(command: str, watts: float | None, why: str) -> None:
    assert meter.read(command, "gpu-1") == (watts, why, 0)


def test_nothing_of_it_is_in_a_list_of_processes(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = f"secret=hunter2; tr '\\0' ' ' </proc/$$/cmdline >{seen}; echo 1"
    assert meter.read(command, "gpu-1").watts == 1.0
    assert seen.read_text() == "sh -s "


def test_one_that_does_not_end_is_killed_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "LIMIT_S", 0.5)
    pid = tmp_path / "pid"
    found = meter.read(f"sleep 600 & echo $! >{pid}; wait", "gpu-1")
    assert (found.watts, found.why) == (None, "it did not end in time, 0.5 s at most")
    until(lambda: not processes.born(int(pid.read_text())))


def test_one_reading_at_a_time_and_each_minute() -> None:
    one = meter.Meter("echo 5", "gpu-1")
    found = until(one.take)
    assert [reading.watts for reading in found] == [5.0]
    assert one.take() == []
    again = meter.Meter("echo 5", "gpu-1", every_s=0.0)
    assert len([until(again.take) for _ in range(3)]) == 3


def test_one_that_is_slow_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, goes_on = list[str](), threading.Event()

    def slow(command: str, _host: str) -> meter.Reading:
        runs.append(command)
        goes_on.wait(LIMIT_S)
        return meter.Reading(5.0, "")

    monkeypatch.setattr(meter, "read", slow)
    one = meter.Meter("slow", "gpu-1", every_s=0.0)
    assert [one.take() for _ in range(5)] == [[]] * 5
    assert runs == ["slow"]
    goes_on.set()
    assert until(one.take)[0].watts == 5.0


def test_what_cannot_be_killed_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process hangs in the kernel: this one stands for it."""
    runs: list[float] = []

    def hangs(*_: Any) -> Result:
        runs.append(time.monotonic())
        return Result(("sh",), shell.TIMED_OUT, "", "", os.getpid())

    monkeypatch.setattr(shell, "run", hangs)
    one = meter.Meter("ipmitool", "gpu-1", every_s=0.0)
    said = [until(one.take)[-1].why for _ in range(3)]
    assert said[1:] == ["its process hangs, and cannot be killed"] * 2
    assert len(runs) == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_the_stream_says_it_beside_looks_that_go_on(
    monkeypatch: pytest.MonkeyPatch, stdin: int, wanted: bool
) -> None:
    """One that hangs delays no look."""
    monkeypatch.setattr(keeping, "look", lambda *_: {"at": 1.0})  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(meter, "LIMIT_S", 1.0)
    looks = threading.Event()

    class Listener(Heard):
        def say_value(self, value: Any) -> None:
            super().say_value(value)
            if len(self.lines) > 5:
                looks.set()

    heard = Listener()
    request: dict[str, Any] = {"op": "idle-keep", "every_s": 0.01}
    if wanted:
        request["meter"] = {"command": "sleep 600", "host": "gpu-1"}
    thread = threading.Thread(target=lambda: keeping.idle_keep(request, heard))
    thread.start()
    with contextlib.closing(os.fdopen(stdin, "wb")):
        assert looks.wait(LIMIT_S)
        assert not any("meter" in line for line in heard.lines[:6])
        if wanted:
            said = until(lambda: [line for line in heard.lines if "meter" in line])
            assert said[0] == {"meter": {"watts": None, "why": "it did not end in time, 1 s at most"}}
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert any("meter" in line for line in heard.lines) is wanted
