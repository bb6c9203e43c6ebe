"""Interrupted, killed, and two at once; each followed by an `up` that converges."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contract.provision.scene import Background, Scene, held_create, host, wait_for
from hostler.errors import LockedError, ProvisionError
from hostler.provision import locks


def cli_pid(scene: Scene) -> int:
    """The pid of the CLI that holds the backend's lock."""
    return wait_for(lambda: locks.held(scene.fleet().places))[0].pid


def converged(scene: Scene) -> bool:
    places = scene.fleet().places
    clean = not locks.held(places) and not list(places.running.glob("*.json")) and not scene.pending()
    return clean and not scene.preview() and sorted(scene.resources()) == ["gpu-1", "gpu-2"]


def test_one_sigint_is_forwarded_and_what_is_in_flight_finishes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = scene.fleet()
    with held_create(monkeypatch) as (there, go_on):
        running = Background(lambda: fleet.up(scene.hosts, scene.seen))
        assert there.wait(30)
        assert fleet.interrupt()
        assert not fleet.interrupt()  # a second one would leave orphans
        go_on.set()
        with pytest.raises(KeyboardInterrupt):
            running.result()
    assert not locks.held(scene.fleet().places)
    assert scene.pending() == []
    scene.up()
    assert converged(scene)


def test_a_killed_cli_leaves_a_lock_that_is_said_and_lifted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_create(monkeypatch) as (there, go_on):
        running = Background(scene.up)
        assert there.wait(30)
        pid = cli_pid(scene)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProvisionError, match="got killed by signal 9"):
            running.result()
        go_on.set()
    assert [lock.pid for lock in locks.held(scene.fleet().places)] == [pid]
    assert scene.pending()
    scene.up()
    assert f"process {pid}" in scene.said[0]
    assert "lifting the lock of a process that is gone" in scene.said[0]
    assert converged(scene)


def test_a_kill_between_the_files_of_the_backend(scene: Scene) -> None:
    """The backend's files of attributes are not atomic: a killed CLI may leave an empty one."""
    scene.up()
    state = scene.fleet().places.state
    assert not list(state.rglob("*.attrs"))
    checkpoint = scene.fleet().places.checkpoint
    checkpoint.with_name(checkpoint.name + ".attrs").touch()
    scene.hosts = (*scene.hosts, host("gpu-3"))
    scene.up()
    assert sorted(scene.resources()) == ["gpu-1", "gpu-2", "gpu-3"]
    assert not scene.preview()


def test_two_ups_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with held_create(monkeypatch) as (there, go_on):
        running = Background(scene.up)
        assert there.wait(30)
        pid = cli_pid(scene)
        with pytest.raises(LockedError, match=f"process {pid}"):
            scene.up()
        with pytest.raises(LockedError):
            scene.fleet().forget()
        assert scene.preview().changes  # looking needs no lock
        go_on.set()
        running.result()
    assert converged(scene)


def test_both_past_the_look_at_the_lock(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend's own refusal is the same error."""
    preview = scene.preview()
    with held_create(monkeypatch) as (there, go_on):
        running = Background(lambda: scene.fleet().up(scene.hosts, scene.seen, preview))
        assert there.wait(30)
        second = scene.fleet()
        monkeypatch.setattr(second, "recover", lambda: None)
        with pytest.raises(LockedError, match="expected nobody else to change it"):
            second.up(scene.hosts, scene.seen, preview)
        go_on.set()
        running.result()
    assert converged(scene)


DRIVE = """
import sys, threading
from pathlib import Path
from contract.provision.scene import Scene
from hostler.provision.provider import Provider
create = Provider.Create
def held(self, request, context):
    if request.urn.endswith("::gpu-1") and not request.preview:
        print("there", flush=True)
        sys.stdin.readline()
    return create(self, request, context)
Provider.Create = held
try:
    Scene(base=Path(sys.argv[1])).up()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def driven(scene: Scene) -> subprocess.Popen[str]:
    """A hostler in a process of its own that has come to the middle of its `up`."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVE, str(scene.base)], env=environ, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "there\n"
    return process


def test_ctrl_c_on_a_terminal_twice(scene: Scene) -> None:
    """The whole process group gets it, as from a terminal; the CLI, in its own session, only our one."""
    process = driven(scene)
    cli = cli_pid(scene)
    assert os.getpgid(cli) != process.pid
    os.killpg(process.pid, signal.SIGINT)
    wait_for(lambda: signal.SIGINT not in pending_signals(cli))
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate("\n", timeout=30)
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
    assert not locks.held(scene.fleet().places)
    scene.up()
    assert converged(scene)


def pending_signals(pid: int) -> set[int]:
    """The signals that wait to be taken by a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    bits = int(next(line.split()[1] for line in lines if line.startswith("ShdPnd:")), 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1}


def test_a_killed_hostler_and_the_cli_that_it_left(scene: Scene) -> None:
    process = driven(scene)
    process.kill()
    process.communicate()
    scene.up()
    assert converged(scene)


def test_a_killed_hostler_whose_cli_hangs(scene: Scene) -> None:
    """A CLI that is stopped does not take the SIGINT: it is ended for good, and its lock lifted."""
    process = driven(scene)
    cli = cli_pid(scene)
    os.kill(cli, signal.SIGSTOP)
    process.kill()
    process.communicate()
    locks.end_orphans(scene.fleet().places, scene.said.append, grace=0.5)
    assert f"Pulumi process {cli}" in scene.said[0]
    scene.up()
    assert "lifting the lock" in scene.said[1]
    assert converged(scene)
