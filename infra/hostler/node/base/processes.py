"""The kernel's table of processes, each with the run that it belongs to."""

from __future__ import annotations

import os
from typing import Dict, NamedTuple, Optional, Set

from . import files

MARK = b"HOSTLER_RUN="


class Process(NamedTuple):
    pid: int
    parent: int
    name: str
    run: str
    born: str  # start time: a pid may be used again

    def as_json(self) -> Dict[str, object]:
        return {"pid": self.pid, "name": self.name, "run": self.run}


def ancestors(table: Dict[int, Process], pid: int) -> Set[int]:
    """The process and those above it."""
    found: Set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def processes() -> Dict[int, Process]:
    found = (read(int(name)) for name in os.listdir(files.at("/proc")) if name.isdigit())
    return {p.pid: p for p in found if p is not None}


def read(pid: int) -> Optional[Process]:
    """One process; None when it is gone, a zombie, or not ours to look at."""
    try:
        status = files.read("/proc/%d/stat" % pid) or b""
        variables = (files.read("/proc/%d/environ" % pid) or b"").split(b"\0")
    except OSError:
        return None
    name, _, rest = status.decode("utf-8", "replace").partition("(")[2].rpartition(")")
    fields = rest.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    marks = (v[len(MARK) :].decode("utf-8", "replace") for v in variables if v.startswith(MARK))
    return Process(pid, int(fields[1]), name, next(marks, "") if is_at_home(pid) else "", fields[19])


def born(pid: int) -> str:
    """The start time of one that lives, by its status alone: of one that hangs in the kernel the rest may not be readable.
    Empty: it is gone, or a zombie."""
    fields = files.read_text("/proc/%d/stat" % pid).rpartition(")")[2].split()
    return fields[19] if len(fields) >= 20 and fields[0] not in "ZX" else ""


def is_at_home(pid: int) -> bool:
    """Not in a container or guest of this machine, whose runs are not this machine's."""
    try:
        return os.readlink(files.at("/proc/%d/ns/pid" % pid)) == os.readlink(files.at("/proc/self/ns/pid"))
    except OSError:
        return True
