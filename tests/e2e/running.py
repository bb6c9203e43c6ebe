"""An `up` that is going on, in a process of its own: what it says, how far it is, and its end by force."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from e2e.desk import Desk
from lab.hosts import Host
from lab.shell import children

REACHED_S = 240.0
STOPPED_S = 45.0
Hosts = dict[str, Host]


class Run:
    """An `up` that is going on: what it says, in files, and what can be seen of it on the hosts."""

    def __init__(self, desk: Desk, hosts: Hosts, *words: str) -> None:
        self.home = desk.operator.home
        self.hosts = hosts
        self.roots = {name: Path(f"/proc/{host.leader}/root") for name, host in hosts.items()}  # with /run
        self.out, self.err = (desk.operator.directory / f"up.{kind}" for kind in ("out", "err"))
        with self.err.open("w") as err, self.out.open("w") as out:
            self.process = desk.start(
                *(words or ("up", "--yes")), stdout=out, stderr=err, start_new_session=True
            )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill(whole=True)

    def said(self) -> str:
        return self.err.read_text()

    def until(self, sign: Callable[[Run], bool]) -> None:
        """Until the stage is reached; an `up` that ends before never does."""
        deadline = time.monotonic() + REACHED_S
        while not sign(self):
            assert self.process.poll() is None, (
                f"it ended with {self.process.returncode}\n{self.said()[-4000:]}"
            )
            assert time.monotonic() < deadline, f"not in {REACHED_S:g} s\n{self.said()[-4000:]}"
            time.sleep(0.01)  # of a wait for a condition

    def kill(self, *, whole: bool) -> None:
        """kill -9; `whole`: with all that it started, as when the machine goes down."""
        for pid in [*(descendants(self.process.pid) if whole else ()), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def interrupt(self) -> int:
        """Ctrl-C on its terminal; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOPPED_S)

    def texts(self, host: str, pattern: str) -> list[str]:
        """Of files on a host."""
        found: list[str] = []
        for path in self.roots[host].glob(pattern):
            with suppress(OSError):
                found.append(path.read_text())
        return found

    def record(self) -> dict[str, Any]:
        for text in self.texts("gpu-1", "var/lib/hostler/home/record.json"):
            with suppress(ValueError):
                return json.loads(text)
        return {}

    def phases(self, kind: str, *hosts: str) -> set[str]:
        """How far the exchanges of this kind of container are, on these hosts, or on all."""
        found: set[str] = set()
        for host in hosts or self.hosts:
            for text in self.texts(host, f"var/lib/hostler/journal/{kind}*.json"):
                with suppress(ValueError):
                    found.add(str(json.loads(text)["phase"]))
        return found


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (*descendants(child), child)]
