"""The backend's lock of a process that is gone. DIY backends never let a lock expire by themselves.

A lock names pid, host and time. It is stale when that process does not run on this host, or began after the
lock was written (the pid was given out again). A CLI whose own hostler was killed is told to stop first.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hostler.provision.locations import PRIVATE_DIRECTORY, Locations

ORPHAN_GRACE = 20.0  # seconds for a CLI without its hostler to finish what is in flight
CLOCK_SLACK = 2.0  # seconds between a process's start and its first lock


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendLock:
    path: str  # a file, or an object's key
    pid: int
    user: str
    host: str
    since: float  # seconds since 1970

    @property
    def here(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def stale(self) -> bool:
        began = started(self.pid)
        return self.here and (began is None or began > self.since + CLOCK_SLACK)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since).astimezone().isoformat(timespec="seconds")
        return f"{self.user}@{self.host}, process {self.pid}, since {since}"


def held(places: Locations) -> tuple[BackendLock, ...]:
    """Of a stack whose state is a local folder."""
    found = (_read(path) for path in sorted(places.locks.glob("*.json")))
    return tuple(lock for lock in found if lock)


def _read(path: Path) -> BackendLock | None:
    try:
        return parse(str(path), path.read_text())
    except FileNotFoundError:
        return None  # let go in between


def parse(path: str, text: str) -> BackendLock:
    """A lock as Pulumi's DIY backend writes it."""
    fields = json.loads(text)
    return BackendLock(
        path=path, pid=fields["pid"], user=fields["username"], host=fields["hostname"],
        since=_seconds(fields["timestamp"]),
    )  # fmt: skip


def _seconds(stamp: str) -> float:
    """RFC 3339 with up to nine digits of a second."""
    head, _, rest = stamp.partition(".")
    zone = rest.lstrip("0123456789") if rest else ""
    return datetime.fromisoformat(head + zone if rest else stamp).astimezone(UTC).timestamp()


def started(pid: int) -> float | None:
    """When the process began, in seconds since 1970; None where it does not run (a zombie does not)."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _boot_time() -> float:
    lines = Path("/proc/stat").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))


def _started_by_ps(pid: int) -> float | None:
    """macOS has no /proc."""
    command = ("ps", "-o", "lstart=", "-p", str(pid))
    answer = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C"}, check=False)
    text = answer.stdout.strip()
    return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").astimezone().timestamp() if text else None


# -- a CLI process and the hostler that it belongs to -----------------------------------------------------


def note_running(places: Locations, cli: int) -> None:
    owner = os.getpid()
    noted = {"cli": cli, "cli_began": started(cli), "owner": owner, "owner_began": started(owner)}
    places.running.mkdir(exist_ok=True, mode=PRIVATE_DIRECTORY)
    part = places.running / f"{cli}.part"
    part.write_text(json.dumps(noted))
    part.replace(places.running / f"{cli}.json")


def forget_running(places: Locations, cli: int) -> None:
    (places.running / f"{cli}.json").unlink(missing_ok=True)


def orphans(places: Locations) -> list[int]:
    """The pids of CLIs that still run although the hostler that started them is dead."""
    found = [(path, _noted(path)) for path in sorted(places.running.glob("*.json"))]
    for path, noted in found:
        if not _same(noted.get("cli"), noted.get("cli_began")):
            path.unlink(missing_ok=True)  # ended long ago
    return [
        noted["cli"]
        for _, noted in found
        if _same(noted.get("cli"), noted.get("cli_began")) and not _same(noted["owner"], noted["owner_began"])
    ]


def _noted(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}  # forgotten in between


def _same(pid: int | None, began: float | None) -> bool:
    return pid is not None and began is not None and started(pid) == began


def end_orphans(places: Locations, notice: Callable[[str], object], grace: float = ORPHAN_GRACE) -> None:
    """One SIGINT, so that calls in flight finish; SIGKILL where one has not gone in `grace` seconds."""
    found = orphans(places)
    for pid in found:
        notice(f"an interrupted run left the Pulumi process {pid} behind; waiting for it to stop")
        _signal(pid, signal.SIGINT)
    if found and not _gone(places, grace):
        for pid in orphans(places):
            _signal(pid, signal.SIGKILL)
        _gone(places, grace)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _gone(places: Locations, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while orphans(places):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def stale(found: tuple[BackendLock, ...]) -> tuple[BackendLock, ...]:
    """All the locks, when nobody alive holds any of them; otherwise none."""
    return found if all(lock.stale for lock in found) else ()
