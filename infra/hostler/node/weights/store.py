"""Model files on this host: where their sidecars are, and whether what is there is whole.

A sidecar {"sha256", "size", "url", "mtime_ns"} is written after a check of the whole file: below
/var/lib/hostler/models beside it (<file>.hostler), for a user's own file in /var/lib/hostler/local, since nothing
is put beside that.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict, Optional

from ..base import files

LOCAL = "/var/lib/hostler/local"
Sidecar = Dict[str, Any]


def sidecar_path(path: str) -> str:
    if path.startswith(files.MODELS + "/"):
        return path + files.BESIDE
    return "%s/%s.json" % (LOCAL, hashlib.sha256(path.encode()).hexdigest()[:32])


def sidecar(path: str) -> Optional[Sidecar]:
    """What was checked, when the file is still that: same size, not written since. None otherwise."""
    known = files.read_json(sidecar_path(path))
    try:
        seen = os.stat(files.at(path))
    except FileNotFoundError:
        return None
    if not known or known.get("size") != seen.st_size:
        return None
    return known if known.get("mtime_ns", seen.st_mtime_ns) == seen.st_mtime_ns else None


def write_sidecar(path: str, sha256: str, url: str, untold: str = "") -> Sidecar:
    """After a check. `url` is kept without its query: signed addresses are secrets. `untold`: from where it came, for
    who asks next, when nobody listens now."""
    seen = os.stat(files.at(path))
    known: Sidecar = {
        "sha256": sha256,
        "size": seen.st_size,
        "url": url.partition("?")[0],
        "mtime_ns": seen.st_mtime_ns,
        "path": path,
    }
    files.write_json(sidecar_path(path), {**known, "untold": untold} if untold else known)
    return known


def told(path: str) -> str:
    """From where a file came that came while nobody listened; once, then empty."""
    known = sidecar(path) or {}
    untold = str(known.pop("untold", ""))
    if untold:
        files.write_json(sidecar_path(path), known)
    return untold


def leads_out(path: str) -> bool:
    """Whether a file is a link out of its folder: a container sees no more than that folder."""
    folder = os.path.realpath(os.path.dirname(files.at(path)))
    return os.path.commonpath((folder, os.path.realpath(files.at(path)))) != folder


def free_bytes(path: str) -> int:
    """Bytes that may still be written where `path` is, or will be."""
    folder = os.path.dirname(files.at(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    seen = os.statvfs(folder)
    return seen.f_bavail * seen.f_frsize
