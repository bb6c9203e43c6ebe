"""Ansible's story as people hear it, and whose last requests are waited for."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.configure.events import Event
from hostler.console.out import Out
from hostler.record.types import Before, Journal
from hostler.rollout import apply
from hostler.rollout.apply import Teller
from worlds import configure_world as world


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


@pytest.mark.parametrize(
    ("owned", "runs", "retired"),
    [
        (False, ("chat-0", "chat-7", "edge"), ["chat-0", "chat-1", "chat-7"]),
        (False, (), ["chat-0", "chat-1"]),
        (True, ("chat-7", "edge"), ["chat-0", "chat-1"]),  # all that is ours there is taken away anyway
    ],
)
def test_a_rented_host_is_drained_of_all_that_it_runs(
    owned: bool, runs: tuple[str, ...], retired: list[str]
) -> None:
    """The record has its replicas elsewhere: it did not answer when they moved, and may answer requests still."""
    host = replace(world.hosts()[0], owned=owned)
    began = world.placement("gpu-2", "gpu-1").replicas
    journal = Journal(
        run="r", stage="apply", release=1, who="x", since=1.0, file="f", before=Before(replicas=began)
    )
    record = world.record(replicas=world.placement("gpu-1", "gpu-2").replicas, journal=journal)
    seen = {"gpu-1": replace(world.bare(1), ours={"containers": runs})}
    draft: Any = SimpleNamespace(observation=SimpleNamespace(record=record, seen=seen, host=lambda _: host))
    asked: list[str] = []
    out = Out(stdout=io.StringIO(), stderr=io.StringIO())
    run: Any = SimpleNamespace(
        out=out, call=lambda _host, _op, _limit, **request: asked.append(request["id"]) or {"changed": True}
    )
    apply.retire(run, "gpu-1", draft, cut=False)
    assert asked == retired
