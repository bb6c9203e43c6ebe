"""The watch on a whole host: what it sees, what it does about it, and what a kill in the middle leaves."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from hostler.node.base import files, instances
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.canary import canary
from hostler.node.docker import docker
from hostler.node.doors import drain
from hostler.node.exchange import exchange
from hostler.node.probe import signals
from hostler.node.replica import container, journal, wait
from hostler.node.watch import revive, stall, watch, watched
from worlds.ports import free_port

from .fakes import Heard, Host, until
from .servers import FakeEngine

NAME = "chat-0"
PID = 4711
ANSWERS = revive.answers
QUICK = {"stalled_s": 0.000001, "checks": 3}


@pytest.fixture
def serving(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A replica that serves, with limits that let a test go on; a frozen engine answers no token."""
    host.want()
    exchange.exchange({"op": "exchange", "id": NAME}, Heard())
    files.write_json(watched.LIMITS, QUICK)
    host.docker.pids = [PID]
    monkeypatch.setattr(revive, "answers", lambda _spec: False)  # pyright: ignore[reportUnknownLambdaType]
    computes(host, 100)
    return host


def computes(host: Host, ticks: int, faults: int = 0) -> None:
    """What the kernel tells of the engine's process."""
    folder = host.root / "proc" / str(PID)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{PID} (llama server) S 1 1 1 0 -1 4 1 1 {faults} 0 {ticks} 0 0 0 20 0\n")


def engine(host: Host) -> FakeEngine:
    (found,) = host.docker.engines.values()
    return found


def runs(host: Host, decodes: int, busy: int = 1) -> None:
    """What the engine says of itself."""
    engine(host).metrics, engine(host).busy = f"llamacpp:n_decode_total {decodes}\n", busy


def look() -> str:
    heard = Heard()
    watch.watch({"op": "watch"}, heard)
    return str(heard.last["replicas"].get(NAME, ""))


def looks(count: int) -> list[str]:
    return [look() for _ in range(count)]


def freeze(host: Host) -> list[str]:
    """Looks until it counts as stalled and the watch is through with it."""
    runs(host, 5)
    return looks(5)


def event() -> str:
    return str((watched.kept(NAME).get("event") or {}).get("what"))


def test_a_frozen_one_is_restarted_and_back(serving: Host) -> None:
    before = docker.inspect("hostler-" + NAME)
    said = freeze(serving)
    assert said[0] == stall.SERVING
    assert said[1] == stall.UNKNOWN  # there is nothing yet to compare its processor time with
    assert said[2:4] == [stall.SILENT] * 2
    after = docker.inspect("hostler-" + NAME)
    assert serving.runs()
    assert not drain.marked(NAME)
    assert (before or {})["State"] != (after or {})["State"]
    assert event().startswith("stalled 00:0")
    assert event().endswith(", restarted, back")
    assert watched.kept(NAME)["state"] == ""
    assert (serving.root / "var/lib/hostler/watch" / (NAME + ".log")).read_text() == "loading\n"
    told = signals.replica(NAME)["watch"]
    assert (told["state"], told["event"]["what"], told["starts"]) == ("", event(), 0)


@pytest.mark.parametrize("how", ["processors", "pages from disk", "a token", "nothing to do"])
def test_one_that_works_or_has_nothing_to_do_is_left_alone(serving: Host, how: str) -> None:
    runs(serving, 5)
    first = docker.inspect("hostler-" + NAME)
    for n in range(12):
        ticks = 10**6 * n if how == "processors" else 0
        computes(serving, 100 + ticks, faults=n if how == "pages from disk" else 0)
        runs(serving, 5 + (n if how == "a token" else 0), busy=0 if how == "nothing to do" else 1)
        assert look() in (stall.SERVING, stall.COMPUTING, stall.UNKNOWN, stall.IDLE)
    assert docker.inspect("hostler-" + NAME) == first
    assert not event().startswith("stalled")


