"""A replica is put to sleep and woken: what it takes, what stays its hand, and what a kill in the middle leaves."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hostler.node.base import files, instances
from hostler.node.base.protocol import NodeError
from hostler.node.docker import docker
from hostler.node.doors import drain
from hostler.node.exchange import exchange, retire, starts
from hostler.node.idle import evidence, keeping, sleeping, waking
from hostler.node.probe import signals
from hostler.node.replica import asleep, container, journal
from hostler.node.upgrades import aside
from hostler.node.watch import watch

from .fakes import Heard, Host, until
from .idling import NAME, Door, counts, door, looked, serving_one

__all__ = ["door", "serving_one"]


def sleep(**more: Any) -> dict[str, Any]:
    heard = Heard()
    sleeping.sleep({"op": "sleep", "id": NAME, "why": "idle for 20 min", **more}, heard)
    return heard.last


def wake() -> dict[str, Any]:
    heard = Heard()
    waking.wake({"op": "wake", "id": NAME}, heard)
    return heard.last


def linked(host: Host) -> bool:
    return (host.root / f"etc/systemd/system/multi-user.target.wants/hostler@{NAME}.service").is_symlink()


@pytest.fixture
def slept(serving_one: Host) -> Host:
    looked()
    assert sleep()["changed"]
    return serving_one


def test_one_that_is_idle_sleeps_and_wakes(serving_one: Host, door: Door) -> None:
    looked()
    assert sleep() == {"changed": True, "why": "idle for 20 min"}
    assert not serving_one.docker.running()
    assert not linked(serving_one)
    assert not drain.marked(NAME)
    assert asleep.sleeps(NAME)
    assert sleep() == {"changed": False, "why": "it sleeps already"}
    assert signals.replica(NAME)["asleep"]["why"] == "idle for 20 min"
    said = keeping.look()["replicas"][NAME]
    assert (said["word"], said["why"]) == ("asleep", "idle for 20 min")
    assert said["since"] > 0
    woken = wake()
    assert woken["changed"]
    assert serving_one.runs()
    assert linked(serving_one)
    assert asleep.read(NAME) is None
    assert starts.past(serving_one.want())[-1] == woken["seconds"]
    assert wake()["why"] == "it was awake"


STAYS: dict[str, Callable[[Host, Door], None]] = {
    "a request runs": lambda host, _: counts(host, 5, busy=1),
    "a door has one": lambda _, door: door.has(busy=1),
    "a door had one": lambda _, door: door.has(total=8),
    "the engine worked": lambda host, _: counts(host, 6),
    "another process of the door": lambda _, door: setattr(door, "pid", 9),
    "the door is silent": lambda _, door: setattr(door, "silent", True),
    "one waits at the gateway": lambda _, door: door.has(waiting=1),
}


@pytest.mark.parametrize("when", ["before", "while it drains", "at the last moment"])
@pytest.mark.parametrize("what", STAYS)
def test_whatever_comes_meanwhile_wins(
    serving_one: Host, door: Door, what: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked()
    comes = STAYS[what]
    if when == "before":
        comes(serving_one, door)
    elif when == "while it drains":
        mark = drain.mark
        monkeypatch.setattr(drain, "mark", lambda name: (mark(name), comes(serving_one, door))[0])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    else:
        monkeypatch.setattr(evidence, "word", lambda *_: comes(serving_one, door))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    said = sleep()
    assert not said["changed"]
    assert said["why"]
    assert serving_one.runs()
    assert not drain.marked(NAME)
    assert asleep.read(NAME) is None


def test_nobody_has_looked_so_nothing_is_known(serving_one: Host) -> None:
    said = sleep()
    assert not said["changed"]
    assert "its window has just begun" in said["why"]
    assert sleep(force=True)["changed"]


@pytest.mark.parametrize(("word", "changed"), [(b"go", True), (b"back", False), (b"", False)])
def test_who_asked_has_the_last_word(
    serving_one: Host, word: bytes, changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked()
    monkeypatch.setattr(evidence, "heard", lambda _seconds: word)  # pyright: ignore[reportUnknownLambdaType]
    heard = Heard()
    sleeping.sleep({"op": "sleep", "id": NAME, "ask": True}, heard)
    assert [line.get("drained") for line in heard.lines] == [True, None]
    assert heard.last["changed"] is changed
    assert bool(serving_one.runs()) is not changed


@pytest.mark.parametrize("fails", [False, True])
def test_on_a_full_disk_it_wakes_and_does_not_fall_asleep(
    slept: Host, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = slept.docker.containers.values()
    write, full = files.write, [True]

    def refused(path: str, *words: Any, **more: Any) -> None:
        if full[0] and path.startswith(asleep.FOLDER):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *words, **more)

    monkeypatch.setattr(files, "write", refused)
    if fails:
        found["Config"]["Cmd"][0] = "exits"
        with pytest.raises(NodeError):
            wake()
        assert asleep.sleeps(NAME)
        assert not slept.docker.running()
        found["Config"]["Cmd"][0] = "good"
    assert wake()["changed"]
    assert asleep.read(NAME) is None
    counts(slept, 5)
    looked()
    assert "No space left on device" in sleep()["why"]
    assert slept.runs()
    assert not drain.marked(NAME)
    full[0] = False
    looked()
    assert sleep()["changed"]


def test_by_force_what_is_in_flight_is_waited_for(serving_one: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    counts(serving_one, 5, busy=1)
    said = sleep(force=True, limit=0.05)
    assert not said["changed"]
    assert "1 in the engine" in said["why"]
    threading.Timer(0.2, lambda: counts(serving_one, 9)).start()
    assert sleep(force=True, limit=20)["changed"]


@pytest.mark.parametrize(
    ("why", "make"),
    [
        ("somebody has drained it", lambda: drain.mark(NAME)),
        ("an exchange of it has not ended", lambda: journal.step({"id": NAME}, "drain")),
        ("it does not run", lambda: instances.stop(NAME)),
    ],
)
def test_one_that_somebody_has_is_left_alone(serving_one: Host, why: str, make: Callable[[], Any]) -> None:
    make()
    with pytest.raises(NodeError, match=why):
        sleep()
    assert asleep.read(NAME) is None
    journal.end(NAME)


def test_a_wake_that_comes_before_its_end_wins(serving_one: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    looked()
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(woken_elsewhere()))

    def comes(*_: Any) -> None:
        thread.start()
        until(lambda: waking.wished(NAME), "the wake")

    def woken_elsewhere() -> dict[str, Any]:
        with waking._wish(NAME), journal.locked([NAME], 10.0):  # pyright: ignore[reportPrivateUsage]
            return waking._awake(NAME)  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(evidence, "word", comes)
    assert sleep() == {"changed": False, "why": "it is being woken"}
    thread.join(10)
    assert answers[0]["why"] == "it was awake"


def test_of_many_wakes_one_starts_it(slept: Host) -> None:
    begun = slept.docker.calls.count(f"POST /containers/{next(iter(slept.docker.containers))}/start")
    answers: list[dict[str, Any]] = []

    def one() -> None:
        with journal.locked([NAME], 10.0):
            answers.append(waking._awake(NAME))  # pyright: ignore[reportPrivateUsage]

    threads = [threading.Thread(target=one) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answer["changed"] for answer in answers) == [False] * 4 + [True]
    calls = [call for call in slept.docker.calls if call.endswith("/start")]
    assert len(calls) == begun + 1 + (begun == 0)


def test_one_that_does_not_wake_says_why_and_sleeps(slept: Host) -> None:
    (found,) = slept.docker.containers.values()
    found["Config"]["Cmd"][0] = "exits"
    with pytest.raises(NodeError) as caught:
        wake()
    assert caught.value.kind == "wake"
    assert "error: out of memory" in caught.value.more["log"]
    assert asleep.sleeps(NAME)
    assert not slept.docker.running()
    assert not linked(slept)
    found["Config"]["Cmd"][0] = "good"
    assert wake()["changed"]


def test_a_boot_leaves_it_asleep(slept: Host) -> None:
    slept.reboot()
    assert not slept.docker.running()
    assert watch.check(NAME, [], watch.Limits()) == "asleep"
    (slept.root / "proc").mkdir(exist_ok=True)
    assert keeping.look()["replicas"][NAME]["word"] == "asleep"
    assert wake()["changed"]


def test_its_instance_does_not_start_it(slept: Host) -> None:
    slept.systemd.systemctl("start", f"hostler@{NAME}.service")
    until(lambda: not slept.systemd.alive(NAME), "its end")
    assert not slept.docker.running()


PAST = 100  # a step that nothing has


class Killed(BaseException):
    """Where a kill -9 would have been: nothing after it is done."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any]) -> bool:
    """Before the so-manieth thing that it changes; whether there was one."""
    count = iter(range(1000))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*words: Any, **more: Any) -> Any:
            here = threading.current_thread() is threading.main_thread()  # its `run` is another process
            if here and next(count) >= step:
                raise Killed
            return function(*words, **more)

        return run

    with monkeypatch.context() as patched:
        for module, name in (
            (files, "write_json"), (files, "remove"), (drain, "mark"), (instances, "systemctl"), (instances, "linked"),
            (docker, "stop"),
        ):  # fmt: skip
            patched.setattr(module, name, counted(getattr(module, name)))
        try:
            do()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("boots", [False, True])
