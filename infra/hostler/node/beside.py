"""What a takeover that was killed left behind: a container beside the one that serves, or the former one that has still
to finish. It only sets things right at rest, and every step can be repeated.

Phases: beside (the new one starts; the old one never stopped), leave (the new one has the doors; the old one finishes).
"""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from . import docker, journal, spec

BESIDE, LEAVE = "beside", "leave"
PHASES = (BESIDE, LEAVE)
SOFT_STOP = "SIGUSR1"  # HAProxy then closes its doors and finishes what it serves
PAUSE = 0.2


def new_name(identifier: str) -> str:
    """Under this name a container starts beside the one that it is to follow."""
    return spec.PREFIX + identifier + "-new"


def settle(found: journal.Journal) -> str:
    """With the lock held: `went back`, `went on`, or empty while the former one still answers."""
    identifier = str(found["id"])
    if found["phase"] == BESIDE:
        take_away(identifier, found["new"])
        journal.end(identifier)
        return "went back"
    hand_over(found)
    soft_stop(identifier)
    return "went on" if ended(identifier) else ""


def take_away(identifier: str, new: spec.Spec) -> None:
    """The new one goes; what it has begun to answer it finishes."""
    docker.stop(new_name(identifier), int(new.get("stop_s") or 30))
    docker.remove(new_name(identifier))


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


def soft_stop(identifier: str) -> None:
    if docker.running(former(identifier)):
        docker.kill(spec.old_name(identifier), SOFT_STOP)


def former(identifier: str) -> Optional[Dict[str, Any]]:
    return docker.inspect(spec.old_name(identifier))


def ended(identifier: str, limit_s: float = 0.0) -> bool:
    """The former one has finished, and is gone. Whether it is."""
    until = time.monotonic() + limit_s
    while docker.running(former(identifier)):
        if time.monotonic() >= until:
            return False
        time.sleep(PAUSE)
    docker.remove(spec.old_name(identifier))
    journal.end(identifier)
    return True
