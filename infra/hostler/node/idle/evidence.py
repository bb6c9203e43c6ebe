"""Before something is ended: whether the windows of this host still hold, now and once more when it is drained."""

from __future__ import annotations

import os
import select
import sys
from typing import Dict, NamedTuple, Optional, Sequence

from ..base.protocol import Answers, Request
from . import deciding, looking
from .looks import Look, Verdict

WORD_S = 10.0
GO = b"go"


class StaysError(Exception):
    """It stays awake, and why."""


class Before(NamedTuple):
    """A look, and what is judged by it."""

    look: Look
    verdict: Verdict


def idle(name: str, state: deciding.State, look: Look) -> Before:
    """That nothing moved up to now; `state`: as it was kept. Raises StaysError, also where nobody has looked yet."""
    _, verdict = deciding.judge(state, look)
    if verdict.word != deciding.IDLE:
        raise StaysError("%s: %s, %s" % (name, verdict.word, verdict.why))
    if verdict.since is None or verdict.since >= look.at:
        raise StaysError("%s: its window has just begun; %s" % (name, verdict.why))
    return Before(look, verdict)


def moved(name: str, before: Look, now: Optional[Look]) -> str:
    """What came between two looks; empty: nothing. What cannot be seen is something."""
    if now is None:
        return "%s: it could not be looked at" % name
    flying = [now.running, now.waiting, *(None if door is None else door.busy for door in now.doors.values())]
    if any(count != 0 for count in flying):
        return "%s: a request came" % name
    if (now.born, now.work, now.doors) != (before.born, before.work, before.doors):
        return "%s: it worked meanwhile" % name
    return "" if now.ready else "%s: it is not ready" % name


def queued(models: Sequence[str], there: looking.Doors) -> str:
    """Who waits at the gateway on this host for one of these models."""
    waits: Dict[str, int] = looking.queues(there)
    found = [name for name in models if waits.get(name)]
    return "%d requests wait for %s at the gateway" % (waits[found[0]], found[0]) if found else ""


def word(request: Request, answers: Answers) -> None:
    """Says that it is drained; whoever asked may know of a request that waits elsewhere. Raises StaysError where it does
    not say `go` in time."""
    answers.say(drained=True)
    if request.get("ask") and heard(WORD_S) != GO:
        raise StaysError("whoever asked did not say go: a request waits, or it is gone")


def heard(seconds: float) -> bytes:
    """A line of stdin; empty: none came."""
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return b""
    return os.read(sys.stdin.fileno(), 4096).strip()
