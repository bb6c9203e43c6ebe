"""Whether a replica that clients ask throughout is as fast as its former one."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base import spec
from hostler.node.base.protocol import NodeError
from hostler.node.canary import canary
from hostler.node.docker import docker
from hostler.node.doors import ports
from hostler.node.exchange import bake, surge
from hostler.node.replica import wait

from .fakes import Host
from .test_surge import NAME, calm, exchanged, machine, serving, want

__all__ = ["machine", "serving"]


def record_of(host: Host, speed: float | None, requests: int = 2) -> dict[str, Any]:
    old: Any = spec.applied("chat-0")
    before = {"speed": None, "busy": {"speed": speed, "requests": requests}}
    return {"id": "chat-0", "new": old, "old": old, "before": before}


@pytest.mark.parametrize(
    ("speeds", "requests", "said"),
    [
        ([90.0], 2, ""),
        ([10.0, 20.0, 85.0], 2, ""),  # the best counts
        ([55.0], 6, ""),  # twice the requests, half of it for each
        ([10.0], 10, "it has many more requests than the old one had"),
        ([10.0, 20.0, 30.0], 2, "got 60.0"),  # of 200 in all
        ([10.0, 20.0, 30.0], 4, "got 90.0"),  # a slow one gathers requests
    ],
)
def test_under_clients_requests_it_is_as_fast(
    serving: Host, monkeypatch: pytest.MonkeyPatch, speeds: list[float], requests: int, said: str
) -> None:
    left = iter(speeds)
    monkeypatch.setattr(canary, "under_load", lambda _: canary.Load(next(left), None))
    monkeypatch.setattr(canary, "crowded", lambda: "")
    next(iter(serving.docker.engines.values())).busy = requests
    record = record_of(serving, 100.0)
    if said.startswith("got"):
        with pytest.raises(NodeError) as caught:
            surge.as_fast(record)
        assert said in caught.value.message
        monkeypatch.setattr(canary, "crowded", lambda: "99 processes")
        monkeypatch.setattr(canary, "under_load", lambda _: canary.Load(1.0, None))
        assert "which says nothing: 99 processes" in surge.as_fast(record)
    else:
        assert said in surge.as_fast(record)
        assert bool(record.get("fast")) is (said == "")
        if not said:
            assert "as fast as that one" in bake.in_quiet(record, record["new"], "slow")
    assert surge.as_fast(record_of(serving, None)) == ""


def test_a_busy_one_s_speed_is_kept_for_later(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    old: Any = spec.applied("chat-0")
    monkeypatch.setattr(canary, "measured", lambda _: {"speed": 50.0, "tools": True})
    assert surge.measured("chat-0", old)["speed"] == 50.0
    next(iter(serving.docker.engines.values())).busy = 3
    found = surge.measured("chat-0", old)
    assert (found["speed"], found["tools"]) == (None, True)
    assert found["busy"] == {"speed": 50.0, "requests": 3}


def test_a_slow_one_gives_the_requests_back(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before: Any = docker.inspect(NAME)

    def slow(record: dict[str, Any], _: str) -> str:
        raise wait.fail(record["new"], "speed: expected more")

    monkeypatch.setattr(surge, "as_fast", slow)
    want(serving, tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert "speed: expected more; the old one never stopped" in caught.value.message
    after: Any = docker.inspect(NAME)
    assert (after["Id"], after["State"]) == (before["Id"], before["State"])
    calm(serving, "1")


@pytest.mark.parametrize(("requests", "said"), [(0, "got 30.0"), (2, "got 60.0"), (9, "unknown")])
def test_what_the_canary_could_not_tell_is_looked_at_again(
    serving: Host, monkeypatch: pytest.MonkeyPatch, requests: int, said: str
) -> None:
    """The old one was quiet when it was asked, and had requests while the new one was."""
    monkeypatch.setattr(canary, "under_load", lambda _: canary.Load(30.0, None))
    monkeypatch.setattr(canary, "crowded", lambda: "")
    next(iter(serving.docker.engines.values())).busy = requests
    record = {**record_of(serving, None), "before": {"speed": 100.0}}
    assert surge.as_fast(record) == ""
    unproven = f"speed: expected 80.0; got 30.0, {canary.UNCLEAR}: chat-0 serves besides it"
    if said == "unknown":
        assert "its speed is unknown" in surge.as_fast(record, unproven)
    else:
        with pytest.raises(NodeError, match=said):
            surge.as_fast(record, unproven)


def test_lost_tools_are_seen_on_the_other_port(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    old: Any = spec.applied("chat-0")
    new: Any = ports.beside(old, old)
    monkeypatch.setattr(canary, "calls", lambda *_: False)
    assert canary.tools(new, None, old) == ""
    with pytest.raises(NodeError, match="expected a call of get_weather"):
        canary.tools(new, True, old)
