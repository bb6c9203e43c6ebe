"""Old weights go last: as long as the new release has not answered, they are what would have to come back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.configure.types import Change
from hostler.errors import ConfigureError
from hostler.manifest.items import Effect, Part
from hostler.record.types import Record
from hostler.rollout import apply, up, verify

OLD = "/var/lib/hostler/models/0123/old.gguf"


def change(item: str, action: Any) -> Change:
    return Change(
        host="gpu-1",
        part=Part.ENGINE,
        item=item,
        action=action,
        now="there" if action == "remove" else "",
        then="" if action == "remove" else "there",
        why="",
        effect=Effect.NONE,
    )


NEW, GONE = change(f"model:{OLD[:-8]}new.gguf", "add"), change(f"model:{OLD}", "remove")


class World:
    """A draft and a session of which only what apply and verify look at is there."""

    def __init__(self, *changes: Change) -> None:
        plan = SimpleNamespace(
            changes=changes,
            removed_hosts=(),
            vacated=(),
            manifests={},
            exchanges=(),
            downtime_s={},
            release=SimpleNamespace(models={}),
            placement=SimpleNamespace(replicas=()),
        )
        observation = SimpleNamespace(
            hosts=(), file=SimpleNamespace(path="office.yaml"), seen={}, every={}, record=None, cloud=None
        )
        observation.gateway = SimpleNamespace(name="gpu-1")
        self.draft: Any = SimpleNamespace(plan=plan, observation=observation, record=None)
        lock = SimpleNamespace(lost=None, check=lambda: None)
        out = SimpleNamespace(live=lambda _line: None, say=lambda _line: None)
        self.run: Any = SimpleNamespace(
            transports={"gpu-1": None}, lock=lock, out=out, run="r", record=Record(uid="u", stack="office")
        )


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Change, ...]]:
    found: list[tuple[Change, ...]] = []
    monkeypatch.setattr(apply, "run_playbooks", lambda **given: found.append(given["changes"]))
    monkeypatch.setattr(apply.secret, "values", lambda *_: {})
    return found


def test_a_change_leaves_old_weights_and_pruning_takes_nothing_else(played: list[Any]) -> None:
    world = World(NEW, GONE)
    apply.apply(world.draft, world.run)
    assert played == [(NEW,)]
    apply.prune(world.draft, world.run)
    assert played == [(NEW,), (GONE,)]


def test_ansible_runs_for_nothing_in_neither(played: list[Any]) -> None:
    world = World(GONE)
    apply.apply(world.draft, world.run)
    assert played == []
    world = World(NEW)
    apply.prune(world.draft, world.run)
    assert played == []


def test_old_weights_are_no_difference_yet_and_all_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Change] = [GONE]
    monkeypatch.setattr(verify, "look", lambda _hosts: {})
    monkeypatch.setattr(verify, "replace", lambda value, **_: value)
    monkeypatch.setattr(
        verify.planning,
        "draft",
        lambda *_: SimpleNamespace(plan=SimpleNamespace(changes=tuple(left))),
    )
    world = World(GONE)
    verify.differences(world.draft, world.run)
    left.append(change("container:chat-0", "remove"))
    with pytest.raises(ConfigureError) as error:
        verify.differences(world.draft, world.run)
    assert [problem.where for problem in error.value.problems] == ["gpu-1: container:chat-0"]


@pytest.mark.parametrize("fails", [False, True])
def test_pruning_waits_for_the_answers_and_the_record(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world, done = World(NEW, GONE), list[str]()

    @contextmanager
    def session(*_: Any, **__: Any) -> Generator[Any]:
        yield world.run

    def smoke(*_: Any) -> tuple[()]:
        done.append("smoke")
        if fails:
            raise ConfigureError.of("model chat", expected="an answer", got="none", next_step="look")
        return ()

    def noted(name: str, value: Any = None) -> Any:
        return lambda *_, **__: done.append(name) or value

    monkeypatch.setattr(up, "session", session)
    monkeypatch.setattr(up, "_before", lambda _: None)
    monkeypatch.setattr(up, "_still_true", lambda draft, *_: draft)
    monkeypatch.setattr(up, "refuse_unreached", lambda _: None)
    for name in ("_begin", "_accept", "_finish", "apply", "prune"):
        monkeypatch.setattr(up, name, noted(name))
    monkeypatch.setattr(up.renting, "contract", noted("contract"))
    monkeypatch.setattr(up.renting, "stays", noted("stays"))
    monkeypatch.setattr(up.verify, "differences", noted("differences", world.draft))
    monkeypatch.setattr(up.verify, "routed", noted("routed"))
    monkeypatch.setattr(up.verify, "smoke", smoke)
    if fails:
        with pytest.raises(ConfigureError):
            up.change(world.draft, world.run.out, up.Options())
    else:
        up.change(world.draft, world.run.out, up.Options())
    before = ["_begin", "_accept", "apply", "differences", "routed", "smoke"]
    assert done == (before if fails else [*before, "stays", "_finish", "prune", "contract"])