def test_one_that_gives_a_token_after_all_is_left_alone(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its requests are those of slow clients, say."""
    first = docker.inspect("hostler-" + NAME)
    monkeypatch.setattr(revive, "answers", lambda _spec: True)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(drain, "mark", die)  # it serves all the while
    freeze(serving)
    assert event().endswith("then answered: left alone")
    assert docker.inspect("hostler-" + NAME) == first
    assert not drain.marked(NAME)


def test_one_token_is_asked_for(serving: Host) -> None:
    spec = {"id": NAME, "model": "chat", "port": serving.port, "argv": ["good"]}
    assert ANSWERS(spec)
    assert not ANSWERS({**spec, "model": ""})
    assert not ANSWERS({**spec, "port": free_port()})


def test_one_whose_restart_is_not_good_stays_out(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(found: dict[str, Any], *_: Any) -> str:
        raise wait.FailedError("smoke: the answer is empty", ["ggml: error: no kernel image", "bye"])

    monkeypatch.setattr(canary, "proven", bad)
    freeze(serving)
    assert serving.runs() == ""
    assert drain.marked(NAME)
    found = watched.kept(NAME)
    assert found["state"] == "out"
    assert found["why"].endswith("restarted, and was not good: smoke: the answer is empty")
    assert looks(3) == ["out"] * 3


def test_it_comes_back_by_an_exchange(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hostler up` starts what stands still."""
    with monkeypatch.context() as patch:
        patch.setattr(canary, "proven", failing)
        freeze(serving)
    assert watched.kept(NAME)["state"] == "out"
    heard = Heard()
    exchange.exchange({"op": "exchange", "id": NAME}, heard)
    assert heard.last["outcome"] == "started"
    runs(serving, 9, busy=0)
    assert look() in (stall.IDLE, stall.SERVING)
    assert watched.kept(NAME)["state"] == ""


def failing(*_: Any) -> str:
    raise NodeError("not-ready", "not ready in 2 s", rc=4)


def test_three_restarts_within_an_hour_and_no_fourth(serving: Host) -> None:
    for _ in range(3):
        freeze(serving)
        assert watched.kept(NAME)["state"] == ""
    freeze(serving)
    found = watched.kept(NAME)
    assert found["state"] == "out"
    assert found["why"].endswith(", after 3 restarts within an hour")
    assert serving.runs() == ""
    assert len(found["restarts"]) == 3


def test_restarts_of_yesterday_do_not_count(serving: Host) -> None:
    watched.keep(NAME, {"state": "", "restarts": [1.0, 2.0, 3.0]})
    freeze(serving)
    assert watched.kept(NAME)["state"] == ""
    assert len(watched.kept(NAME)["restarts"]) == 1


def test_an_exchange_has_it(serving: Host) -> None:
    runs(serving, 5)
    with journal.locked([NAME]):
        assert set(looks(9)) == {"an exchange has it"}
    journal.step({"id": NAME}, "drain")  # one that was killed: the next exchange puts it right
    assert set(looks(9)) == {"an exchange has it"}
    journal.end(NAME)


def test_one_that_somebody_drains_is_left_alone(serving: Host) -> None:
    runs(serving, 5)
    drain.mark(NAME)
    assert set(looks(9)) == {"draining"}
    drain.unmark(NAME)


def test_one_that_somebody_paused_is_left_alone(serving: Host) -> None:
    runs(serving, 5)
    serving.docker.running()[0]["State"]["Paused"] = True
    assert set(looks(9)) == {"paused"}
    assert serving.runs()


def test_an_exchange_that_begins_between_look_and_restart_wins(serving: Host) -> None:
    with journal.locked([NAME]), pytest.raises(NodeError, match="another exchange"):
        revive.revive(NAME, "stalled 02:00", stall.Limits())
    assert serving.runs()
    assert watched.kept(NAME) == {}


class KilledError(BaseException):
    """What no handler catches."""


def die(*_: Any) -> Any:
    raise KilledError


KILLED: dict[str, tuple[Any, str]] = {
    "before the mark": (drain, "mark"),
    "while nothing new comes": (drain, "wait"),
    "before it is ended": (docker, "kill"),
    "before it is started": (instances, "start"),
    "in its canary": (canary, "proven"),
    "before it serves": (drain, "unmark"),
}


@pytest.mark.parametrize("where", KILLED)
def test_killed_in_the_middle(serving: Host, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    runs(serving, 5)
    with monkeypatch.context() as patch:
        patch.setattr(*KILLED[where], die)
        with pytest.raises(KilledError):
            revive.revive(NAME, "stalled 02:00", stall.Limits())
    assert watched.kept(NAME)["state"] == "restarting"
    look()
    until(lambda: watched.kept(NAME)["state"] == "", "the next look goes on")
    assert serving.runs()
    assert not drain.marked(NAME)
    assert event().startswith("stalled 02:00, ")


def test_a_disk_that_gets_full_in_the_middle_is_no_reason_to_end_it_at_each_look(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not good, and that it stays out could not be written down."""
    ended: list[str] = []
    keep = watched.keep

    def no_room_for_the_end(identifier: str, found: dict[str, Any]) -> None:
        if found.get("state") == "out":
            full()
        keep(identifier, found)

    monkeypatch.setattr(canary, "proven", failing)
    monkeypatch.setattr(watched, "keep", no_room_for_the_end)
    monkeypatch.setattr(revive, "ended", ended.append)
    monkeypatch.setattr(instances, "start", ended.append)
    with pytest.raises(OSError, match="No space left"):
        revive.revive(NAME, "stalled 02:00", stall.Limits())
    for _ in range(6):
        with pytest.raises(OSError, match="No space left"):
            revive.go_on(NAME, stall.Limits())
    assert len(ended) == 2 * 4  # ended and started, three times more
    monkeypatch.setattr(watched, "keep", keep)
    assert revive.go_on(NAME, stall.Limits()).endswith("after 4 restarts within an hour")
    assert watched.kept(NAME)["state"] == "out"


@pytest.mark.parametrize("where", KILLED)
def test_power_cut_in_the_middle(serving: Host, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*KILLED[where], die)
        with pytest.raises(KilledError):
            revive.revive(NAME, "stalled 02:00", stall.Limits())
    serving.reboot()
    until(lambda: bool(serving.docker.engines), "it runs again")
    born = docker.inspect("hostler-" + NAME)
    look()
    assert watched.kept(NAME)["state"] == ""
    assert docker.inspect("hostler-" + NAME) == born  # it is not ended once more
    assert not drain.marked(NAME)


def test_a_full_disk_changes_nothing_and_the_next_look_does_it(
    serving: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    born = docker.inspect("hostler-" + NAME)
    with monkeypatch.context() as patch:
        patch.setattr(watched, "keep", full)
        freeze(serving)
        assert "No space left on device" in capsys.readouterr().err
        assert docker.inspect("hostler-" + NAME) == born
        assert not drain.marked(NAME)
    look()
    until(lambda: event().endswith("restarted, back"), "the next look does it")


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_docker_that_does_not_answer_is_unknown(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(docker, "inspect", refused)
        assert look() == "unknown: [Errno 111] Connection refused"


def refused(*_: Any) -> None:
    raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def ends(times: int, start: Callable[[int], float] = lambda n: 1000.0 + 60 * n) -> None:
    """What its `run` notes of so many ends."""
    for n in range(times):
        container.note_end(
            {"id": NAME, "spec": "s"}, "c", 1, "it ended with status 1", ["error: out of memory", "bye"]
        )
        found = files.read_json(f"{container.DIED}/{NAME}.json")
        found["ends"][-1] = start(n)
        files.write_json(f"{container.DIED}/{NAME}.json", found)


def test_an_engine_that_ends_again_and_again_is_stopped(serving: Host) -> None:
    """Four ends, then the fifth; its last words are kept."""
    serving.docker.power_cut()
    until(lambda: not instances.active(NAME), "its run ends")
    container.forget_end(NAME)
    ends(4)
    assert look() == "starting again"
    assert signals.replica(NAME)["watch"]["starts"] == 4
    ends(1, lambda _: 1240.0)
    assert look() == "loop"
    assert event() == "restart loop: 5 starts in 4 min, last: error: out of memory"
    assert look() == "loop"
    heard = Heard()
    exchange.exchange({"op": "exchange", "id": NAME}, heard)
    assert heard.last["outcome"] == "started"
    runs(serving, 1, busy=0)
    assert look() in (stall.IDLE, stall.SERVING)
    assert watched.kept(NAME)["state"] == ""


@pytest.mark.parametrize(
    ("count", "result", "how"),
    [(1, "timeout", "starting again"), (1, "start-limit-hit", "loop"), (2, "exit-code", "loop")],
)
def test_one_that_systemd_gave_up(
    serving: Host, monkeypatch: pytest.MonkeyPatch, count: int, result: str, how: str
) -> None:
    serving.docker.power_cut()
    until(lambda: not instances.active(NAME), "its run ends")
    container.forget_end(NAME)
    ends(count)
    known = instances.systemctl

    def systemctl(*words: str, **more: Any) -> Result:
        said = f"ActiveState=failed\nResult={result}\n"
        return Result(words, 0, said, "") if words[0] == "show" else known(*words, **more)

    monkeypatch.setattr(instances, "systemctl", systemctl)
    assert look() == how


def test_a_slow_loop_whose_engine_always_runs_when_it_is_looked_at(serving: Host) -> None:
    engine(serving).behaviour = "slow"  # its health check says 503
    ends(5)
    assert look() == "loop"
    assert serving.runs() == ""


def test_ends_of_one_that_was_ready_in_between_are_no_loop(serving: Host) -> None:
    ends(4)
    runs(serving, 1, busy=0)
    assert look() == stall.IDLE
    engine(serving).behaviour = "slow"
    ends(4)
    assert look() == stall.UNKNOWN
    assert serving.runs()


def test_ends_before_it_was_ready_do_not_count_after_a_pause_either(serving: Host) -> None:
    ends(4)
    runs(serving, 1, busy=0)
    assert look() == stall.IDLE
    serving.docker.running()[0]["State"]["Paused"] = True
    assert look() == "paused"
    serving.docker.running()[0]["State"]["Paused"] = False
    engine(serving).behaviour = "slow"
    ends(4)
    assert look() == stall.LOADING
    assert serving.runs()


def test_one_that_a_person_starts_after_a_loop_may_load(serving: Host) -> None:
    """`systemctl start`, which forgets no end."""
    ends(5)
    engine(serving).behaviour = "slow"
    assert look() == "loop"
    instances.start(NAME)
    until(lambda: bool(serving.docker.engines), "it runs again")
    engine(serving).behaviour = "slow"
    assert looks(2) == [stall.LOADING] * 2
    assert serving.runs()
    assert watched.kept(NAME)["state"] == ""


def test_one_that_somebody_stopped_is_left_alone(serving: Host) -> None:
    instances.stop(NAME)
    assert look() in ("stopped", "starting again")
    assert watched.kept(NAME) == {}


def test_what_is_gone_leaves_nothing(serving: Host) -> None:
    freeze(serving)
    files.remove(f"{files.APPLIED}/{NAME}.json")
    assert look() == ""
    assert not list((serving.root / "var/lib/hostler/watch").iterdir())


def test_one_looks_at_a_time(serving: Host) -> None:
    heard = Heard()
    with journal.locked([watch.ALONE]):
        watch.watch({"op": "watch"}, heard)
    assert heard.last["why"] == "another one looks"


def test_the_timer_is_there_as_long_as_the_limits_are(host: Host) -> None:
    link = host.root / "etc/systemd/system/multi-user.target.wants/hostler-watch.timer"
    files.write_json(watched.LIMITS, {})
    heard = Heard()
    watched.timer({}, heard)
    assert heard.last == {"changed": True}
    assert link.is_symlink()
    files.remove(watched.LIMITS)
    watched.timer({}, heard)
    assert not link.is_symlink()


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([], ""),
        (["loading", "CUDA error: out of memory", "bye"], "CUDA error: out of memory"),
        (["loading", "done", ""], "done"),
        (["failed to load model " + "x" * 300], ("failed to load model " + "x" * 300)[:200]),
    ],
)
def test_an_engines_last_words(log: list[str], words: str) -> None:
    assert watched.last_words(log) == words


METRICS = """# HELP x
vllm:num_requests_running{engine="0"} 2.0
vllm:num_requests_waiting{engine="0"} 1.0
vllm:generation_tokens_total{engine="0"} 10.0
vllm:generation_tokens_total{engine="1"} 5.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:iteration_tokens_total_count{engine="0"} 7.0
"""


def test_what_moves_in_metrics() -> None:
    assert watch.marks_of(METRICS) == ([15.0, 7.0, 0.25], 3)
    assert watch.marks_of("") == (None, None)
    assert watch.marks_of("llamacpp:requests_processing 0\n") == (None, 0)
