"""What an interrupted run left behind is ended, each with the time that it needs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hostler.hosts import agent
from hostler.node.base import files
from hostler.node.owning import end_run
from hostler.node.owning.end_run import Process

from .fakes import Heard

STUBBORN = "#!/bin/bash\ntrap '{then}' TERM\necho ready\nwhile :; do sleep 0.05; done\n"


def started(program: Path, then: str) -> tuple[subprocess.Popen[str], Process]:
    """A program that does `then` when it is asked to end."""
    program.write_text(STUBBORN.format(then=then))
    program.chmod(0o755)
    child = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    found = end_run.read(child.pid)
    assert found
    return child, found


def test_an_exchange_may_go_back_and_others_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_run, "GRACE", 0.1)
    agent, going_back = started(tmp_path / "hostler-node", "sleep 1; exit 7")
    other, deaf = started(tmp_path / "other", ":")
    with agent, other:
        end_run.end([going_back, deaf])
        assert agent.wait(5) == 7
        assert other.wait(5) == -signal.SIGKILL


def test_a_hung_exchange_is_killed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_run, "BACK", 0.1)
    agent, hung = started(tmp_path / "hostler-node", ":")
    with agent:
        end_run.end([hung])
        assert agent.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("way", ["piped", "a child of `start`"])
def test_an_agent_is_known_however_it_was_started(tmp_path: Path, way: str) -> None:
    """Both are started as python3. They wait for the rest of their request."""
    program = tmp_path / "hostler-node"
    program.write_bytes(agent.program())
    words = {
        "piped": agent.command("r1"),
        "a child of `start`": (sys.executable, program, "exchange", "x", "-"),
    }
    said = agent.preamble() if way == "piped" else b""
    with subprocess.Popen(words[way], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        try:
            assert child.stdin
            child.stdin.write(said)
            child.stdin.flush()
            assert comes_to_be(child.pid, files.AGENT)
        finally:
            child.kill()


def comes_to_be(pid: int, name: str) -> bool:
    """Whether the process calls itself that within 10 s."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = end_run.read(pid)
        if found and found.name == name:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("name", ["apt-get", "apt-mark", "dpkg", "dnf"])
def test_package_managers_are_waited_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    manager = Process(7, 1, name, "r0", "1")
    looks = [[manager], [manager], []]
    monkeypatch.setattr(end_run, "PAUSE", 0.0)
    monkeypatch.setattr(end_run, "left", lambda *_: looks.pop(0))
    assert end_run.wait_for_managers("r1", set(), 60.0, Heard()) == [manager]
