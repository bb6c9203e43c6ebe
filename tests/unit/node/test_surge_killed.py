"""An exchange beside the former one that is killed at each step, inside each step, and in its bake."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base import spec
from hostler.node.base.protocol import NodeError
from hostler.node.docker import docker
from hostler.node.doors import ports
from hostler.node.exchange import bake, retire, surge
from hostler.node.replica import beside, container, heal, journal

from .fakes import Heard, Host, until
from .test_exchange_killed import KilledError, killed_around, killed_at_step
from .test_surge import NAME, calm, exchanged, machine, serving, want

__all__ = ["machine", "serving"]


POINTS: list[Any] = [
    *(("step", phase) for phase in (beside.BESIDE, beside.SWITCH, beside.LEAVE)),
    *(
        (module, name, when)
        for module, name in (
            (docker, "create"),
            (docker, "start"),
            (docker, "rename"),
            (spec, "set_applied"),
            (ports, "tell"),
            (docker, "stop"),
            (docker, "remove"),
            (journal, "end"),
        )
        for when in ("before", "after")
    ),
]


def kill(host: Host, point: tuple[Any, ...]) -> None:
    want(host, tag="2")
    with pytest.MonkeyPatch.context() as patch:
        killed_at_step(patch, point[1]) if point[0] == "step" else killed_around(patch, *point)
        with pytest.raises(KilledError):
            exchanged()


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_recover_after_a_kill(serving: Host, point: tuple[Any, ...]) -> None:
    kill(serving, point)
    assert serving.docker.running()
    retire.recover({"op": "recover"}, Heard())
    until(lambda: serving.runs() != "", "it runs")
    assert len(serving.docker.running()) == 1
    assert exchanged()["outcome"] in ("exchanged", "same", "started")
    calm(serving, "2")


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_its_own_run_puts_it_right(serving: Host, point: tuple[Any, ...]) -> None:
    """Nobody comes: no memory stays lost."""
    kill(serving, point)
    with journal.locked(["chat-0"]):
        beside.attend("chat-0")
    assert len(serving.docker.running()) == 1
    assert journal.names() == []


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_boot_after_a_power_cut(serving: Host, point: tuple[Any, ...]) -> None:
    kill(serving, point)
    serving.reboot()
    until(lambda: serving.runs() != "" and journal.names() == [], "it runs after the boot")
    assert serving.docker.names() == ["/" + NAME]


@pytest.mark.parametrize(("runs", "how"), [(True, "recovered"), (True, "attended"), (False, "recovered")])
def test_a_kill_in_the_bake(serving: Host, monkeypatch: pytest.MonkeyPatch, runs: bool, how: str) -> None:
    """It goes forward while the new one runs."""

    def killed(record: dict[str, Any], *_: Any) -> str:
        journal.step(record, "bake", served=True)
        raise KilledError

    monkeypatch.setattr(bake, "bake", killed)
    want(serving, tag="2")
    with pytest.raises(KilledError):
        exchanged()
    assert len(serving.docker.running()) == 2
    if runs:
        assert heal.goes_forward(journal.read("chat-0") or {})
    else:
        docker.stop(NAME, 1)  # whoever waits for its end may put it right before the others do
    if how == "attended":
        with journal.locked(["chat-0"]):
            beside.attend("chat-0")
        assert len(serving.docker.running()) == 1
    retire.recover({"op": "recover"}, Heard())
    until(lambda: serving.runs() != "", "it runs")
    calm(serving, "2" if runs else "1")


def test_a_full_disk_leaves_the_old_one(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    step = journal.step

    def full(record: dict[str, Any], phase: str, **more: Any) -> None:
        if phase == beside.SWITCH:
            raise OSError(28, "No space left on device")
        step(record, phase, **more)

    monkeypatch.setattr(journal, "step", full)
    want(serving, tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert caught.value.more["outcome"] == "restored"
    calm(serving, "1")


def test_a_run_in_the_middle_of_it_waits(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the old specification, and the new one has the name: it must stop neither."""
    set_applied, met = spec.set_applied, list[Exception]()

    def beset(identifier: str, found: Any) -> None:
        try:
            container.ensure(spec.applied_or_error(identifier))
        except container.BeingExchangedError as error:
            met.append(error)
        set_applied(identifier, found)

    def worse(*_: Any) -> str:
        raise NodeError("bake", "bake: it does worse")

    want(serving, tag="2")
    with monkeypatch.context() as patch:
        patch.setattr(spec, "set_applied", beset)
        patch.setattr(bake, "bake", worse)
        with pytest.raises(NodeError):
            exchanged()
    assert len(met) == 2
    calm(serving, "1")


