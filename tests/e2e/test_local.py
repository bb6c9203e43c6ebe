"""Hostler on the machine that it serves: `address: local`, installed there as the README says, without SSH."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import traces
from e2e.desk import ROOT, UP_S
from lab.debs import nvidia_repository
from lab.hosts import Host
from lab.lab import Lab
from tools.pulumi_cli import pulumi_cli
from tools.wheel import built, uv
from tools.wheelhouse import wheelhouse

pytestmark = pytest.mark.lab

USER = "ada"
HOME = f"/home/{USER}"
MODEL = "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
OWN = (f"{HOME}/.local", f"{HOME}/.cache", f"{HOME}/.config", f"{HOME}/.ansible")


@dataclass
class Workstation:
    """A machine with one card, and the user who sits at it."""

    host: Host

    def __call__(
        self, *words: str, code: int = 0, stdin: str = "", timeout: float = UP_S
    ) -> subprocess.CompletedProcess[str]:
        line = f"export PATH=$HOME/.local/bin:$PATH; exec {shlex.join(words)}"
        done = self.host.run(["runuser", "-l", USER, "-c", line], check=False, stdin=stdin, timeout=timeout)
        assert done.returncode == code, f"{words} -> {done.returncode}\n{done.stdout}\n{done.stderr[-6000:]}"
        return done

    def give(self, source: Path, target: str) -> None:
        """A file or folder, for everybody to read."""
        place = self.host.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, place)

    def look(self) -> frozenset[str]:
        """The machine, without what the user's own programs keep in the user's own home."""
        return frozenset(line for line in traces.look(self.host) if not any(p in line for p in OWN))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """Its Python is Debian 13's own; uv and Pulumi's CLI were put there as their makers say."""
    work = tmp_path_factory.mktemp("local")
    with Lab.start(f"local-{os.getpid()}") as lab:
        host = lab.host("workstation", suite="trixie", gpus=("RTX 3090",), user=USER)
        desk = Workstation(host)
        desk.give(Path(uv()), "/usr/local/bin/uv")
        desk.give(pulumi_cli(), "/usr/local/bin/pulumi")
        desk.give(wheelhouse("3.13"), "/srv/wheels")
        desk.give(built(work), "/srv/wheels/")
        desk.give(nvidia_repository() / "libnvidia-container/gpgkey", "/srv/toolkit.asc")
        desk("uv", "tool", "install", "-q", "--no-index", "--find-links", "/srv/wheels", "hostler")
        yield desk


def test_from_nothing_to_a_chat_and_back(desk: Workstation) -> None:
    before = desk.look()
    shown = desk("hostler", "init").stderr
    assert "NVIDIA GeForce RTX 3090" in shown
    written = desk("cat", "hostler.yaml").stdout
    assert "- local" in written
    desk("hostler", "check")

    stack = (ROOT / "stacks/workstation.yaml").read_text(encoding="utf-8")
    start = stack.index('chat: "')
    stack = stack.replace(stack[start : stack.index("\n", start)], f'chat: "{MODEL}"')
    desk("tee", "hostler.yaml", stdin=f"{stack}mirror:\n  toolkit_key: /srv/toolkit.asc\n")
    first = desk("hostler", "up", "--yes")
    assert "chat answered" in first.stderr
    assert "nothing to do" in desk("hostler", "up", "--yes").stderr

    found = json.loads(desk("hostler", "connect", "--json").stdout)
    assert found["address"].startswith("http://")
    answer = desk("sh", "-c", desk("hostler", "connect", "curl").stdout)
    assert '"content"' in answer.stdout
    assert "ready" in desk("hostler", "status").stdout
    assert "ssh" not in desk("hostler", "doctor").stdout.lower()

    desk.host.run(["systemctl", "stop", "hostler@chat-0"])  # which would make it anew
    desk.host.run(["docker", "rm", "-f", "hostler-chat-0"])
    assert "container:chat-0" in desk("hostler", "plan").stdout
    desk("hostler", "up", "--yes")
    assert "nothing to do" in desk("hostler", "up", "--yes").stderr

    desk("hostler", "down", "--yes")
    now = desk.look()
    assert sorted(before - now) == []
    assert [line for line in sorted(now - before) if "hostler.yaml" not in line] == []
