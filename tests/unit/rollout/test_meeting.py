"""The first contact: whatever breaks between, one of the keys on paper is the one that the host shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cloud.types import Candidate, Rented
from hostler.console.out import Out
from hostler.errors import HostError, ProvisionError
from hostler.hosts.types import Host
from hostler.rollout import meeting, rented

HAS = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="spot")
MACHINE = Rented(
    slot="burst-0",
    pool="burst",
    id="i-1",
    candidate=HAS,
    public_ip="203.0.113.9",
    private_ip="10.0.0.9",
    uid="u",
)
BORN, NEW = "ssh-ed25519 BORN", "ssh-ed25519 NEXT"


class World:
    """A host with a key that it shows, one that it made, and whether it was adopted; and what stands on paper."""

    def __init__(self) -> None:
        self.shown, self.next, self.adopted = BORN, "", False
        self.paper: dict[str, Any] = {"burst-0": {"keys": [BORN], "user": "ubuntu"}}
        self.dies_at = ""
        self.told: str | None = None  # instead of the key
        self.deaf, self.deaf_to = 0, "adopt"  # so many calls of a kind find nobody there

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        assert name == rented.HOSTS
        self._die("keep")
        self.paper = dict(data)

    def call(self, host: Host, op: str, **request: Any) -> dict[str, Any]:
        if op == self.deaf_to and self.deaf:
            self.deaf -= 1
            raise HostError.of(host.name, expected="an SSH server", got="connection refused")
        if host.ssh.host_key != self.shown:
            raise HostError.of(host.name, expected="its key", got="another key")
        self._die(op)
        if op == "hostkey-make":
            if self.shown != request["old"]:
                return {"public": self.shown, "used": True}
            self.next = self.next or NEW
            return {"public": self.next if self.told is None else self.told, "used": False}
        if op == "hostkey-use":
            self.shown = request["public"]
            self._die("used")
        if op == "adopt":
            self.adopted = True
        return {}

    def _die(self, where: str) -> None:
        if where == self.dies_at:
            raise KeyboardInterrupt

    def meet(self, *machines: Rented) -> None:
        record: Any = SimpleNamespace(uid="u", stack="office")
        file: Any = None
        fleet: Any = self
        meeting.meet(
            file, fleet, machines or [MACHINE], self.paper, record=record, out=Out(stderr=StringIO())
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(meeting, "agent_call_of", made.call)
    monkeypatch.setattr(meeting.stackkey, "path", lambda *_: Path("id_ed25519"))
    monkeypatch.setattr(meeting, "EVERY_S", 0)
    return made


def test_the_key_of_its_birth_is_exchanged(world: World) -> None:
    world.meet()
    assert world.shown == NEW
    assert world.adopted
    assert world.paper["burst-0"] == {"keys": [NEW], "user": "ubuntu", "met": True}


@pytest.mark.parametrize("where", ["hostkey-make", "keep", "hostkey-use", "used", "adopt"])
def test_whatever_breaks_the_next_run_goes_on(world: World, where: str) -> None:
    world.dies_at = where
    with pytest.raises(KeyboardInterrupt):
        world.meet()
    assert world.shown in world.paper["burst-0"]["keys"]
    assert "met" not in world.paper["burst-0"]
    world.dies_at = ""
    world.meet()
    assert world.adopted
    assert world.paper["burst-0"]["keys"] == [world.shown] == [NEW]


@pytest.mark.parametrize(
    "told", [NEW + "\n* ssh-ed25519 EVIL", NEW + " one\n* x", "* " + NEW, "ssh-ed25519 A", ""]
)
def test_a_key_that_is_no_key_is_not_written_down(world: World, told: str) -> None:
    """It would stand in files in which each line is trusted."""
    world.told = told
    with pytest.raises(HostError, match=r"burst-0 \(i-1\): expected the host key that it made"):
        world.meet()
    assert world.paper["burst-0"] == {"keys": [BORN], "user": "ubuntu", "silent": "i-1"}
    assert not world.adopted


def test_a_keys_comment_is_left_out(world: World) -> None:
    world.told = NEW + " root@burst-0"
    world.meet()
    assert world.paper["burst-0"]["keys"] == [NEW]


@pytest.mark.parametrize("op", ["hostkey-use", "adopt"])
def test_an_sshd_that_starts_again_is_waited_for(world: World, op: str) -> None:
    world.deaf, world.deaf_to = 2, op
    world.meet()
    assert world.adopted


def test_one_that_was_born_with_an_earlier_key_is_met_by_it(world: World) -> None:
    """Its run was killed before its answer came, and the next one made another key."""
    world.paper["burst-0"]["keys"] = ["ssh-ed25519 LATER", BORN]
    world.meet()
    assert world.shown == NEW


def test_one_that_is_silent_does_not_hold_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "READY_S", 0)
    world.paper["burst-1"] = {"keys": ["ssh-ed25519 NEVER"], "user": "ubuntu"}
    with pytest.raises(HostError) as raised:
        world.meet(MACHINE, replace(MACHINE, slot="burst-1"))
    assert [problem.where for problem in raised.value.problems] == ["burst-1 (i-1)"]
    assert world.adopted


@pytest.mark.parametrize(
    ("ended", "impaired", "why"),
    [("taken back", False, "its instance has ended: taken back"), ("", True, "impaired")],
)
def test_one_that_will_never_answer_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, ended: str, impaired: bool, why: str
) -> None:
    monkeypatch.setattr(meeting, "ASK_S", 0)
    monkeypatch.setattr(meeting, "IMPAIRED_S", 0)
    monkeypatch.setattr(meeting.live, "ended", lambda _machine: ended)
    monkeypatch.setattr(meeting.live, "impaired", lambda _machine: impaired)
    world.shown = "nobody"
    with pytest.raises(HostError) as raised:
        world.meet()
    assert why in raised.value.problems[0].got
    assert raised.value.problems[0].where == "burst-0 (i-1)"


def test_a_slow_start_is_no_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's checks fail for a while, then they pass; and where it cannot be asked, nothing is known."""
    answers = iter([True, ProvisionError.of("AWS", expected="an answer", got="none"), True, False])

    def impaired(_machine: Rented) -> bool:
        answer = next(answers, None)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            world.shown = BORN  # it answers at last
        return bool(answer)

    monkeypatch.setattr(meeting, "ASK_S", 0)
    monkeypatch.setattr(meeting.live, "ended", lambda _machine: "")
    monkeypatch.setattr(meeting.live, "impaired", impaired)
    world.shown = "nobody"
    world.meet()
    assert world.adopted


