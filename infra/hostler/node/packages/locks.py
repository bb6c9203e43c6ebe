"""Who holds a file's lock, asked without taking it."""

from __future__ import annotations

import fcntl
import os
import struct

from ..base import files

FLOCK = "hhqqi"  # struct flock on 64-bit Linux


def holder(path: str) -> int:
    """The process that holds the lock of a file; 0 where none does, or the file is not there."""
    try:
        with open(files.at(path), "rb") as lock:
            answer = fcntl.fcntl(lock, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError:
        return 0
    kind, _, _, _, process = struct.unpack(FLOCK, answer)
    return 0 if kind == fcntl.F_UNLCK else int(process)


def named(process: int) -> str:
    """A process in words."""
    name = files.read_text("/proc/%d/comm" % process, "a process").strip()
    return "%s (process %d)" % (name, process)
