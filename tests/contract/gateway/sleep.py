"""Models that sleep and are woken, with the rig's engines: what host and controller do, in little."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from contract.gateway.rig import HOLDING, Proxy, Rig, until
from hostler.gateway.specs import Holding, ServedModel

PROCESS = Path(__file__).with_name("holder_process.py")


class Keeper:
    """The holder as a process, and what it is told."""

    def __init__(self, rig: Rig, first: float = 10, every: float = 15) -> None:
        self.run = rig.paths("gateway", "gpu-1").run
        self.folder = rig.folder / "wakes"
        self.folder.mkdir()
        self.words = [str(self.folder), self.run, str(first), str(every)]
        self.start()
        self.former: list[subprocess.Popen[bytes]] = []
        rig.proxies.append(self)  # type: ignore[arg-type]  it is stopped alike

    def start(self) -> None:
        before = self.inode()
        self.process = subprocess.Popen([sys.executable, PROCESS, *self.words], env=os.environ)
        until(lambda: self.inode() not in (0, before) or self.process.poll() is not None)
        assert self.process.poll() is None

    def inode(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return Path(self.run, "holder.sock").stat().st_ino
        return 0

    def tell(self, what: str, model: str, text: str = "") -> None:
        beside = self.folder / "beside"
        beside.write_text(text)
        beside.rename(self.folder / f"{what}-{model}")

    def forget(self, what: str, model: str) -> None:
        (self.folder / f"{what}-{model}").unlink(missing_ok=True)

    def begun(self, model: str) -> int:
        """How many wakes."""
        file = self.folder / f"begun-{model}"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def stop(self) -> None:
        for one in (self.process, *self.former):
            one.kill()
            one.wait()

    def end(self) -> None:
        """It takes its leave, as when systemd restarts it: its successor is started at once."""
        self.process.terminate()
        self.former.append(self.process)
        until(lambda: self.inode() == 0)

    def gone(self) -> None:
        """All that took their leave have ended, well."""
        assert [one.wait(20) for one in self.former] == [0] * len(self.former)


class Sleeper:
    """One replica that is put to sleep, and woken when the holder asks for it. `pause`: draws how long to wait between two
    steps."""

    def __init__(self, rig: Rig, proxy: Proxy, keeper: Keeper, name: str, pause: float = 0) -> None:
        self.rig, self.proxy, self.keeper, self.name, self.pause = rig, proxy, keeper, name, pause
        self.model = name.rpartition("-")[0]
        self.drawn = random.Random(7)

    def wait(self) -> None:
        time.sleep(self.drawn.random() * self.pause)

    def sleep(self) -> None:
        """Drains, stops, and takes the drain's mark away: it is down."""
        self.keeper.forget("awake", self.model)
        mark = self.rig.drain(self.name)
        until(lambda: self.proxy.states()[self.name].startswith("NOLB"))
        until(
            lambda: self.proxy.in_flight(self.name) == 0 and self.rig.engines[self.name].state()["busy"] == 0
        )
        self.wait()
        self.rig.engines[self.name].kill()
        self.wait()
        mark.unlink()
        self.wait()

    def down(self) -> None:
        until(lambda: self.proxy.states()[self.name].startswith("DOWN"))

    def wake(self) -> None:
        self.rig.engines[self.name].start()
        self.keeper.tell("awake", self.model)

    @contextmanager
    def wakes(self) -> Iterator[None]:
        """Wakes it as often as it is asked to, meanwhile."""
        over, seen = threading.Event(), self.keeper.begun(self.model)

        def watch() -> None:
            done = seen
            while not over.wait(0.02):
                if self.keeper.begun(self.model) > done:
                    done += 1
                    self.wait()
                    self.wake()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def sleeping(
    rig: Rig, name: str, replicas: int = 1, hold: Holding | None = HOLDING, **more: Any
) -> ServedModel:
    return replace(rig.model(name, replicas, hold, **more), sleeps=True)
