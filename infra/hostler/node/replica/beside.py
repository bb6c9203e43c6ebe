"""A container that starts beside the one that it is to follow: HAProxy's (takeover.py) and a replica's (surge.py). What a
kill left behind there is put right: one that serves, and one that has still to finish. Every step can be repeated.

Phases: beside (the new one starts; the old one never stopped), switch (a replica's: the new one gets its requests), leave
(the new one has the doors; the old one finishes), return (a replica's, after a bad bake: the other way round).
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from typing import Any, Callable, Dict, Optional

from ..base import files, sockets, spec
from ..base.protocol import REFUSED, NodeError
from ..docker import docker
from ..doors import drain, ports, sessions
from . import journal

BESIDE, SWITCH, LEAVE, RETURN = "beside", "switch", "leave", "return"
PHASES = (BESIDE, SWITCH, LEAVE, RETURN)
SOFT_STOP = "SIGUSR1"  # HAProxy then closes its doors and finishes what it serves
PAUSE = 0.2
LOOKS = 3  # what was sent in the moment of the change is counted by then
EVERY_S = 5.0
FIRST_TO_GO = "500"  # oom_score_adj: when memory is short after all, the kernel ends the new one, not the one that serves
AS_ALL = "0"


def new_name(identifier: str) -> str:
    """Under this name a container starts beside the one that it is to follow."""
    return spec.PREFIX + identifier + "-new"


def settle(found: journal.Journal, limit_s: float = 0.0) -> str:
    """With the lock held: `went back`, `went on`, or empty while one that goes still answers, or may be asked: a door does
    not answer now."""
    identifier = str(found["id"])
    if found["phase"] == BESIDE:
        return "went back" if taken_away(found, limit_s) else ""
    if found["phase"] == RETURN:
        return "went back" if _told(take_back, found) and taken_away(found, limit_s) else ""
    hand_over(found)
    if not found.get("surge"):
        soft_stop(identifier)
    elif not _told(lambda one: ports.tell(str(one["id"])), found):
        return ""
    return "went on" if ended(found, limit_s) else ""


def _told(tell: Callable[[journal.Journal], None], found: journal.Journal) -> bool:
    """Whether the doors send requests where they should, and that is written down; else it is repeated later."""
    try:
        tell(found)
    except (NodeError, OSError) as error:
        sys.stderr.write("<4>%s: %s\n" % (found["id"], error))
        return False
    return True


def taken_away(found: journal.Journal, limit_s: float) -> bool:
    """The new one goes when it has finished what it has begun to answer. Whether it is gone."""
    identifier = str(found["id"])
    name = new_name(identifier)
    if found.get("surge"):
        done = found["phase"] == BESIDE or finished(name, found["new"], limit_s, _until(found))
    else:
        if docker.running(docker.inspect(name)):
            docker.kill(name, SOFT_STOP)
        done = finished(name, None, limit_s)
    if not done:
        return False
    docker.stop(name, int(found["new"].get("stop_s") or 30))
    docker.remove(name)
    journal.end(identifier)
    return True


def hand_over(found: journal.Journal) -> None:
    """The new one has the name, and its specification is the applied one."""
    identifier = str(found["id"])
    name, old, new = spec.container_name(identifier), spec.old_name(identifier), new_name(identifier)
    if docker.inspect(new) is not None:
        current = docker.inspect(name)
        if current is not None and current["Id"] == found["old_container"]:
            docker.remove(old)
            docker.rename(name, old)
        docker.rename(new, name)
    if docker.inspect(name) is not None:  # else it was retired meanwhile
        spec.set_applied(identifier, found["new"])
        if found.get("surge"):
            oom_score(name, AS_ALL)


def oom_score(name: str, score: str) -> None:
    """Of all processes of a container."""
    with contextlib.suppress(NodeError, OSError):
        for pid in docker.processes(name):
            with open(files.at("/proc/%d/oom_score_adj" % pid), "w", encoding="ascii") as file:
                file.write(score)


def take_back(found: journal.Journal) -> None:
    """The old one, which still runs, has its name and its requests again."""
    identifier = str(found["id"])
    name, old = spec.container_name(identifier), spec.old_name(identifier)
    aside = docker.inspect(old)
    if aside is not None and aside["Id"] == found["old_container"]:
        if docker.inspect(name) is not None and docker.inspect(new_name(identifier)) is not None:
            docker.remove(name)  # nobody's: the new one is aside already
        elif docker.inspect(name) is not None:
            docker.rename(name, new_name(identifier))
        docker.rename(old, name)
    with contextlib.suppress(NodeError, OSError):  # first: a full disk must not keep requests at the bad one
        ports.tell(identifier, found["old"])
    spec.set_applied(identifier, found["old"])
    ports.tell(identifier)


def changing(identifier: str, container: str) -> bool:
    """Whether somebody changes names and specification now, with both containers there; or has left the old one under the
    name, while the new one's specification was the applied one. `container`: the id of what has the name."""
    found = journal.read(identifier)
    old = str((found or {}).get("old_container") or "")
    return held(identifier, container) or bool(found and container and container == old and _of_two(found))


