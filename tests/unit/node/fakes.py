"""Stand-ins for what an exchange touches: Docker's Engine API on a socket, engines on a port, systemd."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostler.node.base import files, instances
from hostler.node.base.protocol import Answers, NodeError
from hostler.node.base.shell import Result
from hostler.node.docker import docker
from hostler.node.replica import container

from .fake_docker import FakeDocker

DIGEST = "sha256:" + "a" * 64
NEVER_READY = ("exits", "slow")  # behaviours of a server that is waited for until the limit


class Heard(Answers):
    """Keeps what a command says."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def say_value(self, value: Any) -> None:
        self.lines.append(value)

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


class FakeSystemd:
    """Instances as threads that do what `run` does; stopping one stops its container, as ExecStop does."""

    def __init__(self) -> None:
        self.threads: dict[str, threading.Thread] = {}

    def systemctl(self, *words: str, timeout: float = 60.0) -> Result:  # noqa: ARG002 - as the real one
        verb, name = words[0], words[-1].removeprefix("hostler@").removesuffix(".service")
        said = ""
        if verb == "start" and not self.alive(name):
            self.threads[name] = threading.Thread(target=self.run, args=(name,), daemon=True)
            self.threads[name].start()
        elif verb == "stop" and self.alive(name):
            until(lambda: self.ended(name), "the waiter ends")
        elif verb == "is-active":
            said = "active" if self.alive(name) else "inactive"
        return Result(words, 0 if said != "inactive" else 3, said, "")

    def ended(self, name: str) -> bool:
        """ExecStop, and again for a `run` that was about to start it: systemd would end that one by SIGTERM."""
        docker.stop("hostler-" + name, 1)
        return not self.alive(name)

    def alive(self, name: str) -> bool:
        thread = self.threads.get(name)
        return thread is not None and thread.is_alive()

    def run(self, name: str) -> None:
        with contextlib.suppress(NodeError, OSError):
            container.run_until_end(name, Heard())

    def boot(self) -> None:
        """Every enabled instance, as multi-user.target does."""
        for link in Path(files.at(instances.WANTS)).glob("hostler@*"):
            self.systemctl("start", link.name)


def until(holds: Callable[[], bool], what: str, limit: float = 10.0) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"not in {limit} s: {what}"
        time.sleep(0.01)


@dataclass
class Host:
    """A whole host below a directory."""

    root: Path
    docker: FakeDocker
    systemd: FakeSystemd
    port: int

    def want(
        self, behaviour: str = "good", name: str = "chat-0", tag: str = "", **more: Any
    ) -> dict[str, Any]:
        """Write a wanted specification; another `tag` is another digest."""
        spec: dict[str, Any] = {
            "id": name,
            "uid": "u1",
            "part": "engine",
            "effect": "drain",
            "image": {"name": "llama", "tag": "b1", "digest": DIGEST},
            "argv": [behaviour, str(self.port), "4096"],
            "model": "chat",
            "user": "hostler",
            "port": self.port,
            "context": 4096,
            "slots": 2,
            "health": {
                "port": self.port,
                "path": "/health",
                "limit_s": 2 if behaviour in NEVER_READY else 60,
                "unix": "",
            },
            "drain_s": 1,
            "stop_s": 1,
            "smoke": ["What is the capital of France?", "Paris"],
            **more,
        }
        spec["spec"] = "-".join(spec["argv"]) + tag
        files.write_json(f"{files.WANTED}/{name}.json", spec)
        return spec

    def runs(self, name: str = "chat-0") -> str:
        """The specification that a running container carries; empty when none runs."""
        found = docker.inspect("hostler-" + name)
        return docker.label(found, "hostler.spec") if docker.running(found) else ""

    def dark(self) -> bool:
        self.docker.power_cut()
        return not any(thread.is_alive() for thread in self.systemd.threads.values())

    def reboot(self) -> None:
        """Power cut: nothing runs, /run is empty; then boot."""
        until(self.dark, "the waiters end")
        shutil.rmtree(self.root / "run")
        self.systemd.boot()
