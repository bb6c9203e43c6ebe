"""What an interrupted run left behind is ended, each with the time that it needs."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from hostler.node import end_run
from hostler.node.end_run import Process

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
