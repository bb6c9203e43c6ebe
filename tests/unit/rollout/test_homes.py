"""Which host may say that it has the stack's record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.console.out import Out
from hostler.errors import RefusedError
from hostler.hosts import ways
from hostler.record import store
from hostler.rollout import homes, observe, session
from worlds import configure_world as world

STACK = "office"
RECORD = replace(world.record(), stack=STACK)


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def look(monkeypatch: pytest.MonkeyPatch, *numbers: int | None) -> observe.Observation:
    """gpu-1, which the file makes the gateway, and gpu-2 say that they have records of these numbers."""
    said = [store.dump(replace(RECORD, number=number)) if number else None for number in numbers]
    seen = {f"gpu-{at}": replace(world.bare(at), record=record) for at, record in enumerate(said, 1)}
    monkeypatch.setattr(observe, "look", lambda *_args, **_kwargs: seen)
    return observe.observe(world.stack(), pulumi=False)


def test_the_gateways_host_by_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(monkeypatch, 4, 3).record
    assert found
    assert found.number == 4


def test_another_host_does_not_make_itself_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match="gpu-2: expected no newer record"):
        look(monkeypatch, 4, 9)


def test_where_this_machine_saw_it_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway was on gpu-2, and comes to gpu-1, where it was long ago."""
    homes.remember(STACK, "gpu-2")
    found = look(monkeypatch, 4, 9).record
    assert found
    assert found.number == 9


def test_what_was_found_once_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    look(monkeypatch, None, 9)
    assert homes.trusted(STACK, "gpu-1", "") == ("gpu-1", "gpu-2")


def test_a_damaged_memory_is_none(state: Path) -> None:
    homes.remember(STACK, "gpu-2")
    (path,) = state.rglob(homes.NAME)
    path.write_text("{")
    assert homes.trusted(STACK) == ()


def test_the_controller_trusts_its_own_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    homes.remember(STACK, "gpu-2")
    monkeypatch.setenv(ways.ENVIRONMENT, str(tmp_path))
    monkeypatch.setenv(ways.HOME, "gpu-1")
    assert homes.trusted(STACK, "gpu-3") == ("gpu-1",)


@pytest.mark.parametrize(("reached", "told"), [(("gpu-1", "gpu-2"), ["gpu-1"]), (("gpu-2",), [])])
def test_the_home_of_before_says_where_it_goes(
    monkeypatch: pytest.MonkeyPatch, reached: tuple[str, ...], told: list[str]
) -> None:
    hosts = {host.name: host for host in world.hosts()}
    said: list[tuple[str, str, dict[str, Any]]] = []
    call = lambda transport, op, **request: said.append((transport, op, request["record"]))  # noqa: E731
    monkeypatch.setattr(session, "agent_call", call)
    run = session.Session(
        run="r", lock=cast("Any", SimpleNamespace(check=lambda: None)), gateway=hosts["gpu-2"], hosts=tuple(hosts.values()),
        out=Out(), record=RECORD, transports={name: cast("Any", name) for name in reached},
    )  # fmt: skip
    run.leave("gpu-2", RECORD)
    run.leave("gpu-1", replace(RECORD, number=4))
    assert [name for name, _, _ in said] == told
    assert [(op, record["number"], record["moved"]) for _, op, record in said] == [
        ("record-commit", 5, "gpu-2") for _ in told
    ]
