"""A replica is exchanged beside its former one, where both fit: the new one starts on the other port, is proven while the
old one serves, and then the doors send it all that is new. The old one finishes what it answers. Nothing waits.

In the journal (all with `surge`): beside (the new one is proven; a kill goes back), switch (the doors change over; it goes
on), bake (it serves, and is watched; see heal.goes_forward), leave (the former one finishes; see beside.attend).
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any, Dict, NamedTuple, Optional

from ..base import instances, interrupts, spec
from ..base.protocol import NodeError, Request, as_dict, number
from ..base.spec import Spec
from ..canary import canary, neighbours
from ..docker import docker
from ..doors import drain, ports
from ..replica import beside, container, journal, outcome, wait
from . import bake, room, starts

MEMORY = re.compile(
    r"out of memory|outofmemory|failed to allocate|cudamalloc|unable to allocate|cannot allocate memory|"
    r"less than desired gpu memory",
    re.IGNORECASE,
)
PAUSE = 1.0
ALONE_S = 60.0  # for the old one's last requests, before the new one's speed is looked at
CROWDED = 3.0  # times the requests that the old one had: what they take of it is not comparable any more


class NoRoomError(NodeError):
    """The new one found less memory than there seemed to be: the old one serves as before."""


class Reason(NamedTuple):
    """Why a replica is not exchanged beside its former one. `room`: it could be, had it more room here."""

    why: str
    room: bool = True


def why_not(new: Spec, old: Spec) -> Optional[Reason]:
    """None: it is exchanged beside its former one."""
    if not new.get("beside", True):
        return Reason("its model asks for it (`exchange: in-place`)", room=False)
    if drain.marked(new["id"]) or not old.get("health") or not wait.healthy(old["health"]):
        return Reason("the former one does not serve", room=False)
    other = ports.beside(new, old)
    if other is None:
        return Reason("its words leave it one port", room=False)
    if not ports.is_free(spec.port(other)):
        return Reason("port %d is not free" % spec.port(other))
    lack = ports.unready() or room.lack(new, old)
    return Reason(lack) if lack else None


def exchange(new: Spec, old: docker.Json, old_spec: Spec, request: Request) -> Dict[str, Any]:
    """The whole way. Raises NoRoomError, or NodeError when the new one was not good: the old one never stopped."""
    identifier = str(new["id"])
    limit = number(request, "drain-s", float(new.get("drain_s") or 600))
    other = ports.beside(new, old_spec) or new
    record: journal.Journal = {
        "id": identifier,
        "old": old_spec,
        "new": spec.kept(other),
        "old_container": old["Id"],
        "was_running": True,
        "drained": [],
        "surge": True,
        "seen": bake.before(old_spec, request),
    }
    journal.step(record, beside.BESIDE)
    try:
        before = measured(identifier, old_spec)
        unproven = _proven(other, old_spec, before)
        journal.step(record, beside.SWITCH, before=before)
    except (NodeError, OSError) as error:
        raise _never_came(record, error) from error
    interrupts.no_more()
    return _changed_over(record, request, limit, unproven)


def measured(identifier: str, old: Spec) -> canary.Measures:
    """What the old one does. Its speed by itself only where nothing else was asked of it meanwhile; `busy`: else how fast it
    was besides so many requests of clients, to be compared when the new one has those."""
    before = drain.in_flight(identifier, old)
    found = canary.measured(old)
    after = drain.in_flight(identifier, old)
    if before.none and after.none:
        return found
    requests = ((before.engine or 0) + (after.engine or 0)) / 2
    return {**found, "speed": None, "busy": {"speed": found.get("speed"), "requests": requests}}


def as_fast(record: journal.Journal, unproven: str = "") -> str:
    """When the doors have changed over: whether it is as fast as the old one was under clients' requests. Raises
    FailedError; what nobody can tell, or empty.

    Beside each other both are slow, so that the canary says nothing of a busy one's speed. Here the old one is through. A
    slow one gathers requests, so each counts by its share: the canary's questions and clients' requests have all of it.
    `unproven`: what the canary could not tell."""
    new, old = record["new"], record["old"]
    before = as_dict(record.get("before"))
    was = as_dict(before.get("busy"))
    if not was and canary.UNCLEAR in unproven:  # it had requests only later
        was = {"speed": before.get("speed"), "requests": 0}
    asked = float(was.get("requests") or 0)
    least = canary.SLOWEST * _of_all(float(was.get("speed") or 0), asked)
    if not least or not canary.is_like(old, new):
        return ""
    if not beside.finished(spec.old_name(new["id"]), old, ALONE_S):
        return "its speed is unknown: the old one still answers"
    best = 0.0
    for _ in range(canary.TRIES):
        first = drain.engine_count(spec.port(new))
        load = canary.under_load(new)
        last = drain.engine_count(spec.port(new))
        if load.speed is None or first is None or last is None:
            return "its speed is unknown: it does not say how much it answers"
        requests = (first + last) / 2
        if requests > CROWDED * (asked + 1):
            return "its speed is unknown: it has many more requests than the old one had"
        best = max(best, _of_all(load.could, requests))
        if best >= least:
            record["fast"] = True
            return ""
    unclear = canary.crowded() or "; ".join(neighbours.serving(new))
    said = (
        "speed under clients' requests: expected %.1f tokens a second, %d%% of the former replica's; got %.1f"
        % (
            least,
            100 * canary.SLOWEST,
            best,
        )
    )
    if unclear:
        return "%s, %s: %s" % (said, canary.UNCLEAR, unclear)
    raise wait.fail(new, said)


def _proven(other: Spec, old: Spec, before: canary.Measures) -> str:
    """It runs beside the old one, and does as well."""
    name = beside.new_name(other["id"])
    docker.remove(name)
    begun = time.monotonic()
    docker.start(docker.create(name, container.payload(other)))
    beside.oom_score(name, beside.FIRST_TO_GO)
    return starts.proven(begun, {**other, "container": name}, old, before)


def _never_came(record: journal.Journal, error: Exception) -> NodeError:
    """The new one goes, and what to raise then."""
    interrupts.no_more()
    beside.settle(record)
    log = error.log if isinstance(error, wait.FailedError) else []
    if MEMORY.search("\n".join((str(error), *log))):
        raise NoRoomError("room", str(error), "", log=log)
    return outcome.failed("restored", error, changed=False, also="; the old one never stopped")


def _of_all(speed: float, requests: float) -> float:
    """Tokens a second of an engine that shares itself out to the canary's questions and to so many requests besides."""
    questions = len(canary.QUESTIONS)
    return speed * (questions + requests) / questions


