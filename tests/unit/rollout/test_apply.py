"""Ansible's story as people hear it."""

from __future__ import annotations

import io

from hostler.configure.events import Event
from hostler.console.out import Out
from hostler.rollout.apply import Teller


def test_items_are_told_once_and_the_task_no_more() -> None:
    err = io.StringIO()
    tell = Teller(Out(stdout=io.StringIO(), stderr=err))
    for item in ("ghcr.io/ggml-org/llama.cpp@sha256:00", "docker.io/library/haproxy@sha256:11", ""):
        tell(Event(host="gpu-1", task="Pull images", status="changed", item=item))
    tell(Event(host="gpu-2", task="Pull images", status="ok"))
    tell(Event(host="gpu-2", task="Install", status="failed", message="no space left"))
    assert err.getvalue().splitlines() == [
        "changed  gpu-1: Pull images: llama.cpp",
        "changed  gpu-1: Pull images: haproxy",
        "failed   gpu-2: Install: no space left",
    ]
