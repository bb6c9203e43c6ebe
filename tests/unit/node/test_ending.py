"""A host that ends itself, or is suspended: what it leaves, and who keeps it."""

from __future__ import annotations

import contextlib
import errno
import signal
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from hostler.node.base import clock, files
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.doors import drain
from hostler.node.idle import (
    ending,
    evidence,
    keeping,
    lastword,
    people,
    policy,
    sleeping,
    waking,
)
from hostler.node.replica import asleep, journal

from .fakes import Heard, Host
from .idling import (
    NAME,
    POLICY,
    Clock,
    Door,
    counts,
    door,
    due,
    looked,
    moved,
    serving_one,
)

__all__ = ["door", "moved", "serving_one"]


ENDS: list[dict[str, Any] | None] = []  # its last word, as a look says it when it is told to go


@pytest.fixture
def systemctl(monkeypatch: pytest.MonkeyPatch) -> Generator[list[str], None, None]:
    """What it is told; the host then stays there, for this test's sake."""
    told: list[str] = []

    def systemctl(*words: str) -> Result:
        told.append(words[-1])
        ENDS.append(keeping.look()["end"])
        return Result(words, 0, "", "")

    monkeypatch.setattr(ending, "systemctl", systemctl)
    monkeypatch.setattr(ending, "OFF_S", 0.05)
    monkeypatch.setattr(ending, "PAUSE", 0.01)
    monkeypatch.setattr(evidence, "WORD_S", 0.05)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ENDS.clear()
    yield told
    for number, handler in before.items():
        signal.signal(number, handler)


def host_wish(**more: Any) -> None:
    host = {**POLICY, "do": "terminate", **more}
    files.write_json(policy.FILE, {"replicas": {}, "host": host})


def host_end(do: str = "terminate", **more: Any) -> list[dict[str, Any]]:
    heard = Heard()
    ending.host_end(
        {"op": "host-end", "do": do, "why": "idle for 30 min", "by": "the controller", **more}, heard
    )
    return heard.lines


def test_an_idle_host_ends_itself_and_leaves_word(
    serving_one: Host, moved: Clock, systemctl: list[str]
) -> None:
    host_wish()
    looked()
    moved.now += 20
    said = host_end()
    assert said[0] == {"drained": True}
    assert said[1] == {"changed": True, "why": "idle for 30 min"}
    assert systemctl == ["poweroff"]
    ended = ENDS[0] or {}
    assert (ended["do"], ended["why"], ended["by"]) == ("terminate", "idle for 30 min", "the controller")
    assert "still there" in said[2]["why"]  # it is, here: then it serves on
    assert not drain.marked(NAME)
    assert asleep.read(NAME) is None
    assert keeping.look()["end"] is None
    assert not (serving_one.root / lastword.FILE.lstrip("/")).exists()


def full(monkeypatch: pytest.MonkeyPatch, *folders: str) -> None:
    """Nothing can be written there."""
    write = files.write

    def refused(path: str, *words: Any, **more: Any) -> None:
        if path.startswith(folders):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *words, **more)

    monkeypatch.setattr(files, "write", refused)


