"""People wait for the moment in which the controller gives back what is idle; for anybody else's change they do not."""

from __future__ import annotations

from contextlib import ExitStack
from io import StringIO
from typing import Any, ClassVar

import pytest

from hostler.console.out import Out
from hostler.errors import LockedError
from hostler.hosts import ways
from hostler.hosts.lock import BrieflyLockedError, locked
from hostler.rollout import session

IDLE = {"who": "hostler-updates", "from": "gpu-1", "why": "idle: chat-0", "age": 2}


class Lock:
    """Held by somebody for the first tries."""

    tries: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Lock:
        if self.tries:
            raise locked("gpu-1", self.tries.pop())
        return self

    def __exit__(self, *_: object) -> None: ...


def taken(monkeypatch: pytest.MonkeyPatch, *holders: dict[str, Any]) -> Any:
    monkeypatch.setattr(session, "Lock", Lock)
    monkeypatch.setattr(session, "PAUSE_S", 0.0)
    monkeypatch.setattr(Lock, "tries", list(holders))
    home: Any = None
    with ExitStack() as stack:
        return session._locked(stack, home, Out(stderr=StringIO()), "up")  # pyright: ignore[reportPrivateUsage]


def test_the_controllers_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(taken(monkeypatch, IDLE, IDLE, IDLE), Lock)


@pytest.mark.parametrize("holder", [{**IDLE, "who": "ana"}, {**IDLE, "why": "update of chat"}])
def test_others_are_not(monkeypatch: pytest.MonkeyPatch, holder: dict[str, Any]) -> None:
    with pytest.raises(LockedError) as found:
        taken(monkeypatch, holder)
    assert not isinstance(found.value, BrieflyLockedError)


def test_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "BRIEF_S", 0.0)
    with pytest.raises(BrieflyLockedError):
        taken(monkeypatch, IDLE, IDLE)


def test_the_controller_itself_does_not_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv(ways.ENVIRONMENT, str(tmp_path))
    with pytest.raises(BrieflyLockedError):
        taken(monkeypatch, IDLE)


def test_where_it_rents_it_waits_for_anybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """People wait for that."""
    monkeypatch.setenv(ways.ENVIRONMENT, str(tmp_path))
    monkeypatch.setenv(ways.RIGHTS, "1")
    assert isinstance(taken(monkeypatch, IDLE, {**IDLE, "who": "ana"}), Lock)
    monkeypatch.setattr(session, "RENTING_S", 0.0)
    with pytest.raises(LockedError):
        taken(monkeypatch, {**IDLE, "who": "ana"}, IDLE)
