"""Looks that are kept from one process to the next, the dead man's switch, and the stream of looks."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hostler.node.base import clock, files, instances
from hostler.node.base.shell import Result
from hostler.node.cards import gpus
from hostler.node.idle import (
    deciding,
    keeping,
    people,
    policy,
    presence,
    switch,
)
from hostler.node.replica import asleep

from .fakes import Heard, Host
from .idling import (
    NAME,
    Clock,
    Door,
    counts,
    door,
    due,
    engine,
    idle_look,
    looked,
    moved,
    serving_one,
    stdin,
    wish,
    word,
)

__all__ = ["door", "moved", "serving_one", "stdin"]


def test_a_look_says_all(serving_one: Host, door: Door, moved: Clock) -> None:
    door.has()
    assert word(keeping.look()) == "idle"
    moved.now += 20
    found = keeping.look()
    assert found["replicas"][NAME]["since"] == 10_000.0
    assert found["replicas"][NAME]["work"] == [5.0, 5.0]
    assert (found["replicas"][NAME]["running"], found["replicas"][NAME]["asleep"]) == (0, None)
    assert (found["host"]["word"], found["host"]["since"]) == ("idle", 10_000.0)
    assert found["routes"][NAME]["word"] == "idle"
    assert found["queues"] == {"chat": 0}
    assert found["at"] == 10_020.0
    assert (found["power_w"], found["end"]) == ({}, None)
    assert found["usage"] == {"table": "", "born": "8 1764500000"}
    json.dumps(found)


@pytest.mark.parametrize(
    ("comes", "then"),
    [
        (lambda host, _: counts(host, 5, busy=1), "busy"),
        (lambda host, _: counts(host, 6), "idle"),
        (lambda _, door: door.has(busy=1), "busy"),
        (lambda _, door: door.has(waiting=1), "busy"),
        (lambda _, door: door.has(total=8), "idle"),
        (lambda _, door: setattr(door, "silent", True), "unknown"),
        (lambda host, _: engine(host).close(), "unknown"),
        (lambda host, _: host.docker.end(host.docker.running()[0], 137), "unknown"),
        (lambda host, _: setattr(engine(host), "behaviour", "slow"), "unknown"),
    ],
)
def test_whatever_comes_ends_the_window(
    serving_one: Host, door: Door, moved: Clock, comes: Callable[[Host, Door], Any], then: str
) -> None:
    looked()
    moved.now += 20
    comes(serving_one, door)
    found = keeping.look()["replicas"][NAME]
    assert found["word"] == then
    assert found["since"] == (10_020.0 if then == "idle" else None)


def test_a_look_that_somebody_just_had_is_taken(serving_one: Host, moved: Clock) -> None:
    first = keeping.look()
    counts(serving_one, 5, busy=1)
    moved.now += 9
    assert idle_look()["looked"] == first
    moved.now += 2
    assert word(idle_look()["looked"]) == "busy"


def test_a_boot_begins_all_windows_anew(
    serving_one: Host, moved: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked()
    monkeypatch.setattr(clock, "boot", lambda: "another")
    moved.now = 30.0
    assert keeping.look()["replicas"][NAME]["since"] == 30.0


def test_a_sleep_begins_no_window_of_the_host_anew(serving_one: Host, moved: Clock) -> None:
    wish()
    since = keeping.look()["host"]["since"]
    slept = due(moved)
    assert slept["done"]
    moved.now += 20
    found = keeping.look()
    assert (found["replicas"][NAME]["word"], found["replicas"][NAME]["since"]) == ("asleep", since)
    assert (found["host"]["word"], found["host"]["since"]) == ("idle", since)


def test_people_and_cards_keep_a_host(
    serving_one: Host, moved: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked()
    monkeypatch.setattr(people, "sessions", lambda _table: ["alice at pts/0"])  # pyright: ignore[reportUnknownLambdaType]
    found = keeping.look()
    assert (found["host"]["word"], found["presence"]["told"]) == ("busy", ["alice at pts/0"])
    assert word(found) == "idle"


@pytest.mark.parametrize(
    ("said", "owner", "expected"),
    [
        (Result((), 0, "GPU-1, 4711, python3, 900\n", ""), "", ["python3 (process 4711) on a card"]),
        (Result((), 0, "GPU-1, 4711, llama-server, 900\n", ""), "ours", []),
        (Result((), 0, "", ""), "", []),
        (Result((), 9, "", "driver/library version mismatch"), "", None),
    ],
)
def test_processes_on_cards(
    host: Host, said: Result, owner: str, expected: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.docker.containers["c0ffee"] = {
        "Id": "c0ffee", "Name": "/hostler-chat-0", "Config": {"Labels": {"hostler.id": "chat-0"}},
        "State": {"Running": False, "Status": "exited"},
    }  # fmt: skip
    files.write("/proc/4711/cgroup", b"0::/docker/c0ffee\n" if owner else b"0::/user.slice\n")
    power = Result((), 0, "GPU-1, 31.50\nGPU-2, [N/A]\n", "")
    monkeypatch.setattr(gpus, "present", lambda: True)
    monkeypatch.setattr(gpus, "ask", lambda *_: [power, said])  # pyright: ignore[reportUnknownLambdaType]
    assert presence.on_cards() == (expected, {"GPU-1": 31.5})


def test_a_card_that_hangs_hides_nobody_who_is_there(
    serving_one: Host, moved: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "present", lambda: True)
    monkeypatch.setattr(gpus, "hanging", lambda: ["4711"])
    monkeypatch.setattr(people, "sessions", lambda _table: ["alice at pts/0"])  # pyright: ignore[reportUnknownLambdaType]
    found = keeping.look()
    assert (found["host"]["word"], found["presence"]["told"]) == ("busy", ["alice at pts/0"])
    monkeypatch.setattr(people, "sessions", lambda _table: [])  # pyright: ignore[reportUnknownLambdaType]
    assert "processes on its cards" in keeping.look()["host"]["why"]
    assert keeping.look()["host"]["word"] == "unknown"


# the dead man's switch


@pytest.mark.parametrize(
    ("after", "does"), [(1499.0, False), (1501.0, True)]
)  # the window, and what the controller has besides
def test_the_switch_puts_to_sleep_what_is_due_by_itself(
    serving_one: Host, moved: Clock, after: float, does: bool
) -> None:
    wish()
    seconds = 0.0
    while seconds < after - 20:  # looks that are further apart begin a host's window anew
        moved.now += 20
        seconds += 20
        assert idle_look()["done"] == {}
    moved.now += after - seconds + 20
    assert bool(idle_look()["done"]) is does
    assert asleep.sleeps(NAME) is does
    if does:
        mark = asleep.read(NAME) or {}
        assert mark["by"] == "the host's own switch"
        assert mark["why"].startswith("idle for 25 min")
        assert idle_look(oldest=0)["done"] == {}


@pytest.mark.parametrize("how", [{"kept": True}, {"hours": "00:00-24:00 UTC"}, {"do": ""}])
def test_the_switch_leaves_what_stays(serving_one: Host, moved: Clock, how: dict[str, Any]) -> None:
    wish(**how)
    assert due(moved)["done"] == {}
    assert serving_one.runs()


def test_a_shadow_is_written_once_a_window(serving_one: Host, moved: Clock) -> None:
    wish(shadow=True)
    assert due(moved)["done"] == {}
    assert due(moved)["done"] == {}
    assert serving_one.runs()
    rows = [json.loads(line) for line in files.read_text(switch.SHADOW).splitlines()]
    assert [(row["subject"], row["do"]) for row in rows] == [(NAME, "sleep")]
    assert rows[0]["why"].startswith("would sleep: idle for")
    counts(serving_one, 9)
    due(moved)
    assert len(files.read_text(switch.SHADOW).splitlines()) == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"replicas": {"chat-0": {"do": "sleep"}}}', '{"extra_s": "x"}'])
def test_a_wish_that_nobody_can_read_ends_nothing(serving_one: Host, text: str) -> None:
    files.write(policy.FILE, text.encode())
    assert policy.read() == policy.NOTHING


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a probe leaves its connection to Docker
def test_the_stream_says_looks_and_probes_until_nobody_listens(serving_one: Host, stdin: int) -> None:
    class Listener(Heard):
        def say_value(self, value: Any) -> None:
            super().say_value(value)
            if sum("seen" in line for line in self.lines) == 2 and not closed:
                closed.append(True)
                os.close(stdin)

    closed: list[bool] = []
    heard = Listener()
    request = {"op": "idle-keep", "ask": [f"replica:{NAME}"], "every_s": 0.01, "seen_s": 0.01}
    thread = threading.Thread(target=lambda: keeping.idle_keep(request, heard))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert all(word(line["looked"]) in ("idle", "unknown") for line in heard.lines if "looked" in line)
    seen = next(line["seen"] for line in heard.lines if "seen" in line)
    assert seen["observed"][f"replica:{NAME}"]["value"]["health"] == 200


def test_a_stream_that_nobody_hears_ends_while_another_look_hangs(
    serving_one: Host, stdin: int, heard: Heard
) -> None:
    request = {"op": "idle-keep", "every_s": 0.01}
    thread = threading.Thread(target=lambda: keeping.idle_keep(request, heard), daemon=True)
    with keeping.kept():
        thread.start()
        os.close(stdin)
        thread.join(20)
        assert not thread.is_alive()
    assert heard.lines == []


def test_a_stream_takes_a_look_that_another_just_had(
    serving_one: Host, stdin: int, heard: Heard, moved: Clock
) -> None:
    first = keeping.look()
    moved.now += 2
    os.close(stdin)
    keeping.idle_keep({"op": "idle-keep"}, heard)
    assert heard.lines == [{"looked": first}]


# waking another machine


def test_the_timer_runs_where_something_is_wished(
    host: Host, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        instances, "systemctl", lambda *words, **_: told.append(words) or Result(words, 0, "", "")
    )  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    policy.timer({}, heard)
    assert heard.last == {"changed": False}
    wish()
    policy.timer({}, heard)
    assert heard.last == {"changed": True}
    assert told[-1] == ("start", policy.TIMER)
    assert (host.root / "etc/systemd/system/multi-user.target.wants" / policy.TIMER).is_symlink()


def test_what_is_said_of_a_host_is_the_deciders() -> None:
    assert policy.NOTHING.extra_s == deciding.SWITCH_EXTRA_S
