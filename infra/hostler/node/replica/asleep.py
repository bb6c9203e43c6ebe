"""The mark of a replica that sleeps on purpose: its container is stopped, and no boot starts it.

It says how far a `sleep` or a `wake` is, on disk before each step, so that whoever comes after a kill (the next look of
the watch or of idle/, the next exchange) makes it one of two things: asleep, or serving. With the replica's lock held.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Generator, List, Optional

from ..base import clock, files, instances, spec
from ..base.protocol import NodeError, as_dict
from ..docker import docker
from ..doors import drain
from . import journal

FOLDER = "/var/lib/hostler/asleep"
BRIEF = (
    "/run/hostler/asleep"  # of a moment only, where the disk takes nothing; newer than what is on the disk
)
DRAINING, ASLEEP, WAKING = "draining", "asleep", "waking"
# {"state", "since": it sleeps, seconds since 1970; "boot", "at": idle since then, seconds of that boot; "why", "by",
# "drained": by its sleep, or its host's end}
Mark = Dict[str, Any]


def read(identifier: str) -> Optional[Mark]:
    """None: it is awake, as is one whose mark nobody can read: then it stands still, which a plan shows."""
    return _read(BRIEF, identifier) or _read(FOLDER, identifier)


def _read(folder: str, identifier: str) -> Optional[Mark]:
    try:
        found = as_dict(files.read_json(_path(folder, identifier)))
    except (OSError, NodeError):
        return None
    return found if found.get("state") else None


def names() -> List[str]:
    return sorted({*spec.names(FOLDER), *spec.names(BRIEF)})


def sleeps(identifier: str) -> bool:
    """Whether nothing may start it but what wakes it."""
    return (read(identifier) or {}).get("state") == ASLEEP


def made(why: str, by: str, idle_since: Optional[float] = None) -> Mark:
    """Of one that begins to fall asleep; `idle_since`: when it last did anything, seconds of this boot; None: just now."""
    at = clock.boottime() if idle_since is None else idle_since
    here = {"boot": clock.boot(), "at": at, "since": time.time()}
    return {"state": DRAINING, "why": why, "by": by, "drained": True, **here}


def keep(identifier: str, mark: Mark) -> Mark:
    """On a full disk below /run, where it need not outlast a boot, or what is on the disk says the same after one. Raises
    OSError."""
    try:
        files.write_json(_path(FOLDER, identifier), mark)
    except OSError:
        before = _read(FOLDER, identifier)
        if mark["state"] == ASLEEP and (before is None or before["state"] == DRAINING):
            raise
        files.write_json(_path(BRIEF, identifier), mark)
    else:
        files.remove(_path(BRIEF, identifier))
    return mark


def forget(identifier: str) -> bool:
    brief = files.remove(_path(BRIEF, identifier))
    if not files.remove(_path(FOLDER, identifier)):
        return brief
    files.sync_folder(files.at(FOLDER))
    return True


def _path(folder: str, identifier: str) -> str:
    return "%s/%s.json" % (folder, identifier)


def begin(identifier: str, mark: Mark) -> Mark:
    """Kept, and then it is sent nothing new; `drained` says whether that is our doing: only then it is ours to end."""
    mark = keep(identifier, {**mark, "drained": not drain.marked(identifier)})
    if mark["drained"] and not drain.mark(identifier):
        mark = keep(identifier, {**mark, "drained": False})
    return mark


def settle(identifier: str) -> str:
    """What a kill left, or somebody did by hand: what became of it; empty: nothing was to be done. One that an exchange
    has left behind is the exchange's."""
    found = read(identifier)
    if found is None or journal.read(identifier) is not None:
        return ""
    if found["state"] == DRAINING:
        return serve_on(identifier)
    if found["state"] == WAKING:
        if instances.active(identifier):
            return _awake(identifier)
        found = keep(identifier, {**found, "state": ASLEEP})
    runs = docker.running(docker.inspect(spec.container_name(identifier)))
    if runs and not found.get("drained"):
        instances.start(identifier)
        return _awake(identifier)
    if found.get("drained"):
        lay_down(identifier, found)
        return "put to sleep"
    return "put to sleep" if instances.set_enabled(identifier, False) else ""


def serve_on(identifier: str) -> str:
    """It stays awake after all; the mark last, so that a kill in between is put right. What somebody else has drained is
    still drained."""
    if (read(identifier) or {}).get("drained"):
        drain.unmark(identifier)
    forget(identifier)
    return "serves on"


def _awake(identifier: str) -> str:
    instances.set_enabled(identifier, True)
    forget(identifier)
    return "was woken"


def lay_down(identifier: str, found: Mark) -> None:
    """Its instance and its container are stopped, and no boot starts it. Its draining mark goes when nothing listens any
    more: no door sends it anything, and none takes it for drained."""
    instances.set_enabled(identifier, False)
    instances.stop(identifier)
    docker.stop(spec.container_name(identifier), int((spec.applied(identifier) or {}).get("stop_s") or 30))
    drain.unmark(identifier)
    keep(identifier, {**found, "drained": False})


@contextlib.contextmanager
def woken(identifier: str) -> Generator[None, None, None]:
    """Around what starts it: then it is awake. What fails leaves it asleep, unless it runs or a journal says more."""
    settle(identifier)
    found = read(identifier)
    if found is None:
        yield
        return
    keep(identifier, {**found, "state": WAKING})
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, NodeError):
            settle(identifier)
        raise
    forget(identifier)
