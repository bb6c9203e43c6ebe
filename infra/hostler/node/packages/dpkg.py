"""dpkg: which packages are installed, read from its own file in one pass."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Mapping, Optional, Pattern

from ..base import files
from . import locks

STATUS = "/var/lib/dpkg/status"
UPDATES = "/var/lib/dpkg/updates"
LISTS = "/var/lib/dpkg/info"  # <package>.list
FRONTEND = "/var/lib/dpkg/lock-frontend"

WORKING = ("installed", "triggers-pending", "triggers-awaited")
GONE = ("not-installed", "config-files")


def is_here() -> bool:
    return any(os.path.exists(files.at(path)) for path in (STATUS, LISTS))


def look(wanted: Iterable[str]) -> Optional[Dict[str, Any]]:
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


def listed() -> List[str]:
    """All packages that are installed, whole or half."""
    return sorted(set(names(everything() or "")))


def half(pattern: Pattern[str]) -> List[str]:
    """Packages with such a name that are neither there nor gone."""
    status = files.read_text(STATUS)
    ours = {name for name in names(status) if pattern.search(name)}
    found = parse(status, ours)
    return sorted(name for name in ours if found[name] and found[name]["state"] == "half")


def owns(path: str, pattern: Pattern[str]) -> bool:
    """Whether a package with such a name has the file; True where that cannot be known."""
    if not os.path.isdir(files.at(LISTS)):
        return True
    lists = (name for name in os.listdir(files.at(LISTS)) if name.endswith(".list") and pattern.search(name))
    return any(path in files.read_text(LISTS + "/" + name).splitlines() for name in lists)


def names(status: str) -> Iterable[str]:
    """All packages in a text of dpkg's that are installed, whole or half."""
    for paragraph in status.split("\n\n"):
        line = paragraph.lstrip("\n").split("\n", 1)[0]
        if line.startswith("Package: ") and _state(paragraph):
            yield line[9:].strip()


def trouble() -> str:
    """Why the package manager cannot be used now; empty when it can."""
    holder = locks.holder(FRONTEND)
    if holder:
        return "%s holds dpkg's lock" % locks.named(holder)
    return "dpkg was interrupted: `dpkg --configure -a`" if _updates() else ""
