"""Files and directories as the probe sees them."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from functools import lru_cache
from typing import Any, Dict, List, Optional

from ..base import files
from ..base.protocol import as_dict
from ..weights import store

SHOWN = 64 << 10  # bytes of a file whose text may be asked for
HASHED = 64 << 20  # bytes of a file that is hashed; weights have a sidecar instead


def look(path: str, shown: bool = False) -> Optional[Dict[str, Any]]:
    """hosts.types.Seen's `path:`, or None when there is nothing. Raises OSError when it cannot be looked at."""
    try:
        status = os.lstat(files.at(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    found: Dict[str, Any] = {
        "type": kind(status.st_mode),
        "mode": "%04o" % stat.S_IMODE(status.st_mode),
        "owner": account(status.st_uid),
        "group": group(status.st_gid),
        "size": status.st_size,
    }
    if found["type"] == "link":
        found["target"] = os.readlink(files.at(path))
    if found["type"] == "file":
        found["sha256"] = files.sha256_of(path, HASHED)
    if shown and found["type"] == "file" and status.st_size < SHOWN:
        found["text"] = files.read_text(path)
    return found


def kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "dir"
    return "file" if stat.S_ISREG(mode) else "other"


@lru_cache(maxsize=None)
def account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@lru_cache(maxsize=None)
def group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def model(path: str) -> Optional[Dict[str, Any]]:
    """A file of weights: size and what the sidecar of its checked download says. A file without one, or of
    another size than it says, has no checksum yet."""
    try:
        size = os.stat(files.at(path)).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    side = as_dict(files.read_json(store.sidecar_path(path)))
    return {"size": size, "sha256": str(side.get("sha256", "")) if side.get("size") == size else ""}


def folder(path: str) -> Optional[Dict[str, Any]]:
    """hosts.types.Seen's `folder:`, or None where there is no folder. Raises OSError when it cannot be looked at."""
    if not os.path.isdir(files.at(path)):
        return None
    found: Dict[str, Any] = {}
    for entry in _entries(path):
        if not entry.is_file():
            continue
        inside = path.rstrip("/") + "/" + entry.name
        size, known = entry.stat().st_size, as_dict(store.sidecar(inside))
        digest = str(known.get("sha256", "")) or (files.sha256_of(inside, HASHED) or "")
        found[entry.name] = {"size": size, "sha256": digest, "out": store.leads_out(inside)}
    return dict(sorted(found.items()))


def below(folder: str) -> List[str]:
    """All files below a directory, sorted; none where it is not there. Raises OSError when it cannot be listed."""
    found: List[str] = []
    for entry in sorted(_entries(folder), key=lambda entry: entry.name):
        path = folder + "/" + entry.name
        found += below(path) if entry.is_dir(follow_symlinks=False) else [path]
    return found


def _entries(folder: str) -> List["os.DirEntry[str]"]:
    try:
        with os.scandir(files.at(folder)) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
