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

from . import files, spec
from .protocol import REFUSED, NodeError

FOLDER = "/var/lib/hostler/journal"
LOCKS = "/run/hostler/lock"
PAUSE = 0.2
LOCK_S = 5.0

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
def locked(identifiers: Iterable[str], limit_s: Optional[float] = None) -> Generator[None, None, None]:
    """Hold the locks of containers, in one order for everybody; raises NodeError (refused) when another holds one."""
    with contextlib.ExitStack() as stack:
        for identifier in sorted(set(identifiers)):
            stack.enter_context(_one(identifier, LOCK_S if limit_s is None else limit_s))
        yield


@contextlib.contextmanager
def _one(identifier: str, limit_s: float) -> Generator[None, None, None]:
    path = files.at(LOCKS, identifier)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, identifier, limit_s)
        yield
    finally:
        os.close(handle)


def _take(handle: int, identifier: str, limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise NodeError(
                    "busy",
                    "%s: another exchange of it is going on" % identifier,
                    "wait for it, or end it: `hostler status` shows who holds the lock",
                    rc=REFUSED,
                    changed=False,
                ) from None
        time.sleep(PAUSE)