def _changed_over(record: journal.Journal, request: Request, limit: float, unproven: str) -> Dict[str, Any]:
    """The new one serves; perhaps it is watched for a while; then the old one goes when it has finished."""
    identifier = str(record["id"])
    container.forget_end(identifier)
    beside.hand_over(record)
    try:
        ports.tell(identifier)
        instances.wait_anew(identifier)
        with interrupts.heard():
            unproven = outcome.also(unproven, as_fast(record, unproven))
            baked = bake.bake(record, record["new"], request)
    except (NodeError, OSError) as error:
        raise _taken_back(record, error, limit) from error
    with contextlib.suppress(OSError):  # a full disk: `switch` goes the same way
        journal.step(record, beside.LEAVE)
        instances.set_enabled(identifier, True)
    why = "as it is" if record["old"]["spec"] == record["new"]["spec"] else outcome.changed(*_both(record))
    return outcome.done(
        "exchanged", outcome.also(why, "beside the old one", unproven, baked, see_off(record, limit, request))
    )


def _both(record: journal.Journal) -> Any:
    """Their ports say nothing to a person."""
    same = {"port": 0, "argv": record["new"]["argv"], "health": 0}
    old, new = record["old"], record["new"]
    base = spec.first_port(old)
    argv = (ports.at(old, base) or old)["argv"], (ports.at(new, base) or new)["argv"]
    return {**old, **same, "argv": argv[0]}, {**new, **same, "argv": argv[1]}


def see_off(record: journal.Journal, limit: float, request: Request) -> str:
    """The former one has finished and is gone; what is to be said where it has not."""
    identifier = str(record["id"])
    try:
        with interrupts.heard():
            gone = beside.ended(record, limit)
    except interrupts.InterruptedRun:
        return "the former one still answers, and ends by itself"
    if gone:
        return ""
    if request.get("cut"):
        docker.stop(spec.old_name(identifier), int(record["old"].get("stop_s") or 30))
        beside.ended(record)
        return ""
    return "the former one still answers after %g s, and ends by itself" % limit


def _taken_back(record: journal.Journal, error: Exception, limit: float) -> NodeError:
    """It did worse in its bake: the old one, which still runs, gets all requests again, and the new one finishes."""
    interrupts.no_more()
    also = "; the old one never stopped"
    try:
        _given_back(record, limit)
        instances.wait_anew(str(record["id"]))
        _has_gone(record, limit)
    except (NodeError, OSError) as trouble:
        also += ", but not all goes back yet: %s" % trouble
    return outcome.failed("restored", error, changed=False, also=also)


def _has_gone(record: journal.Journal, limit: float) -> None:
    """The new one has finished; or it ends by itself."""
    with contextlib.suppress(interrupts.InterruptedRun), interrupts.heard():
        beside.taken_away(record, limit)


def _given_back(record: journal.Journal, limit: float) -> None:
    """A full disk is waited for, as long as for requests: until it is written down a kill would go forward again, and a
    `run` does not touch what it takes for wrong as long as the lock is held. Raises what it was at last."""
    until = time.monotonic() + limit
    while True:
        try:
            with contextlib.suppress(OSError):
                journal.step(record, beside.RETURN)
            return beside.take_back(record)
        except OSError:
            if time.monotonic() >= until:
                raise
        with interrupts.heard():
            time.sleep(PAUSE)
