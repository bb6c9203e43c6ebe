"""Files of weights on the machine that runs Hostler: which, how large, and their SHA-256, worked out once.

A digest is remembered in the user's cache folder by path, size, time of the last change and inode; whoever differs in
one of them is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.errors import StackFileError
from hostler.models import folders
from hostler.models.source import Format, OperatorSource

CHUNK = 1 << 20
MEMORY = "weights.json"
EVERY = 256 << 20  # bytes between two words of progress


def quiet(_text: str) -> None:
    """Nobody listens."""


class OperatorFiles:
    """`folder`: the stack file's; `tell` hears what goes on. Safe to use from several threads."""

    def __init__(
        self, folder: str = "/", tell: Callable[[str], None] = quiet, *, memory: Path | None = None
    ) -> None:
        self.folder, self.tell, self._memory = folder, tell, memory
        self._lock = threading.Lock()

    def chosen(self, source: OperatorSource, form: Format, where: str) -> list[Path]:
        """The model's files, the first weights first. Raises StackFileError."""
        path = Path(source.path)
        try:
            if path.is_dir():
                names = folders.chosen(
                    source.text, _sizes(path), lambda name: (path / name).read_bytes(), form, where=where
                )
                return [path / name for name in names]
            if path.is_file():
                return [
                    path.parent / name
                    for name in folders.of_file(source.text, _sizes(path.parent), where=where)
                ]
        except OSError as error:
            raise _unread(source.text, error, where) from error
        raise StackFileError.of(
            where,
            expected=f"the file or folder {source.text} on this machine",
            got=f"nothing at {path}",
            next_step="put it there; or name /PATH for what lies on the hosts, or hf:ORG/REPO",
        )

    def digest(self, path: Path, where: str = "") -> str:
        """SHA-256, hexadecimal. Raises StackFileError for a file that cannot be read, or that somebody writes."""
        try:
            if known := self.remembered(path):
                return known
            before = _mark(path)
            found = self._read(path)
            if _mark(path) != before:
                raise StackFileError.of(
                    where or str(path),
                    expected=f"{path} to stay as it is",
                    got="a file that is being written",
                    next_step="wait until it is whole, then run it again",
                )
            self._remember(path, {**before, "sha256": found})
        except OSError as error:
            raise _unread(str(path), error, where or str(path)) from error
        return found

    def remembered(self, path: Path) -> str:
        """Its digest as far as that is known without reading it; empty: not, or the file is another one since."""
        known: dict[str, Any] = self._known().get(str(path)) or {}
        with contextlib.suppress(OSError):
            if {**_mark(path), "sha256": known.get("sha256")} == known:
                return str(known["sha256"])
        return ""

    def was_known(self, path: Path) -> bool:
        """Whether this machine has read it once, whatever it is by now."""
        return str(path) in self._known()

    def _read(self, path: Path) -> str:
        digest, done, size = hashlib.sha256(), 0, path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if done % EVERY == 0:
                    self.tell(f"{path.name}: checksum, {done / 2**30:.1f} of {size / 2**30:.1f} GiB")
        return digest.hexdigest()

    def _place(self) -> Path:
        return self._memory or operator.cache_home() / MEMORY

    def _known(self) -> dict[str, Any]:
        try:
            return operator.read_json(self._place())
        except (OSError, ValueError):  # it is only a memory
            return {}

    def _remember(self, path: Path, row: dict[str, Any]) -> None:
        with self._lock, contextlib.suppress(OSError):
            every = {name: one for name, one in self._known().items() if os.path.exists(name)}
            operator.write_json(self._place(), {**every, str(path): row})


def _mark(path: Path) -> dict[str, Any]:
    seen = path.stat()
    return {"size": seen.st_size, "mtime_ns": seen.st_mtime_ns, "inode": seen.st_ino}


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}


def _unread(path: str, error: OSError, where: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected=f"to read {path}",
        got=error.strerror or str(error),
        next_step="check its permissions",
    )
