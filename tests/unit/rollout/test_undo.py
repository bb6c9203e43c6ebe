"""What a failed change says: once, whether it goes back or not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hostler.errors import ConfigureError
from hostler.rollout import undo
from worlds import configure_world as world

from .test_downtime import change


def failing(monkeypatch: pytest.MonkeyPatch, *changes: Any) -> tuple[list[str], ConfigureError]:
    """A change that fails; `changes`: what leads back."""
    said: list[str] = []
    monkeypatch.setattr(undo, "obstacle", lambda _: "")
    monkeypatch.setattr(undo, "live_release", lambda _: world.release())
    draft = SimpleNamespace(plan=SimpleNamespace(changes=changes))
    monkeypatch.setattr(undo, "_draft_of_before", lambda *_: draft)
    record = SimpleNamespace(journal=SimpleNamespace(release=2), release=1)
    run: Any = SimpleNamespace(
        record=record, lock=SimpleNamespace(check=lambda: None), out=SimpleNamespace(say=said.append)
    )
    error = ConfigureError.of("gpu-1", expected="room", got="none", next_step="make some")
    with pytest.raises(ConfigureError) as caught, undo.guarded(world.stack(), run, cut=False):
        raise error
    return said, caught.value


def test_before_any_exchange_the_error_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said, error = failing(monkeypatch)
    assert said == []
    assert "room" in str(error)


def test_what_goes_back_says_why_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(undo, "replace", lambda record, **_: record)
    monkeypatch.setattr(undo, "failed", lambda record, _: record)
    monkeypatch.setattr(undo, "apply", stop)
    said: list[str] = []
    record = SimpleNamespace(journal=SimpleNamespace(release=2), release=1)
    run: Any = SimpleNamespace(record=record, commit=lambda _: None, out=SimpleNamespace(say=said.append))
    monkeypatch.setattr(undo, "live_release", lambda _: world.release())
    draft = SimpleNamespace(plan=SimpleNamespace(changes=(change(),)))
    monkeypatch.setattr(undo, "_draft_of_before", lambda *_: draft)
    with pytest.raises(KeyboardInterrupt):
        undo.back(world.stack(), run, "why", cut=False, said="failed: why")
    assert said == ["failed: why", "going back to release 1: chat-0"]
