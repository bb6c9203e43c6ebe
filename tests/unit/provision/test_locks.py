"""Which lock is stale, and whose process is an orphan."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostler.provision import locks
from hostler.provision.locations import Locations


@pytest.fixture
def places(tmp_path: Path) -> Locations:
    made = Locations.of("lab", tmp_path)
    made.make()
    made.locks.mkdir(parents=True)
    return made


def lock(places: Locations, pid: int, host: str = "", ago: float = 0.0) -> None:
    when = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123+00:00"
    fields = {"pid": pid, "username": "ops", "hostname": host or socket.gethostname(), "timestamp": when}
    (places.locks / f"{pid}.json").write_text(json.dumps(fields))


def dead() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("pid", "host", "ago", "stale"),
    [
        ("dead", "", 0, True),
        ("alive", "", 0, False),
        ("alive", "", 10 * 365 * 86400, True),  # the pid was given out again since
        ("dead", "elsewhere", 0, False),
    ],
)
def test_stale(places: Locations, pid: str, host: str, ago: float, stale: bool) -> None:
    lock(places, dead() if pid == "dead" else os.getpid(), host, ago)
    assert [found.stale for found in locks.held(places)] == [stale]
    assert bool(locks.stale(locks.held(places))) is stale


def test_one_living_holder_keeps_them_all(places: Locations) -> None:
    lock(places, dead())
    lock(places, os.getpid())
    assert locks.stale(locks.held(places)) == ()


def test_a_lock_says_who_and_since_when(places: Locations) -> None:
    lock(places, 4711, "gpu-1")
    assert str(locks.held(places)[0]).startswith("ops@gpu-1, process 4711, since 20")


@pytest.mark.parametrize("zone", ["Z", "+02:00", ".5Z", ".123456789+02:00"])
def test_go_s_time_stamps(places: Locations, zone: str) -> None:
    fields = {"pid": 1, "username": "ops", "hostname": "gpu-1", "timestamp": "2026-11-24T10:00:00" + zone}
    (places.locks / "x.json").write_text(json.dumps(fields))
    hours = 8 if "+02" in zone else 10
    assert locks.held(places)[0].since == datetime(2026, 11, 24, hours, tzinfo=UTC).timestamp()


def test_a_zombie_does_not_run() -> None:
    process = subprocess.Popen(["true"])
    limit = time.monotonic() + 5
    while locks.started(process.pid) is not None and time.monotonic() < limit:
        os.sched_yield()
    assert locks.started(process.pid) is None
    process.wait()


def test_the_cli_of_a_dead_hostler_is_ended_with_one_sigint(places: Locations, tmp_path: Path) -> None:
    script = (
        "import signal, sys, time, pathlib\n"
        "count = 0\n"
        "def on(*_):\n"
        f"    pathlib.Path({str(tmp_path / 'signals')!r}).open('a').write('SIGINT ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGINT, on)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    cli = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert cli.stdout
    cli.stdout.readline()
    locks.note_running(places, cli.pid)
    assert locks.orphans(places) == []  # its hostler, this process, lives
    noted = places.running / f"{cli.pid}.json"
    noted.write_text(json.dumps({**json.loads(noted.read_text()), "owner": dead()}))
    said: list[str] = []
    locks.end_orphans(places, said.append, grace=20)
    assert cli.wait(5) == 0
    assert (tmp_path / "signals").read_text() == "SIGINT "
    assert str(cli.pid) in said[0]
    assert locks.orphans(places) == []
    cli.stdout.close()
