"""The Pulumi CLI for the demo and the tests: the one that is there, else built once from its Go module.

Machines without internet cannot download the vendor's archive, but many have a Go module proxy. Prints the
path of the program. Building takes about 3 minutes, finding it a tenth of a second.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))

from hostler.errors import HostlerError
from hostler.provision.engine import PINNED, cache, find_cli

MODULE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
STAMP = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"  # the SDK refuses a CLI without it


def pulumi_cli() -> Path:
    """The path of a CLI that Hostler accepts."""
    try:
        return find_cli(install=False).path
    except HostlerError:
        pass
    if not shutil.which("go"):
        return find_cli().path  # no Go here: Pulumi's own installer
    root = cache() / PINNED
    root.mkdir(parents=True, exist_ok=True)
    with (root / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = root / "bin" / "pulumi"
        return program if program.exists() else _build(program)


def _build(program: Path) -> Path:
    print(f"building the Pulumi CLI {PINNED} from its Go module, once (about 3 minutes)", file=sys.stderr)
    program.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent.parent) as folder:
        _go(folder, "mod", "init", "pulumi.example/cli")
        _go(folder, "get", "-tool", f"{MODULE}@v{PINNED}")
        flags = f"-s -w -X {STAMP}=v{PINNED}"
        _go(
            folder,
            "build",
            "-trimpath",
            "-tags",
            "osusergo,grpcnotrace",
            "-ldflags",
            flags,
            "-o",
            "cli",
            MODULE,
        )
        Path(folder, "cli").replace(program)
    return program


def _go(folder: str, *words: str) -> None:
    environ = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    done = subprocess.run(
        ("go", *words), cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"go {words[0]}: {done.stderr.strip()[-3000:]}")


if __name__ == "__main__":
    print(pulumi_cli())