@pytest.mark.parametrize("step", [*range(12), PAST])
def test_a_kill_in_the_middle_is_put_right(
    serving_one: Host, step: int, boots: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked()
    assert not killed_at(step, monkeypatch, sleep) or step < PAST
    put_right(serving_one, boots)


@pytest.mark.parametrize("boots", [False, True])
@pytest.mark.parametrize("step", [*range(9), PAST])
def test_a_kill_in_the_middle_of_a_wake_is_put_right(
    slept: Host, step: int, boots: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not killed_at(step, monkeypatch, wake) or step < PAST
    put_right(slept, boots)


def put_right(host: Host, boots: bool) -> None:
    """By the next look: asleep, with nothing of it there, or serving; never drained for ever."""
    if boots:
        host.reboot()
        (host.root / "proc").mkdir(exist_ok=True)
    keeping.settle()
    keeping.settle()
    assert not drain.marked(NAME)
    found = asleep.read(NAME)
    if found is not None:
        assert (found["state"], found["drained"]) == ("asleep", False)
        assert not host.docker.running()
        assert not linked(host)
    else:
        assert linked(host)
        until(lambda: bool(host.runs()), "it runs")
    assert wake()["why"]
    assert host.runs()


@pytest.mark.parametrize("changed", [False, True])
def test_an_exchange_wakes_it(slept: Host, changed: bool) -> None:
    slept.want(tag="-new" if changed else "")
    exchange.exchange({"op": "exchange", "id": NAME}, Heard())
    assert asleep.read(NAME) is None
    assert slept.runs().endswith("-new") is changed
    assert linked(slept)


def test_an_exchange_that_fails_leaves_it_asleep(slept: Host) -> None:
    slept.want("exits")
    with pytest.raises(NodeError):
        exchange.exchange({"op": "exchange", "id": NAME}, Heard())
    assert asleep.sleeps(NAME)
    assert not slept.docker.running()
    slept.want()
    assert wake()["changed"]


def test_retired_it_is_forgotten(slept: Host) -> None:
    retire.retire({"op": "retire", "id": NAME}, Heard())
    assert asleep.read(NAME) is None
    assert not slept.docker.containers


def test_set_aside_and_back_it_sleeps_on(slept: Host) -> None:
    heard = Heard()
    aside.host_away({"op": "host-away", "run": "r1"}, heard)
    with pytest.raises(NodeError, match="set aside"):
        wake()
    aside.host_back({"op": "host-back", "run": "r1"}, heard)
    assert asleep.sleeps(NAME)
    assert not slept.docker.running()
    assert not drain.marked(NAME)


def test_started_by_hand_it_is_awake(slept: Host) -> None:
    (found,) = slept.docker.containers.values()
    docker.start(found["Id"])
    keeping.settle()
    assert asleep.read(NAME) is None
    assert linked(slept)
    assert container.died(NAME) is None or slept.runs()


@pytest.fixture(autouse=True)
def no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "WORD_S", 0.05)