def test_after_ctrl_c_nobody_waits_for_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()

    def call(host: Host, op: str, **_: Any) -> dict[str, Any]:
        if host.name == "burst-1":
            assert waiting.wait(10)
            raise KeyboardInterrupt
        waiting.set()
        raise HostError.of(host.name, expected="an SSH server", got=f"no answer to {op}")

    monkeypatch.setattr(meeting, "agent_call_of", call)
    monkeypatch.setattr(meeting.live, "ended", lambda _machine: "")
    monkeypatch.setattr(meeting.live, "impaired", lambda _machine: False)
    world.paper["burst-1"] = {"keys": [BORN], "user": "ubuntu"}
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        world.meet(replace(MACHINE, slot="burst-1"), MACHINE)
    assert time.monotonic() - began < meeting.READY_S / 10
    assert "silent" not in world.paper["burst-0"]


def test_one_that_was_given_up_is_ended_by_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meeting, "READY_S", 0)
    world.shown = "nobody"
    with pytest.raises(HostError):
        world.meet()
    document = world.paper["burst-0"]
    now = 1_800_000_000.0
    young = replace(MACHINE, since=now - 60)
    assert rented._dead(young, document, now)
    assert not rented._dead(replace(young, id="i-2"), document, now)  # another one in its slot
    assert not rented._dead(young, document | {"met": True}, now)
    assert not rented._dead(young, {"keys": [BORN]}, now)


def test_a_host_with_another_key_is_not_met(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.shown = "ssh-ed25519 SOMEBODY"
    monkeypatch.setattr(meeting, "READY_S", 0)
    with pytest.raises(HostError) as raised:
        world.meet()
    assert "another key" in str(raised.value.problems[0])
    assert not world.adopted
