"""The lab's small static programs, built by the Go tool chain from the standard library alone."""

import os
import shutil
import subprocess
from pathlib import Path

from .cache import HERE, built, digest
from .shell import LabError


def go_binary(name: str) -> Path:
    """The static binary of tests/lab/go/NAME."""
    source = HERE / "go"

    def build(path: Path) -> None:
        if not shutil.which("go"):
            raise LabError("go is missing: the lab's stub engine and stand-in nvidia-smi are built with it")
        env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath", "GOTOOLCHAIN": "local"}
        command = ["go", "build", "-ldflags", "-s -w", "-o", str(path / name), f"./{name}"]
        done = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"go build {name}: {done.stderr.strip()}")

    return built(f"go-{name}", digest(source / name, source / "go.mod"), build) / name
