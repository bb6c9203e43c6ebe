"""One host's stream: what is known of it while it is there, while it comes again, and when it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.controller.service import keeper
from hostler.controller.service.keeper import Keeper
from hostler.errors import HostError
from hostler.hosts import probe
from hostler.hosts.types import Host, Seen, Ssh
from hostler.leases.view import METERED_S, View

HOST = Host(name="gpu-1", pool="rack", ssh=Ssh(address="gpu-1"))
REFUSED = HostError.of("gpu-1", expected="an SSH server", got="connection refused")
LIMIT_S = 20.0


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the host says to the first who asks; after that nobody answers there."""
    found: list[dict[str, Any]] = []

    @contextmanager
    def talk(*_: Any, **__: Any) -> Iterator[Any]:
        if not found:
            raise REFUSED
        yield SimpleNamespace(hear=lambda _: found.pop(0) if found else None)

    def seen(name: str, _said: Any, *_: float) -> Seen:
        return Seen(host=name, at=1.0, seconds=0.1)

    monkeypatch.setattr(keeper, "AGAIN_S", (0.01, 0.01))
    monkeypatch.setattr(keeper, "transport_for", lambda _: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(keeper, "talk", talk)
    monkeypatch.setattr(probe, "seen", seen)
    return found


def kept(until: Callable[[View], bool]) -> View:
    one = Keeper(HOST, (), lambda: None)
    one.start()
    try:
        end = time.monotonic() + LIMIT_S
        while not until(one.view):
            assert time.monotonic() < end
            time.sleep(0.01)
        return one.view
    finally:
        one.end()


def refused(view: View) -> bool:
    return "refused" in view.error


def test_one_that_is_gone_for_a_moment_is_as_it_was(lines: list[dict[str, Any]]) -> None:
    lines += [{"seen": {}}, {"looked": {"at": 1.0}}]
    view = kept(refused)
    assert view.seen
    assert view.seen.reached
    assert view.looked == {"at": 1.0}


def test_one_that_is_lost_does_not_answer(
    lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LOST_S", -1.0)
    lines += [{"seen": {}}, {"looked": {"at": 1.0}}]
    view = kept(lambda one: refused(one) and one.seen is not None and not one.seen.reached)
    assert view.seen
    assert "refused" in view.seen.error


def test_one_that_never_answered_does_not(lines: list[dict[str, Any]]) -> None:
    assert lines == []
    view = kept(refused)
    assert view.seen
    assert not view.seen.reached


def test_what_its_meter_says_is_kept(lines: list[dict[str, Any]]) -> None:
    lines += [{"meter": {"watts": 312, "why": ""}}]
    view = kept(lambda one: one.metered is not None)
    assert view.metered
    assert view.watts(view.metered.at + METERED_S) == 312.0
    assert view.watts(view.metered.at + METERED_S + 1) is None  # nobody said it of late


@pytest.mark.parametrize(
    ("meter", "asks"),
    [("", {"ask": ["facts"]}), ("cat x", {"ask": ["facts"], "meter": {"command": "cat x", "host": "gpu-1"}})],
)
def test_the_host_is_told_how_its_meter_is_read(
    monkeypatch: pytest.MonkeyPatch, meter: str, asks: dict[str, Any]
) -> None:
    asked: list[dict[str, Any]] = []

    @contextmanager
    def talk(*_: Any, **request: Any) -> Iterator[Any]:
        asked.append(request)
        raise REFUSED
        yield

    monkeypatch.setattr(keeper, "transport_for", lambda _: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(keeper, "talk", talk)
    one = Keeper(HOST, ("facts",), lambda: None, meter)
    one.start()
    end = time.monotonic() + LIMIT_S
    while not asked:
        assert time.monotonic() < end
        time.sleep(0.01)
    one.end()
    assert asked[0] == asks
