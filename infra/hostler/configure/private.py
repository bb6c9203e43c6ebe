"""Where secrets lie while Ansible runs: a folder for nobody else, in memory where there is such a place.

Its lock is held as long as we live. A run that was killed together with its child could not take its folder away;
the next one does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PREFIX = "hostler-"
LOCK = ".lock"
LONGEST = 40  # characters of the path of a place: sockets are made below it, whose paths have at most 104


@contextmanager
def private_folder() -> Generator[Path]:
    """Gone in the end."""
    sweep(place())
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place()))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place() -> str:
    places = (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm")  # noqa: S108 - mkdtemp makes it private
    found = (p for p in places if 0 < len(p) < LONGEST and os.access(p, os.W_OK | os.X_OK))
    return next(found, tempfile.gettempdir())


def sweep(where: str) -> None:
    """Takes away the folders of runs that are dead."""
    for path in Path(where).glob(f"{PREFIX}*/{LOCK}"):
        if path.parent.is_symlink() or path.parent.stat().st_uid != os.getuid():
            continue
        with path.open("r") as lock:
            if _is_free(lock):
                shutil.rmtree(path.parent, ignore_errors=True)


def _is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
