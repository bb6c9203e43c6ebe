"""The piped agent over real connections: answers, errors told apart, the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.transports import sshd
from contract.transports.conftest import Key, Settings, host
from hostler.errors import HostlerError, LockedError
from hostler.hosts import agent
from hostler.hosts.calls import agent_call, agent_stream, talk
from hostler.hosts.connect import transport_for
from hostler.hosts.local import LocalTransport
from hostler.hosts.lock import Lock
from hostler.hosts.probe import probe, probe_one
from hostler.hosts.recording import RecordingTransport
from hostler.hosts.transport import Result, Transport
from hostler.hosts.trouble import AgentError, HostTrouble
from hostler.hosts.types import Absent, Host, Ssh, Value

LIMIT_S = 10.0


@pytest.fixture
def door(server: sshd.Server, settings: Settings) -> Iterator[Transport]:
    settings(known=server.known)
    made = transport_for(host(server.port))
    yield made
    made.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_bundle_is_the_same_each_time() -> None:
    first = agent.bundle()
    agent.bundle.cache_clear()
    assert agent.bundle() == first
    assert agent.program().startswith(b"#!/bin/sh\n")


def test_probe_over_ssh(door: Transport) -> None:
    seen = probe_one(door, ["path:/etc/passwd", "path:/no/such", "text:/etc/hostname"])
    assert seen.error == ""
    assert seen.facts is not None
    assert seen.facts.hostname == os.uname().nodename
    assert isinstance(seen.observed["path:/no/such"], Absent)
    hostname = seen.observed["path:/etc/hostname"]
    assert isinstance(hostname, Value)
    assert hostname.value["text"] == Path("/etc/hostname").read_text()


def test_a_run_marks_its_processes(door: Transport) -> None:
    with talk(door, "lock", run_id="r-1") as conversation:
        conversation.hear(LIMIT_S)
        assert any(_run_of(pid) == b"r-1" for pid in os.listdir("/proc") if pid.isdigit())
        conversation.stream.stdin.close()


def test_an_error_of_the_agent_keeps_its_words(door: Transport) -> None:
    with pytest.raises(AgentError, match="expected an object named 'record'") as caught:
        agent_call(door, "record-commit", record={})
    assert (caught.value.kind, caught.value.rc) == ("usage", 2)


def test_installed_program_runs(tmp_path: Path) -> None:
    program = tmp_path / "hostler-node"
    program.write_bytes(agent.program())
    program.chmod(0o755)
    result = LocalTransport().run((str(program), "no-such-command"))
    assert result.rc == 2
    assert b"there is no command" in result.stdout


def test_no_python_and_old_python(settings: Settings, key: Key, tmp_path: Path) -> None:
    folder = sshd.fake_tools(tmp_path / "bin", 'shift; [ "$1" = -- ] && shift; exec "$@"')
    (tmp_path / "bin" / "python3").unlink()
    with sshd.server(
        tmp_path / "sshd", key[1], f'ForceCommand PATH={folder} exec sh -c "$SSH_ORIGINAL_COMMAND"'
    ) as two:
        settings(known=two.known)
        seen = probe([host(two.port)])["h"]
        assert (seen.error_kind, seen.reached) == ("python", False)
        assert "no python3" in seen.error
    old = RecordingTransport(
        "h", [Result(host="h", argv=(), rc=3, stdout=b'{"error":"python","message":"python 3.6"}\n')]
    )
    assert "python 3.6" in probe_one(old).error


def test_a_login_that_greets_is_no_obstacle() -> None:
    noisy = RecordingTransport("h", [b'Welcome\n{"progress":1}\n{"done":true}\n'])
    assert list(agent_stream(noisy, "fetch")) == [{"progress": 1}, {"done": True}]


def test_a_login_that_only_greets_is_told_apart() -> None:
    seen = probe_one(RecordingTransport("h", [b"Welcome to the machine\n"]))
    assert seen.error_kind == "protocol"
    assert "Welcome" in seen.error


def test_one_bad_host_leaves_the_others_whole(
    server: sshd.Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hostler.hosts.login.BANNER_S", 0.5)
    settings(known=server.known)
    with sshd.mute() as port:
        mute = Host(name="mute", pool="p", ssh=Ssh(address="127.0.0.1", port=port))
        dead = Host(name="dead", pool="p", ssh=Ssh(address="127.0.0.1", port=sshd.free_port()))
        local = Host(name="here", pool="p", ssh=Ssh(address="local"))
        seen = probe([mute, dead, local, host(server.port)], timeout=40)
    kinds = {name: answer.error_kind for name, answer in seen.items()}
    assert kinds == {"mute": "timeout", "dead": "refused", "here": "", "h": ""}
    assert list(seen) == ["mute", "dead", "here", "h"]


def test_a_slow_host_is_left_at_the_limit(settings: Settings) -> None:
    settings()
    started = time.monotonic()
    with sshd.mute() as port:
        mute = Host(name="mute", pool="p", ssh=Ssh(address="127.0.0.1", port=port))
        seen = probe([mute], timeout=0.5)["mute"]
    assert time.monotonic() - started < 8  # the greeting's own limit is 10 s
    assert (seen.error_kind, seen.next_step != "") == ("timeout", True)


def test_the_lock_names_its_holder_and_goes_with_it(door: Transport) -> None:
    here = LocalTransport("h")
    with Lock(door, "up", every=0.1) as lock:
        lock.check()
        with pytest.raises(LockedError) as caught, Lock(here, "down"):
            pass
        problem = caught.value.problems[0]
        assert "`up`" in problem.got
        assert sshd.user() in problem.got
        assert "30 s" in problem.next_step
    with Lock(here, "down", every=0.1) as second:
        second.check()


def test_a_lost_lock_is_noticed(settings: Settings, key: Key, tmp_path: Path) -> None:
    called: list[bool] = []
    with sshd.server(tmp_path / "sshd", key[1]) as two:
        settings(known=two.known)
        holder = transport_for(host(two.port))
        with Lock(holder, "up", every=0.1, on_lost=lambda: called.append(True)) as lock:
            holder.close()
            until(lock.lost.is_set)
            with pytest.raises(HostTrouble, match="lost"):
                lock.check()
            until(lambda: called == [True])
            until(_is_free)


def test_a_frozen_agent_is_noticed() -> None:
    here = LocalTransport("h")
    with Lock(here, "up", every=0.1, unheard=0.5, run_id="frozen-run") as lock:
        frozen = [pid for pid in os.listdir("/proc") if pid.isdigit() and _run_of(pid) == b"frozen-run"]
        assert frozen
        for pid in frozen:
            os.kill(int(pid), signal.SIGSTOP)
        until(lock.lost.is_set)
        for pid in frozen:
            os.kill(int(pid), signal.SIGCONT)


def _run_of(pid: str) -> bytes:
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return b""
    return next((word[12:] for word in words if word.startswith(b"HOSTLER_RUN=")), b"")


def _is_free() -> bool:
    try:
        with Lock(LocalTransport("h"), "try"):
            return True
    except LockedError:
        return False


def test_progress_lines_come_before_the_answer() -> None:
    lines = b'{"progress":1}\n{"progress":2}\n{"done":true}\n'
    stream = agent_stream(RecordingTransport("h", [lines]), "fetch")
    assert list(stream) == [{"progress": 1}, {"progress": 2}, {"done": True}]
    failing = RecordingTransport(
        "h", [Result(host="h", argv=(), rc=1, stdout=b'{"progress":1}\n{"error":"disk","message":"full"}\n')]
    )
    with pytest.raises(HostlerError, match="full"):
        list(agent_stream(failing, "fetch"))


def test_end_run_ends_what_another_run_left_and_nothing_else() -> None:
    left = subprocess.Popen(["sleep", "60"], env={**os.environ, "HOSTLER_RUN": "old"})
    ours = subprocess.Popen(["sleep", "60"], env={**os.environ, "HOSTLER_RUN": "new"})
    foreign = subprocess.Popen(["sleep", "60"])
    try:
        answer = agent_call(LocalTransport("h"), "end-run", run_id="new")
        assert left.pid in [process["pid"] for process in answer["ended"]]
        assert left.wait(5) == -signal.SIGTERM
        assert (ours.poll(), foreign.poll()) == (None, None)
    finally:
        for process in (left, ours, foreign):
            process.kill()
            process.wait()
