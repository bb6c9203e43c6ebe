"""What an exchange is about to do, on disk before it does it; and the lock that says whether it is still alive.

Phases, in order: drain, stop, start, check, perhaps bake, commit; restore after a failure. Up to `check` what was left
behind goes back to the old container, from `commit` on it goes forward; in `bake` it is as heal.goes_forward says.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import Any, Dict, Generator, Iterable, List, Optional

from ..base import files, spec
from ..base.protocol import REFUSED, NodeError

FOLDER = "/var/lib/hostler/journal"
LOCKS = "/run/hostler/lock"
PAUSE = 0.2
LOCK_S = 5.0
BRIEF = b"brief"  # in the file of a lock: its holder only puts something right
BRIEF_S = 120.0

Journal = Dict[str, Any]


def read(identifier: str) -> Optional[Journal]:
    return files.read_json(_path(identifier))


def step(journal: Journal, phase: str, **more: Any) -> None:
    """Write down what comes next. On disk when this returns."""
    journal.update(more, phase=phase, at=time.time(), pid=os.getpid())
    files.write_json(_path(journal["id"]), journal)


def end(identifier: str) -> None:
    if files.remove(_path(identifier)):
        files.sync_folder(files.at(FOLDER))


def names() -> List[str]:
    """The containers whose exchange has not ended."""
    return spec.names(FOLDER)


def _path(identifier: str) -> str:
    return "%s/%s.json" % (FOLDER, identifier)


@contextlib.contextmanager
def locked(
    identifiers: Iterable[str], limit_s: Optional[float] = None, brief: bool = False
) -> Generator[None, None, None]:
    """Hold the locks of containers, in one order for everybody; raises NodeError (refused) when another holds one.
    `brief`: for no longer than a container's stop; who asks without a limit waits for that."""
    with contextlib.ExitStack() as stack:
        for identifier in sorted(set(identifiers)):
            stack.enter_context(_one(identifier, limit_s, brief))
        yield


@contextlib.contextmanager
def _one(identifier: str, limit_s: Optional[float], brief: bool) -> Generator[None, None, None]:
    path = files.at(LOCKS, identifier)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, identifier, limit_s)
        os.ftruncate(handle, 0)
        if brief:
            os.pwrite(handle, BRIEF, 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, identifier: str, limit_s: Optional[float]) -> None:
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            brief = limit_s is None and os.pread(handle, len(BRIEF), 0) == BRIEF
            limit = BRIEF_S if brief else LOCK_S if limit_s is None else limit_s
            if time.monotonic() >= begun + limit:
                raise NodeError(
                    "busy",
                    "%s: another exchange of it is going on" % identifier,
                    "wait for it, or end it: `hostler status` shows who holds the lock",
                    rc=REFUSED,
                    changed=False,
                ) from None
        time.sleep(PAUSE)
