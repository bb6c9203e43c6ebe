"""`wake`: a replica that sleeps is started, and waited for; of several at once one starts it, and the others wait."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import Any, Dict, Generator

from ..base import files, instances, interrupts, spec
from ..base.protocol import REFUSED, Answers, NodeError, Request, identity
from ..doors import away, drain
from ..exchange import starts
from ..replica import asleep, container, journal, outcome, wait

WISHES = "/run/hostler/wake"  # <id>: locked by who wants it awake, so that nobody puts it to sleep meanwhile
OTHERS_S = 3600.0  # for another wake, a sleep or an exchange, which have limits of their own
STEP = "hostler logs %s; then hostler wake it again"

Said = Dict[str, Any]


def wake(request: Request, answers: Answers) -> int:
    """`wake ID`: says {"changed", "why", "seconds": from its start until it was ready}. Raises NodeError (wake) with its
    last lines where it does not become ready: then it sleeps again."""
    identifier = identity(request)
    with _wish(identifier), interrupts.caught(), journal.locked([identifier], OTHERS_S):
        outcome.say(answers, **_awake(identifier))
    return 0


@contextlib.contextmanager
def _wish(identifier: str) -> Generator[None, None, None]:
    with _opened(identifier) as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


def _opened(identifier: str) -> Any:
    path = files.at(WISHES, identifier)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return open(path, "ab")


def wished(identifier: str) -> bool:
    """Whether somebody wants it awake now."""
    with _opened(identifier) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _awake(identifier: str) -> Said:
    asleep.settle(identifier)
    mark, found = asleep.read(identifier), spec.applied_or_error(identifier)
    if mark is None:
        return _was_awake(identifier, found)
    if identifier in (away.read() or {"replicas": ()})["replicas"]:
        why = "%s: its host is set aside for an upgrade" % identifier
        raise NodeError("busy", why, "wait until that has ended", rc=REFUSED, changed=False)
    asleep.keep(identifier, {**mark, "state": asleep.WAKING})
    found = starts.limited(found)
    begun = time.monotonic()
    try:
        container.forget_end(identifier)
        instances.start(identifier)
        wait.ready(found)
    except interrupts.InterruptedRun:
        raise  # it goes on by itself
    except (NodeError, OSError) as error:
        raise _failed(identifier, mark, error) from error
    seconds = time.monotonic() - begun
    starts.keep(found, seconds)
    instances.set_enabled(identifier, True)
    asleep.forget(identifier)
    drain.wait_served([identifier])
    return {"changed": True, "why": "it slept: %s" % mark.get("why", ""), "seconds": round(seconds, 1)}


def _was_awake(identifier: str, found: spec.Spec) -> Said:
    if not instances.active(identifier):
        why = "%s does not run, and is not asleep" % identifier
        raise NodeError("stopped", why, "hostler up", rc=REFUSED, changed=False)
    wait.ready(found)
    return {"changed": False, "why": "it was awake", "seconds": 0.0}


def _failed(identifier: str, mark: asleep.Mark, error: Exception) -> NodeError:
    """It sleeps again, and says why."""
    interrupts.no_more()
    log = error.log if isinstance(error, wait.FailedError) else []
    why = error.message if isinstance(error, NodeError) else str(error)
    with contextlib.suppress(NodeError, OSError):
        asleep.keep(
            identifier,
            {**mark, "state": asleep.ASLEEP, "drained": True, "failed": {"at": time.time(), "why": why}},
        )
        asleep.settle(identifier)
    return NodeError(
        "wake", "%s does not wake: %s" % (identifier, why), STEP % identifier, log=log, changed=False
    )
