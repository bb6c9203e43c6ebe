"""Who has lost the stack's lock lets Ansible do nothing more."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest

from hostler.configure.run import ended_when


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_ansible_is_ended_when_the_lock_is_lost(child: subprocess.Popen[bytes]) -> None:
    lost = threading.Event()
    with ended_when(lost, child):
        assert child.poll() is None
        lost.set()
        assert child.wait(10) == -15


def test_nobody_is_ended_afterwards(child: subprocess.Popen[bytes]) -> None:
    lost = threading.Event()
    with ended_when(lost, child):
        watchers = [thread for thread in threading.enumerate() if thread.name == "lost-lock"]
    lost.set()
    assert watchers
    for thread in watchers:
        thread.join(10)
    assert child.poll() is None
