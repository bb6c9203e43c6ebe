"""Ansible's story in our words, and what is said when it fails."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostler.configure import failures, run
from hostler.configure.events import Event, event_of
from hostler.errors import ConfigureError, HostlerError, RefusedError, RolledBackError
from hostler.hosts.types import Ssh
from worlds import configure_world as world

RESTORED = {
    "error": "restored",
    "message": "it exited",
    "next": "look",
    "outcome": "restored",
    "log": ["no GPU", "bye"],
}


def line(event: str, **data: Any) -> dict[str, Any]:
    return {"event": event, "host": "gpu-1", "task": "Exchange replicas", "role": "engine", **data}


def command(answer: dict[str, Any], rc: int) -> dict[str, Any]:
    return {
        "rc": rc,
        "stdout": '{"progress":1}\n' + json.dumps(answer),
        "stderr": "",
        "msg": "non-zero return code",
        "item": "chat-0",
    }


EVENTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a container's log": (
        line("runner_item_on_failed", res=command(RESTORED, 4)),
        {"status": "failed", "message": "it exited", "detail": "no GPU\nbye", "next_step": "look", "outcome": "restored", "item": "chat-0"},
    ),
    "a command's error": (
        line("runner_on_failed", res={"rc": 100, "stderr": "W: old\nE: Unable to locate package x", "stdout": ""}),
        {"status": "failed", "message": "E: Unable to locate package x"},
    ),
    "a module's message": (line("runner_on_failed", res={"msg": "a.json: expected JSON"}), {"message": "a.json: expected JSON"}),
    "an unreachable host": (line("runner_on_unreachable", res={"msg": "Host key verification failed."}), {"status": "unreachable"}),
    "an assertion's JSON": (line("runner_on_failed", res={"msg": json.dumps({"message": "disk full"})}), {"message": "disk full"}),
    "a change": (line("runner_on_ok", res={"changed": True}), {"status": "changed"}),
    "an outcome": (
        line("runner_item_on_ok", res={"changed": True, "stdout": '{"outcome":"started","why":"it was not there"}'}),
        {"message": "started: it was not there"},
    ),
    "Ansible's own words": ({"event": "verbose", "stdout": "\x1b[0;31mERROR! no\x1b[0m"}, {"status": "said", "message": "ERROR! no"}),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_says_what_a_person_needs(name: str) -> None:
    given, expected = EVENTS[name]
    found = event_of(given)
    assert found
    assert {key: getattr(found, key) for key in expected} == expected


def test_what_says_nothing_is_no_event() -> None:
    assert event_of({"event": "playbook_on_play_start"}) is None
    assert event_of({"event": "verbose", "stdout": "\n"}) is None


def failed(outcome: str = "", message: str = "no") -> Event:
    return Event(
        host="gpu-1",
        part="engine",
        task="Exchange",
        status="failed",
        message=message,
        outcome=outcome,
        detail="log",
    )


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([failed()], ConfigureError),
        ([failed("restored")], RolledBackError),
        ([failed("refused")], RefusedError),
        ([failed("restored"), failed()], ConfigureError),
        ([failed("restored"), failed(message="One or more items failed")], RolledBackError),
        ([failed("restored"), failed(message="All items completed")], RolledBackError),  # its host died
    ],
)
def test_the_exit_code_says_what_kind_of_failure(events: list[Event], kind: type[HostlerError]) -> None:
    with pytest.raises(kind) as caught:
        failures.refuse(events, 2, "")
    assert type(caught.value) is kind
    problem = caught.value.problems[0]
    assert (problem.where, problem.got, problem.detail) == ("gpu-1 engine: Exchange", "no", "log")


KERNEL_STEP = "upgrade it (`dnf upgrade kernel`, or `apt-get update && apt-get full-upgrade`), reboot, then `hostler up`"


@pytest.mark.parametrize(
    ("stderr", "step"),
    [
        ("Error: Unable to find a match: kernel-devel-5.14.0-570.el9.x86_64", KERNEL_STEP),
        (
            "E: Unable to locate package linux-headers-6.1.0-9-amd64\n"
            "E: Couldn't find any package by regex 'linux-headers-6.1.0-9-amd64'",
            KERNEL_STEP,
        ),
        ("Error: Unable to find a match: nvidia-open", "package sources, or their mirror, have it"),
        ("E: Unable to locate package docker-ce", "package sources, or their mirror, have it"),
        ("E: Failed to fetch https://x/y.deb  404  Not Found", "mend the host's package manager"),
    ],
)
def test_packages_that_cannot_be_installed_name_a_next_step(stderr: str, step: str) -> None:
    event = event_of({**line("runner_on_failed", res={"rc": 100, "stderr": stderr}), "role": "packages"})
    assert event
    assert step in (failures.problem(event).next_step or "")
    assert not failures.problem(replace(event, part="docker")).next_step, (
        "of another role's task nothing is known"
    )


def test_a_run_that_ended_without_a_word_is_no_success() -> None:
    with pytest.raises(ConfigureError) as caught:
        failures.refuse(
            [Event(host="", task="", status="said", message="ERROR! no such file")], 4, "Traceback"
        )
    assert "ERROR! no such file" in caught.value.problems[0].detail


def test_what_was_mended_is_no_failure() -> None:
    """A task that fails in a block is told as failed, though the block's `rescue` does it in another way."""
    failures.refuse([failed()], 0, "")


def test_interrupted_is_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt):
        failures.refuse([], 130, "")


def test_ansible_gets_no_keys_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    assert "hunter2" not in run.environment(tmp_path).values()


def test_ansible_runner_leaves_the_check_of_host_keys_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own default is off, and of two options in ssh's words the first one counts."""
    from ansible_runner.config.runner import RunnerConfig

    for name, value in run.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    made: Any = RunnerConfig(private_data_dir=str(tmp_path), project_dir=str(tmp_path), playbook="x.yml")
    made.prepare()
    assert made.env["ANSIBLE_HOST_KEY_CHECKING"] == "True"


def job(changes: list[Any] | None = None, **given: Any) -> run.Job:
    return run.Job(manifests=world.manifests(), hosts=world.hosts(), changes=changes, run="r", **given)


def test_nothing_to_do_is_a_run_without_hosts() -> None:
    """The whole way: a child process, ansible-runner, and its end."""
    assert run.play(job([]), lambda _: None) == ()


def test_an_unreachable_host_fails_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTLER_SSH_CONFIG", os.devnull)
    nowhere = tuple(replace(h, ssh=Ssh(address="127.0.0.1", port=1, user="root")) for h in world.hosts())
    closed = run.Job(manifests=world.manifests(), hosts=nowhere, changes=None, run="r")
    with pytest.raises(ConfigureError) as caught:
        run.play(closed, lambda _: None)
    assert "Connection refused" in caught.value.problems[0].got
    assert caught.value.problems[0].where.startswith("gpu-")
