"""Which packages are installed, read from dpkg's own file in one pass."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Any, Dict, Iterable, List, Mapping, Optional

from . import files

STATUS = "/var/lib/dpkg/status"
UPDATES = "/var/lib/dpkg/updates"
FRONTEND = "/var/lib/dpkg/lock-frontend"
FLOCK = "hhqqi"  # struct flock on 64-bit Linux

WORKING = ("installed", "triggers-pending", "triggers-awaited")
GONE = ("not-installed", "config-files")


def dpkg(wanted: Iterable[str]) -> Optional[Dict[str, Any]]:
    """name -> {"version", "hold", "state": "installed"|"half"}, or None where it is not there. None as a whole:
    no dpkg here. Raises OSError when its file cannot be read."""
    content = files.read(STATUS)
    return None if content is None else parse(content.decode("utf-8", "replace"), wanted)


def parse(status: str, wanted: Iterable[str]) -> Dict[str, Any]:
    found: Dict[str, Any] = dict.fromkeys(wanted)
    for paragraph in status.split("\n\n"):
        line = paragraph.lstrip("\n").split("\n", 1)[0]
        name = line[9:].strip() if line.startswith("Package: ") else ""
        if name in found and not (found[name] and found[name]["state"] == "installed"):
            found[name] = _state(paragraph) or found[name]
    return found


def _state(paragraph: str) -> Optional[Mapping[str, Any]]:
    values = {key: value.strip() for key, _, value in (line.partition(":") for line in paragraph.split("\n"))}
    wish, _, rest = values.get("Status", "").partition(" ")
    flag, _, state = rest.partition(" ")
    if state in GONE or not state:
        return None
    whole = state in WORKING and flag == "ok"
    return {
        "version": values.get("Version", ""),
        "hold": wish == "hold",
        "state": "installed" if whole else "half",
    }


def everything() -> Optional[str]:
    """dpkg's file, and what it had not got into it when it was interrupted; None: no dpkg here."""
    content = files.read(STATUS)
    if content is None:
        return None
    whole = [content, *(files.read(UPDATES + "/" + name) or b"" for name in _updates())]
    return "\n\n".join(part.decode("utf-8", "replace") for part in whole)


def _updates() -> List[str]:
    try:
        return sorted(name for name in os.listdir(files.at(UPDATES)) if name.isdigit())
    except OSError:
        return []


def names(status: str) -> Iterable[str]:
    """All packages that are installed, whole or half."""
    for paragraph in status.split("\n\n"):
        line = paragraph.lstrip("\n").split("\n", 1)[0]
        if line.startswith("Package: ") and _state(paragraph):
            yield line[9:].strip()


def trouble() -> str:
    """Why the package manager cannot be used now; empty when it can."""
    holder = _lock_holder()
    if holder:
        return "%s (process %d) holds dpkg's lock" % (
            files.read_text("/proc/%d/comm" % holder, "a process").strip(),
            holder,
        )
    return "dpkg was interrupted: `dpkg --configure -a`" if _updates() else ""


def _lock_holder() -> int:
    """The process that holds the lock, by asking, without taking it."""
    try:
        with open(files.at(FRONTEND), "rb") as lock:
            answer = fcntl.fcntl(lock, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError:
        return 0
    kind, _, _, _, process = struct.unpack(FLOCK, answer)
    return 0 if kind == fcntl.F_UNLCK else int(process)
