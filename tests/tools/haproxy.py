"""A real HAProxy 3.4 for tests, from Debian experimental, without installing anything.

Its root file system is built once with mmdebstrap under the user's cache; the script that `haproxy()`
returns runs the binary through that system's own dynamic loader, so no root and no chroot are needed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# 3.4 is only in experimental, which has no pin of its own above 1
PIN = "Package: haproxy\\nPin: release {}\\nPin-Priority: 990\\n\\n"
PREFERENCES = PIN.format("n=rc-buggy") + PIN.format("a=experimental")
SCRIPT = """#!/bin/sh
# --argv0: a reload executes this script again
L={root}/usr/lib/{triplet}
exec "$L/{loader}" --argv0 "$0" --library-path "$L" {root}/usr/sbin/haproxy "$@"
"""


def haproxy() -> Path:
    """The path of a program that behaves as `haproxy`."""
    home = _cache() / "haproxy-root"
    program = home / "haproxy"
    with _locked(home.with_suffix(".lock")):
        if not program.exists():
            _build(home)
    return program


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "hostler-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    root = home / "root"
    _bootstrap(root)
    loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"))
    program = home / "haproxy.new"
    program.write_text(SCRIPT.format(root=root, triplet=loader.parent.name, loader=loader.name))
    program.chmod(0o755)
    subprocess.run([program, "-v"], check=True, stdout=subprocess.DEVNULL)
    program.rename(home / "haproxy")


def _bootstrap(root: Path) -> None:
    if not shutil.which("mmdebstrap"):
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "mmdebstrap"], check=True, stdout=subprocess.DEVNULL
        )
    source = f"deb [signed-by={KEYRING}] {_mirror()}"
    setup = (
        f'mkdir -p "$1"/etc/apt/preferences.d; printf "{PREFERENCES}" > "$1"/etc/apt/preferences.d/haproxy'
    )
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=extract", "--include=haproxy"),
            '--aptopt=Acquire::Check-Valid-Until "false"',  # a frozen mirror is past its date
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            f"--setup-hook={setup}",
            *("sid", root, f"{source} sid main", f"{source} experimental main"),
        ],
        check=True,
    )


def _mirror() -> str:
    """The Debian mirror that this machine itself uses."""
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    answer = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    found = (line for line in answer.split() if line.rstrip("/").endswith("/debian"))
    return next(found)
