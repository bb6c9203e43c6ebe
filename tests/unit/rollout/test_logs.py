"""`hostler logs` of what is not there."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.errors import HostError, UsageError
from hostler.hosts.types import Seen
from hostler.rollout import logs
from hostler.rollout.observe import Observation
from worlds import configure_world as world


def asked(monkeypatch: pytest.MonkeyPatch, **change: Any) -> None:
    hosts = world.hosts()
    seen = {"gpu-1": world.bare(1), "gpu-2": world.bare(2)}
    found = Observation(file=world.stack(), hosts=hosts, gone=(), seen=seen, record=None, gateway=hosts[0])
    monkeypatch.setattr(logs, "observe", lambda *_, **__: replace(found, **change))
    out = Out(stdout=io.StringIO(), stderr=io.StringIO())
    logs.logs(world.stack(), "nosuch", out, lines=1, follow=False)


def test_what_runs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = replace(world.bare(1), ours={"containers": ("chat-0", "gateway")})
    with pytest.raises(UsageError, match="one of chat-0, gateway"):
        asked(monkeypatch, seen={"gpu-1": here})


def test_a_stack_that_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="a stack that is up"):
        asked(monkeypatch)


def test_hosts_that_do_not_answer_are_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Seen(host="gpu-1", at=0.0, seconds=1.0, error="connection refused", error_kind="refused")
    with pytest.raises(HostError, match="connection refused"):
        asked(monkeypatch, seen={"gpu-1": dead})