def test_a_full_disk_keeps_no_host(
    serving_one: Host, moved: Clock, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host_wish()
    looked()
    moved.now += 20
    full(monkeypatch, "/var", "/etc")
    assert host_end()[1]["changed"] is True
    assert systemctl == ["poweroff"]
    assert asleep.names() == []
    assert not drain.marked(NAME)


def test_a_host_that_an_error_keeps_says_so(
    serving_one: Host, moved: Clock, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host_wish()
    looked()
    full(monkeypatch, "/var", asleep.BRIEF)
    for _ in range(2):
        moved.now += 20
        assert host_end()[-1]["changed"] is False
        moved.now += 20
        keeping.look()
    stays = keeping.look()["stays"]
    assert (stays["do"], stays["count"]) == ("terminate", 2)
    assert "No space left on device" in stays["why"]
    assert not drain.marked(NAME)
    counts(serving_one, 5, busy=1)
    assert host_end()[-1]["changed"] is False
    assert keeping.read().get("stays") is None
    assert keeping.look()["stays"] is None


@pytest.mark.parametrize("killed", [False, True])
def test_what_others_have_drained_they_have_still(
    serving_one: Host, moved: Clock, systemctl: list[str], killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch, a driver's upgrade, a person."""
    host_wish()
    looked()
    moved.now += 20
    drain.mark(NAME)
    with monkeypatch.context() as patched:
        if killed:
            patched.setattr(asleep, "serve_on", lambda _: None)  # pyright: ignore[reportUnknownLambdaType]
        assert host_end()[1]["changed"] is True
    assert (asleep.read(NAME) is not None) is killed
    keeping.settle()
    assert drain.marked(NAME)
    assert asleep.read(NAME) is None


@pytest.mark.parametrize("sleeps", [False, True])
def test_somebody_who_wants_one_of_its_replicas_keeps_the_host(
    serving_one: Host, moved: Clock, systemctl: list[str], sleeps: bool
) -> None:
    host_wish()
    looked()
    moved.now += 20
    if sleeps:
        assert sleeping.fall_asleep(NAME, {"op": "sleep"}, Heard())["changed"]
    with waiting_for_its_lock():
        assert f"{NAME} is being woken" in host_end()[-1]["why"]
    assert systemctl == []
    assert host_end()[1]["changed"] is True


def waiting_for_its_lock() -> contextlib.AbstractContextManager[None]:
    return waking._wish(NAME)  # pyright: ignore[reportPrivateUsage]


HOST_STAYS: dict[str, Callable[[Host, Door], Any]] = {
    "a request": lambda host, _: counts(host, 5, busy=1),
    "one that was answered": lambda host, _: counts(host, 6),
    "one at the gateway": lambda _, door: door.has(waiting=1),
    "an exchange": lambda *_: journal.step({"id": NAME}, "drain"),
    "a door that is silent": lambda _, door: setattr(door, "silent", True),
}


@pytest.mark.parametrize("when", ["before", "at the last moment"])
@pytest.mark.parametrize("what", HOST_STAYS)
def test_whatever_comes_keeps_the_host(
    serving_one: Host, door: Door, moved: Clock, systemctl: list[str], what: str, when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    host_wish()
    looked()
    moved.now += 20
    if when == "before":
        HOST_STAYS[what](serving_one, door)
    else:
        monkeypatch.setattr(evidence, "word", lambda *_: HOST_STAYS[what](serving_one, door))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    said = host_end()[-1]
    assert said["changed"] is False
    assert said["why"]
    assert systemctl == []
    assert not drain.marked(NAME)
    assert lastword.read() is None
    journal.end(NAME)


@pytest.mark.parametrize("last", [True, False])
def test_somebody_who_logs_in_keeps_the_host(
    serving_one: Host, moved: Clock, systemctl: list[str], last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_wish()
    looked()
    moved.now += 20

    def comes(*_: Any) -> None:
        monkeypatch.setattr(people, "sessions", lambda _table: ["alice at pts/0"])  # pyright: ignore[reportUnknownLambdaType]

    if last:
        monkeypatch.setattr(evidence, "word", comes)
    else:
        comes()
    assert "sessions" in host_end()[-1]["why"]
    assert systemctl == []


def test_who_asked_may_call_it_off(
    serving_one: Host, moved: Clock, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host_wish()
    looked()
    moved.now += 20
    monkeypatch.setattr(evidence, "heard", lambda _seconds: b"back")  # pyright: ignore[reportUnknownLambdaType]
    assert host_end(ask=True)[-1]["changed"] is False
    assert systemctl == []


@pytest.mark.parametrize(
    ("wished", "do"),
    [(None, "terminate"), ({"do": "suspend"}, "terminate"), ({"shadow": True}, "terminate"), ({"do": ""}, ""), ({"do": "sleep"}, "sleep")],
)  # fmt: skip
def test_never_one_that_is_not_to_end_so(
    serving_one: Host, systemctl: list[str], wished: dict[str, Any] | None, do: str
) -> None:
    if wished is not None:
        host_wish(**wished)
    looked()
    with pytest.raises(NodeError) as caught:
        host_end(do)
    assert caught.value.rc == 3
    assert systemctl == []


def test_suspended_and_back_it_serves_on(
    serving_one: Host, moved: Clock, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host_wish(do="suspend")
    looked()
    moved.now += 20
    count = iter(range(100))
    monkeypatch.setattr(clock, "resumed", lambda: f"{next(count)}")
    monkeypatch.setattr(ending, "_nothing_came", lambda *_: None)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(ending, "_proven", lambda *_: ending.Subjects({}, {}))  # pyright: ignore[reportUnknownLambdaType]
    assert host_end("suspend")[-1] == {"changed": True, "why": "idle for 30 min", "back": True}
    assert systemctl == ["suspend"]
    assert not drain.marked(NAME)


@pytest.mark.parametrize("again", ["another boot", "b1 suspended once more"])
def test_a_last_word_explains_an_absence_and_nothing_after_it(
    host: Host, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "resumed", lambda: "b1")
    lastword.leave("suspend", "idle", "the controller")
    assert (lastword.read() or {})["why"] == "idle"
    monkeypatch.setattr(clock, "resumed", lambda: again)
    assert lastword.read() is None
    assert not (host.root / lastword.FILE.lstrip("/")).exists()


def test_where_nobody_counts_suspends_the_clocks_tell(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.resumed()
    assert clock.resumed() == before
    boottime = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda which: boottime(which) + 7.0)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    assert clock.resumed() != before
    files.write(clock.SUSPENDED, b"3\n")
    assert clock.resumed().endswith(" 3")


def test_suspended_and_back_without_a_count_it_serves_at_once(
    serving_one: Host, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "OFF_S", 20.0)
    files.write(clock.SUSPENDED, b"0\n")  # it stays so
    slept = iter(range(0, 1000, 2))
    monkeypatch.setattr(clock, "slept", lambda: float(next(slept)))
    host_wish(do="suspend")
    looked()
    assert host_end("suspend")[-1] == {"changed": True, "why": "idle for 30 min", "back": True}
    assert lastword.read() is None
    assert not drain.marked(NAME)


def test_only_one_that_hangs_is_ended_while_it_is_busy(
    serving_one: Host, moved: Clock, systemctl: list[str]
) -> None:
    """Too old, with requests, and nothing has moved for half an hour; one that makes progress is only reported."""
    host_wish(max_age_s=3600.0)
    counts(serving_one, 5, busy=1)
    for count in range(200):
        moved.now += 20
        counts(serving_one, count, busy=1)
        keeping.look()
    moved.now += 5
    assert host_end()[-1]["changed"] is False
    for _ in range(100):
        moved.now += 20
        keeping.look()
    assert host_end()[1]["changed"] is True
    assert systemctl == ["poweroff"]


def test_the_switch_ends_the_host(serving_one: Host, moved: Clock, systemctl: list[str]) -> None:
    host_wish()
    done = due(moved)["done"]
    assert systemctl == ["poweroff"]
    assert "host" in done
    assert (ENDS[0] or {})["by"] == "the host's own switch"


def both_due() -> None:
    host = {**POLICY, "do": "suspend"}
    files.write_json(policy.FILE, {"replicas": {NAME: POLICY}, "host": host})


def test_of_a_host_that_goes_no_replica_is_put_to_sleep(
    serving_one: Host, moved: Clock, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both_due()
    monkeypatch.setattr(ending, "_gone", lambda *_: {"changed": True, "why": "idle", "back": True})  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    assert list(due(moved)["done"]) == ["host"]
    assert serving_one.runs()


def test_of_a_host_that_stays_a_replica_is_put_to_sleep(
    serving_one: Host, moved: Clock, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both_due()

    def comes(*_: Any) -> None:
        raise evidence.StaysError("somebody came")

    monkeypatch.setattr(ending, "_proven", comes)
    assert list(due(moved)["done"]) == ["host", NAME]


def test_a_kill_in_its_middle_leaves_nothing_drained(
    serving_one: Host, moved: Clock, systemctl: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep.begin(NAME, asleep.made("idle for 30 min", "the controller"))
    found = looked()
    assert not drain.marked(NAME)
    assert found["replicas"][NAME]["asleep"] is None


# the stream