def held(identifier: str, container: str) -> bool:
    """Whether somebody is at work on two containers, of which the one with the name is not the old one: if that runs no
    more, who is at work decides which of them is to."""
    found = journal.read(identifier)
    if found is None or not _of_two(found) or (container and container == found.get("old_container")):
        return False
    if found.get("surge") and found["phase"] == LEAVE:
        return False  # nothing of it changes any more
    try:
        with journal.locked([identifier], limit_s=0.0):
            return False
    except NodeError:
        return True


def _of_two(found: journal.Journal) -> bool:
    return found["phase"] in PHASES or bool(found.get("surge"))


def soft_stop(identifier: str) -> None:
    if docker.running(former(identifier)):
        docker.kill(spec.old_name(identifier), SOFT_STOP)


def former(identifier: str) -> Optional[Dict[str, Any]]:
    return docker.inspect(spec.old_name(identifier))


def ended(found: journal.Journal, limit_s: float = 0.0) -> bool:
    """The former one has finished, and is gone. Whether it is."""
    identifier = str(found["id"])
    name = spec.old_name(identifier)
    if not finished(name, found["old"] if found.get("surge") else None, limit_s, _until(found)):
        return False
    former_spec: spec.Spec = found["old"] or {}
    docker.stop(name, int(former_spec.get("stop_s") or 30))
    docker.remove(name)
    journal.end(identifier)
    return True


def _until(found: journal.Journal) -> float:
    """When its time is over (time.time()): after so long what an engine counts is believed no more without a request that
    a door has there."""
    of: spec.Spec = found["new"] if found["phase"] == RETURN else found["old"] or {}
    return float(found.get("at") or time.time()) + float(of.get("drain_s") or 600)


def finished(name: str, engine: Optional[spec.Spec], limit_s: float, believed: float = math.inf) -> bool:
    """Whether a container answers nothing any more: HAProxy ends by itself then, of an engine it is seen. `believed`: until
    when (time.time()) its own count is."""
    until = time.monotonic() + limit_s
    while docker.running(docker.inspect(name)):
        if engine is not None and _calm(engine, time.time() < believed):
            _say_stuck(name, engine)
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(PAUSE)
    return True


def _calm(engine: spec.Spec, believed: bool) -> bool:
    """No door has a request there, nothing is in flight by its own word, and not only for a moment. Where nobody is
    connected nobody waits for what it counts. Where it counts nothing, nobody may be connected: doors keep connections
    for a while on which nothing is asked any more."""
    port = spec.port(engine)
    for look in range(LOOKS):
        if look:
            time.sleep(PAUSE)
        if sessions.open_to(port):
            return False
        if sockets.connected(port) and believed and not (drain.tells(port) and drain.engine_count(port) == 0):
            return False
    return True


def _say_stuck(name: str, engine: spec.Spec) -> None:
    count = drain.engine_count(spec.port(engine))
    if count != 0:
        told = "does not say what it answers" if count is None else "counts %d requests" % count
        sys.stderr.write("<4>%s: it %s, but nobody waits for an answer of it\n" % (name, told))


def one_at_a_time(identifier: str, limit_s: float, cut: bool) -> None:
    """One that went at the last exchange may still answer. Raises NodeError (refused)."""
    found = journal.read(identifier)
    if found is None or found["phase"] not in PHASES or settle(found, limit_s):
        return
    if not cut:
        raise NodeError(
            "in-flight",
            "the one before it still answers after %g s" % limit_s,
            "try again later, or --cut to end these requests",
            rc=REFUSED,
        )
    for name in (spec.old_name(identifier), new_name(identifier)):
        docker.stop(name, 1)
    settle(found)


class Attending:
    """While an instance's `run` waits for its container's end: what an exchange left beside it goes as soon as it may, and
    the doors send requests to where it listens."""

    def __init__(self, identifier: str) -> None:
        self._id = identifier
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._attend, daemon=True, name="attend")

    def __enter__(self) -> "Attending":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _attend(self) -> None:
        while not self._over.wait(EVERY_S):
            try:
                with journal.locked([self._id], limit_s=0.0, brief=True):
                    attend(self._id)
            except (NodeError, OSError):
                pass  # an exchange is alive, or Docker does not answer now


def attend(identifier: str) -> None:
    """With the lock held: whoever made the exchange is gone. Of one in place nothing is left beside it."""
    found = journal.read(identifier)
    if found is None:
        ports.tell(identifier)
    elif found["phase"] in PHASES:
        settle(found)
    elif found.get("surge") and docker.running(docker.inspect(spec.container_name(identifier))):
        settle({**found, "phase": LEAVE})  # in the middle of its bake
