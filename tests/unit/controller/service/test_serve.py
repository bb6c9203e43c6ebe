"""The service as a process: how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hostler import resources
from hostler.controller.service import serve

PROCESS = Path(__file__).with_name("hanging_service.py")
STACK = """
stack: office
pools:
  rack: {hosts: [{address: gpu1.lan, name: gpu-1}]}
models:
  chat: {source: "hf:a/b-GGUF:Q4_K_M", pool: rack, idle: {after: 20m, queue: 8, for: 2m}}
gateway: {host: gpu-1}
"""
LIMIT_S = 30.0


def until(what: Callable[[], Any]) -> None:
    end = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def run() -> Iterator[Path]:
    """Short: socket paths have a limit."""
    with tempfile.TemporaryDirectory(prefix="ctl-") as folder:
        yield Path(folder)


def test_answers_under_way_have_as_long_as_the_gateway_gives_them() -> None:
    """Told to end: where one is silent for longer, the gateway has given it up."""
    defaults = (resources.templates() / "gateway" / "common.j2").read_text()
    assert f"timeout server {serve.GRACE_S / 60:.0f}m" in defaults


def started(run: Path) -> subprocess.Popen[bytes]:
    (run / "stack.yaml").write_text(STACK)
    (run / "hosts.json").write_text("{}")
    environment = os.environ | {"HOSTLER_CONTROLLER": str(run), "HOME": str(run)}
    process = subprocess.Popen([sys.executable, PROCESS, run], env=environment)
    until(lambda: (run / "holder.sock").exists() or process.poll() is not None)
    return process


def test_it_ends_though_a_wake_is_under_way(run: Path) -> None:
    """A wake is a thread, which may take an hour."""
    process = started(run)
    found: list[httpx.Response] = []

    def ask() -> None:
        transport = httpx.HTTPTransport(uds=str(run / "holder.sock"))
        with httpx.Client(transport=transport, timeout=LIMIT_S) as client:
            found.append(client.post("http://h/v1/x", json={}, headers={"x-hostler-model": "chat"}))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        until((run / "begun").exists)
        process.terminate()
        assert process.wait(LIMIT_S) == 0
    finally:
        process.kill()
        process.wait()
        asking.join()
    assert [answer.status_code for answer in found] == [425]
    assert not (run / "holder.sock").exists()
    assert json.loads((run / "states.json").read_text())["models"] == {}