def test_a_full_disk_in_its_return_is_waited_for(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doors are told at once, and the old one is not left behind with the new one's specification."""
    step, set_applied = journal.step, spec.set_applied
    tried, told = list[str](), list[int]()

    def worse(*_: Any) -> str:
        raise NodeError("bake", "bake: it does worse")

    def full(record: dict[str, Any], phase: str, **more: Any) -> None:
        if phase == beside.RETURN:
            raise OSError(28, "No space left on device")
        step(record, phase, **more)

    def later(identifier: str, found: Any) -> None:
        tried.append(found["spec"])
        if len(tried) in (2, 3):
            raise OSError(28, "No space left on device")
        set_applied(identifier, found)

    monkeypatch.setattr(surge, "PAUSE", 0.01)
    monkeypatch.setattr(bake, "bake", worse)
    monkeypatch.setattr(journal, "step", full)
    monkeypatch.setattr(spec, "set_applied", later)
    monkeypatch.setattr(ports, "tell", lambda _, found=None: told.append(spec.port(found or {})))
    want(serving, tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert caught.value.message.endswith("it does worse; the old one never stopped")
    assert len(tried) == 4
    assert told[1] == serving.port
    calm(serving, "1")


@pytest.mark.parametrize("phase", [beside.SWITCH, beside.RETURN])
def test_a_door_that_does_not_answer_is_told_later(
    serving: Host, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """The one that it may still ask goes on, and `run` does not fail."""
    kill(serving, ("step", beside.SWITCH))
    journal.step(journal.read("chat-0") or {}, phase)

    def silent(*_: Any) -> None:
        raise NodeError("door", "the edge does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(ports, "tell", silent)
        assert heal.left_behind("chat-0") == ""
        assert len(serving.docker.running()) == 2
    assert heal.left_behind("chat-0") in ("went on", "went back")
    calm(serving, "2" if phase == beside.SWITCH else "1")


def test_a_run_never_ends_the_old_one_for_the_new_one_s_specification(serving: Host) -> None:
    """Between a return's two steps, and nobody there to take the second."""
    new = {**(spec.applied("chat-0") or {}), "spec": "another"}
    old: Any = docker.inspect(NAME)
    record = {"id": "chat-0", "new": new, "old": spec.applied("chat-0"), "old_container": old["Id"]}
    journal.step({**record, "surge": True}, beside.RETURN)
    spec.set_applied("chat-0", new)
    with pytest.raises(container.BeingExchangedError):
        container.ensure(new)
    assert docker.inspect(NAME) == old
    assert heal.left_behind("chat-0") == "went back"
    calm(serving, old["Config"]["Labels"]["hostler.spec"])


def test_a_silent_door_keeps_no_old_one_down(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place: back to what ran."""

    def silent(*_: Any) -> None:
        raise NodeError("door", "the edge does not answer")

    monkeypatch.setattr(ports, "tell", silent)
    want(serving, "exits", tag="2", beside=False)
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert caught.value.more["outcome"] == "restored"
    calm(serving, "1")


def test_a_third_one_is_nobody_s(serving: Host) -> None:
    """A `run` made it of a specification that it had read before."""
    old: Any = docker.inspect(NAME)
    docker.rename(NAME, NAME + "-old")
    for name in (NAME, NAME + "-new"):
        serving.docker.create_foreign(name)
    found = {"id": "chat-0", "old": spec.applied("chat-0"), "old_container": old["Id"], "surge": True}
    beside.take_back(found)
    assert (docker.inspect(NAME) or {})["Id"] == old["Id"]
    assert serving.docker.names() == ["/" + NAME, f"/{NAME}-new"]
