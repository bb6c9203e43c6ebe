"""Packing the host's agent: one zip, the same bytes for the same sources, piped or installed."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

NAME = "hostler_node"  # the package's name on a host
ENTRY = f"from {NAME}.__main__ import program\nraise SystemExit(program())\n"
LEAST_PYTHON = (3, 9)
NEWEST_PYTHON = 19  # 3.x: as far as names of interpreters are tried
NO_PYTHON = 127  # rc of FIND: none is new enough

# Runs the first Python that is new enough; "$@" is what it is told. The system's own may be older than one beside it
# (EL 8), or may not be called python3 at all.
NAMES = " ".join(
    (
        "python3",
        *(f"python3.{minor}" for minor in range(LEAST_PYTHON[1], NEWEST_PYTHON)),
        "/usr/libexec/platform-python",
    )
)
FIND = f"""
for p in {NAMES}; do
  p=$(command -v "$p" 2>/dev/null) || continue
  "$p" -IS -c 'import sys; sys.exit(sys.version_info < {LEAST_PYTHON})' 2>/dev/null && exec "$p" "$@"
done
. /etc/os-release; echo "no python3 that is new enough ($ID $VERSION_ID)" >&2; exit {NO_PYTHON}
""".strip()
HEADER = (
    b"""#!/bin/sh
# hostler's agent: what follows is a zip archive that Python runs.
set -- -IS "$0" "$@"
"""
    + FIND.encode()
    + b"\n"
)

# Runs in any Python 3: reads the zip's length and the zip from stdin, and leaves the rest of stdin, which is
# the request. The zip lies in anonymous memory: nothing is written on the host.
BOOT = f"""
import os, sys
if sys.version_info < {LEAST_PYTHON}:
    print('{{"error":"python","message":"python %d.%d"}}' % sys.version_info[:2])
    sys.exit(3)
pipe = sys.stdin.buffer
code = pipe.read(int(pipe.readline()))
memory = os.memfd_create("hostler-node")
while code:
    code = code[os.write(memory, code):]
sys.path.insert(0, "/proc/self/fd/%d" % memory)
from {NAME}.__main__ import program
sys.exit(program())
""".strip()


@cache
def bundle(*, small: bool = True) -> bytes:
    """The agent as a zip that `python3 FILE` runs: sorted names, no dates. `small`: compressed, for the wire; else its bytes
    follow from its content alone, whichever zlib an operator's Python has."""
    files = {"__main__.py": ENTRY.encode(), **_sources(resources.files("hostler.node"), NAME)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compresslevel=9) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if small else zipfile.ZIP_STORED
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name])
    return packed.getvalue()


def _sources(folder: Traversable, name: str) -> dict[str, bytes]:
    """Path in the archive -> source, of a package and those in it."""
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        inside = f"{name}/{entry.name}"
        if entry.is_dir():
            found.update(_sources(entry, inside))
        elif entry.name.endswith(".py"):
            found[inside] = entry.read_bytes()
    return found


@cache
def program() -> bytes:
    """What is installed as /usr/local/lib/hostler/hostler-node, mode 0755."""
    return HEADER + bundle(small=False)


@cache
def preamble() -> bytes:
    """What BOOT reads before the request."""
    return b"%d\n" % len(bundle()) + bundle()


def command(run_id: str) -> tuple[str, ...]:
    """The words that start the piped agent. The run's id stands in its environment, where the next
    holder of the lock finds what an interrupted run left behind."""
    return ("env", f"HOSTLER_RUN={run_id}", "sh", "-c", FIND, "sh", "-IS", "-c", BOOT)
