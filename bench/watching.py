"""The controller's own load: `serve` of this tree with 64 hosts (crowd.py), processor time against wall time.

`python watching.py FOLDER` is that controller: the product's own, with a key of this run's and sockets in FOLDER.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import crowd
from crowd import TOP, Lines

SECONDS = 60.0  # of one measurement: two probes, twelve looks of each host, and one look at money
ROUNDS = 2  # with a browser
LIMIT_S = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


def measured(lines: Lines, work: Path) -> dict[str, float]:
    """Shares of a core, and MiB: `alone`, and `shown` with one browser that has the page open."""
    folder, port = work / "watching", free_port()
    folder.mkdir()
    crowd.write(folder, lines, port)
    with program("crowd.py", folder, str(port)) as hosts, program("watching.py", folder) as controller:
        wait_ready(hosts)
        first = until_shown(folder, controller)
        alone = share(controller.pid, SECONDS)
        with browser(folder) as read:
            shown = share(controller.pid, ROUNDS * SECONDS)
        if not read[0]:
            sys.exit("watching: the page's stream said nothing")
        return {"alone": alone, "shown": shown, "first": first, "memory": memory_mib(controller.pid)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def program(name: str, folder: Path, *words: str) -> Generator[subprocess.Popen[str]]:
    env = os.environ | {"HOSTLER_CONTROLLER": str(folder), "HOME": str(folder)}
    command = [sys.executable, str(TOP / "bench" / name), str(folder), *words]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def wait_ready(hosts: subprocess.Popen[str]) -> None:
    if not hosts.stdout or hosts.stdout.readline() != "ready\n":
        sys.exit("watching: the hosts do not begin")


def until_shown(folder: Path, controller: subprocess.Popen[str]) -> float:
    """Seconds until its page shows each host and each replica as they are."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT_S:
        with suppress(OSError, ValueError, KeyError):
            shown = json.loads(asked(folder, "/hostler/status.json"))
            reached = sum(row["reached"] for row in shown["hosts"])
            states = {row["state"] for row in shown["idle"]}
            if reached == crowd.HOSTS and states == {"busy", "idle", "asleep"}:
                return time.monotonic() - began
        if controller.poll() is not None:
            break
        time.sleep(0.5)
    log = (folder / "watching.py.log").read_text()[-3000:]
    raise SystemExit(f"watching: its page does not show all hosts:\n{log}")


def asked(folder: Path, path: str) -> bytes:
    with connected(folder, path) as there:
        return b"".join(iter(lambda: there.recv(1 << 16), b"")).partition(b"\r\n\r\n")[2]


def connected(folder: Path, path: str) -> socket.socket:
    there = socket.socket(socket.AF_UNIX)
    there.settimeout(30)
    try:
        there.connect(str(folder / "page.sock"))
        there.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    except OSError:
        there.close()
        raise
    return there


@contextmanager
def browser(folder: Path) -> Generator[list[int]]:
    """Reads the page's stream; how many bytes, in the list's only place."""
    read = [0]
    there = connected(folder, "/hostler/events")

    def listen() -> None:
        with suppress(OSError):
            while some := there.recv(1 << 16):
                read[0] += len(some)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield read
    finally:
        there.shutdown(socket.SHUT_RDWR)
        there.close()
        thread.join(5)


def share(pid: int, seconds: float) -> float:
    """Processor time of all its threads, user's and kernel's, to wall time."""
    used, began = processor_s(pid), time.monotonic()
    time.sleep(seconds)
    return (processor_s(pid) - used) / (time.monotonic() - began)


def processor_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def memory_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main(folder: Path) -> None:
    import asyncio

    from hostler.console.out import Out
    from hostler.controller.service.serve import Service
    from hostler.hosts import ways

    ways.KEY = str(folder / crowd.HOST_KEY)
    service = Service(folder, folder, Out(stdout=sys.stderr), folder)
    asyncio.run(service.run())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
