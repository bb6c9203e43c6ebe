"""What `hostler doctor` finds in what it sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostler.errors import ProvisionError
from hostler.hosts.types import Driver, Value
from hostler.rollout import doctor
from worlds import configure_world as world


@pytest.mark.parametrize(("word", "bad"), [("UP", False), ("DOWN", True)])
def test_a_replica_that_gets_no_requests(word: str, bad: bool) -> None:
    engine = Value({"health": 200, "draining": False}, world.AT)
    routes = {
        f"route:chat-{i}": Value({"status": said, "check": "L4TOUT"}, world.AT)
        for i, said in enumerate(("UP", word))
    }
    seen = {
        "gpu-1": replace(world.bare(1), observed={"replica:chat-0": engine, **routes}),
        "gpu-2": replace(world.bare(2), observed={"replica:chat-1": engine}),
    }
    found = list(doctor._routes(world.record(replicas=world.placement().replicas), seen))
    assert bool(found) is bad
    assert [f.what for f in found] == ["chat-1 is ready, and the gateway sends it nothing: DOWN L4TOUT"] * bad


@pytest.mark.parametrize("ssh", [True, False])
def test_this_machine_alone_needs_no_ssh(monkeypatch: pytest.MonkeyPatch, ssh: bool) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    missing = [f.what.partition(":")[0] for f in doctor._machine(ssh=ssh) if "openssh" in f.next_step]
    assert missing == ["no ssh", "no ssh-keygen"] * ssh


def test_a_driver_that_does_not_work_and_why() -> None:
    facts = world.facts(1, cards=(), driver=Driver(state="broken", detail="NVML said no", nouveau=True))
    found = next(iter(doctor._driver("gpu-1", facts)))
    assert found.what == "driver broken: NVML said no; nouveau, the kernel's own driver, has the cards"
    assert found.next_step.startswith("printf 'blacklist nouveau")
    assert found.next_step.endswith("sudo reboot")


def test_where_aws_cannot_be_asked_the_owned_hosts_still_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(world.STACK)

    def expired(*_: Any, **__: Any) -> Any:
        raise ProvisionError.of("AWS", expected="credentials", got="expired ones", next_step="aws sso login")

    monkeypatch.setattr(doctor, "observe", expired)
    monkeypatch.setattr(doctor, "look", lambda hosts: {host.name: world.bare(1) for host in hosts})
    found = doctor.examine(str(path))
    (aws,) = [one for one in found if one.where == "AWS"]
    assert (aws.bad, aws.next_step) == (True, "aws sso login")
    assert any("cards" in one.what and not one.bad for one in found)


def test_one_that_sleeps_is_fine_and_one_that_stands_still_is_not() -> None:
    mark = {"state": "asleep", "since": world.AT, "why": "idle for 20 min"}
    observed = {
        "container:chat-0": Value({"running": False, "exit_code": 0}, world.AT),
        "replica:chat-0": Value({"health": 0, "draining": False, "asleep": mark}, world.AT),
        "container:chat-1": Value({"running": False, "exit_code": 0}, world.AT),
        "replica:chat-1": Value({"health": 0, "draining": False, "asleep": None}, world.AT),
    }
    found = [(f.what, f.bad) for f in doctor._containers(replace(world.bare(1), observed=observed))]
    assert found == [("chat-0 is asleep: idle for 20 min", False), ("chat-1 is stopped (exit 0)", True)]
