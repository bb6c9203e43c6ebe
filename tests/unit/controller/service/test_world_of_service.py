"""What the service knows is made once for what it heard, and wishes once for a record."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.controller.service import serve
from hostler.controller.service.serve import Service
from hostler.hosts import ways
from hostler.hosts.types import Seen
from hostler.leases.view import View
from hostler.record import store
from hostler.rollout import idle
from worlds import configure_world as world

HOSTS = {host.name: host for host in world.hosts()}
REPLICAS = world.placement().replicas
RECORD = store.dump(world.record(release=1, hosts=HOSTS, replicas=REPLICAS))


class Heard:
    """A service whose hosts are told of here."""

    def __init__(self, there: Path) -> None:
        (there / "stack.yaml").write_text(world.STACK)
        self.service = Service(there, there, Out(stdout=StringIO(), stderr=StringIO()), there)
        self._at(View(host=HOSTS["gpu-1"]), View(host=HOSTS["gpu-2"]))

    def _at(self, *views: View) -> None:
        keepers: Any = {view.host.name: SimpleNamespace(view=view) for view in views}
        self.service._keepers = keepers

    def says(self, record: dict[str, Any]) -> None:
        seen = Seen(host="gpu-1", at=time.time(), seconds=0.1, record=record)
        self._at(View(host=HOSTS["gpu-1"], seen=seen), View(host=HOSTS["gpu-2"]))

    def looks(self) -> None:
        home, other = self.service.world().views.values()
        self._at(home, replace(other, looked={"at": 1.0}, at=time.monotonic()))


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heard:
    monkeypatch.setattr(serve, "SAME_S", 1000.0)
    made = Heard(tmp_path)
    made.says(RECORD)
    return made


def test_the_same_until_something_is_heard(heard: Heard) -> None:
    first = heard.service.world()
    assert heard.service.world() is first
    heard.looks()
    second = heard.service.world()
    assert second is not first
    assert second.views["gpu-2"].looked == {"at": 1.0}


def test_and_not_for_long(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due depends on the time as well."""
    first = heard.service.world()
    monkeypatch.setattr(serve, "SAME_S", 0.0)
    assert heard.service.world().now > first.now


def test_wishes_of_a_record(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    real: Callable[..., Any] = idle.wishes
    monkeypatch.setattr(idle, "wishes", lambda *of: made.append(of) or real(*of))
    monkeypatch.setattr(serve, "SAME_S", 0.0)
    first = heard.service.world()
    heard.says(deepcopy(RECORD))  # as a host says it each 30 s
    assert heard.service.world().record is first.record
    assert len(made) == 1
    heard.says({**RECORD, "number": 7})
    again = heard.service.world()
    assert again.record
    assert (again.record.number, len(made)) == (7, 2)


def test_the_record_is_that_of_the_host_on_which_it_runs(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ways.ENVIRONMENT, str(tmp_path))
    monkeypatch.setenv(ways.HOME, "gpu-2")
    monkeypatch.setattr(serve, "SAME_S", 0.0)
    heard.service._record = (None, None)
    assert heard.service.world().record is None
    monkeypatch.setenv(ways.HOME, "gpu-1")
    assert heard.service.world().record
