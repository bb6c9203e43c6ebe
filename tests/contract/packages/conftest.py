"""A host's root file system without a boot: the agent and the real package manager in it, over a lab host's own root."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hostler.hosts import agent

INSIDE = """set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" "$2/root"
mount --bind /dev "$2/root/dev"
mount -t proc proc "$2/root/proc"
root="$2/root"; shift 2
exec chroot "$root" "$@"
"""
CLEAN = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C",
}


class Root:
    """What is written stays in `folder`; each command has the mounts to itself, so none is left behind."""

    def __init__(self, lower: Path, folder: Path) -> None:
        self.lower, self.folder = lower, folder
        for name in ("up", "work", "root"):
            (folder / name).mkdir(parents=True)
        self.file("root/hostler-node").write_bytes(agent.program())

    def file(self, name: str) -> Path:
        """A path of it, to be written before anything runs there."""
        path = self.folder / "up" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def run(
        self, words: Sequence[str], stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        inside = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            INSIDE,
            "sh",
            str(self.lower),
            str(self.folder),
        ]
        done = subprocess.run(
            [*inside, *words], input=stdin, env=CLEAN, text=True, capture_output=True, check=False
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, op: str, rc: int = 0, **request: Any) -> dict[str, Any]:
        """The agent's last line."""
        done = self.run(["python3", "/root/hostler-node", op, "-"], json.dumps(request) + "\n", check=False)
        assert done.returncode == rc, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def steps(self, *kinds: str) -> dict[str, str]:
        """What a transaction of those kinds would do: kind by name."""
        return {step["name"]: step["kind"] for step in self.ask("upgrade-look", kinds=kinds)["steps"]}
