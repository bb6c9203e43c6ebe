"""A listing of a whole host, quick because what lies in the shared root alone was hashed when that was built."""

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """kind is file, dir, link or other; content is a SHA-256, a link's target, or empty."""

    kind: str
    mode: int
    owner: tuple[int, int]
    size: int
    content: str


@cache
def _hashes(path: Path) -> dict[str, str]:
    return json.loads(path.read_text())


def _content(path: Path, kind: str, upper: Path, name: str, known: dict[str, str]) -> str:
    if kind == "link":
        return os.readlink(path)
    if kind != "file":
        return ""
    if name in known and not (upper / name.lstrip("/")).exists():
        return known[name]
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def _entry(path: Path, name: str, upper: Path, known: dict[str, str]) -> Entry:
    info = path.lstat()
    mode = info.st_mode
    kind = (
        "dir"
        if stat.S_ISDIR(mode)
        else "link"
        if stat.S_ISLNK(mode)
        else "file"
        if stat.S_ISREG(mode)
        else "other"
    )
    content = _content(path, kind, upper, name, known)
    size = info.st_size if kind == "file" else 0
    return Entry(kind, stat.S_IMODE(mode), (info.st_uid, info.st_gid), size, content)


def listing(root: Path, disk: Path, hashes: Path) -> dict[str, Entry]:
    """Path -> entry, for everything in this root."""
    known, found = _hashes(hashes), dict[str, Entry]()
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            inside = "/" + str(path.relative_to(root))
            try:
                found[inside] = _entry(path, inside, disk / "up", known)
            except OSError:
                continue
    for path in (disk / "docker").iterdir():
        inside = f"/var/lib/docker/{path.name}"
        found[inside] = _entry(path, inside, disk, {})
    return found
