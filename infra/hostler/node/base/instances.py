"""Instances of hostler@.service. None of it needs `systemctl daemon-reload`, which can take GPUs from containers."""

from __future__ import annotations

import os

from . import files, shell
from .protocol import Answers, NodeError, Request, identity

WANTS = "/etc/systemd/system/multi-user.target.wants"
STOP_S = 1300.0  # above the unit's TimeoutStopSec
NOT_LOADED = 5  # systemctl's status for a unit that it does not know


def unit(identifier: str) -> str:
    return "hostler@%s.service" % identifier


def systemctl(*words: str, timeout: float = 60.0) -> shell.Result:
    return shell.run(("systemctl", *words), timeout)


def active(identifier: str) -> bool:
    """Whether its `run` runs, or is about to (between two restarts)."""
    return systemctl("is-active", unit(identifier)).stdout.strip() in ("active", "activating", "reloading")


def start(identifier: str) -> None:
    """Start the instance; an earlier start limit is forgotten. Raises NodeError."""
    systemctl("reset-failed", unit(identifier))
    result = systemctl("start", unit(identifier))
    if not result.ok:
        raise _failed(identifier, result)


def stop(identifier: str) -> None:
    """Stop the instance and, through its ExecStop, its container. Raises NodeError."""
    result = systemctl("stop", unit(identifier), timeout=STOP_S)
    if not result.ok and result.rc != NOT_LOADED:
        raise _failed(identifier, result)
    systemctl("reset-failed", unit(identifier))


def wait_anew(identifier: str) -> None:
    """End the `run` of an instance, not its container: systemd starts another one, which adopts what is there then. It had
    none where systemd had given up on it, or somebody stopped it."""
    systemctl("reset-failed", unit(identifier))
    if not active(identifier):
        systemctl("start", unit(identifier))
        return
    systemctl("kill", "--kill-who=main", "--signal=TERM", unit(identifier))


def _failed(identifier: str, result: shell.Result) -> NodeError:
    return NodeError(
        "unit", "%s: %s" % (unit(identifier), result.why), "systemctl status " + unit(identifier)
    )


def set_enabled(identifier: str, wanted: bool) -> bool:
    return linked(unit(identifier), files.UNIT, wanted)


def linked(name: str, target: str, wanted: bool) -> bool:
    """What `systemctl enable` or `disable` does, by hand: a link of that name to the unit's file. Whether it changed."""
    link = files.at(WANTS, name)
    there = os.path.islink(link) and os.readlink(link) == target
    if there == wanted and (wanted or not os.path.lexists(link)):
        return False
    if os.path.lexists(link):
        os.unlink(link)
    if wanted:
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(target, link)
    return True


def timer(name: str, wanted: bool) -> bool:
    """A timer of ours runs, now and after each boot, or does not any more; whether that changed. Raises NodeError."""
    changed = linked(name, "/etc/systemd/system/" + name, wanted)
    active = systemctl("is-active", name).stdout.strip() == "active"
    if active != wanted:
        result = systemctl("start" if wanted else "stop", name)
        if wanted and not result.ok:
            raise NodeError("unit", "%s: %s" % (name, result.why), "systemctl status " + name)
    return changed or active != wanted


def enable(request: Request, answers: Answers) -> int:
    """`enable ID`: started at boot from now on."""
    answers.say(changed=set_enabled(identity(request), True))
    return 0


def disable(request: Request, answers: Answers) -> int:
    """`disable ID`: not started at boot any more."""
    answers.say(changed=set_enabled(identity(request), False))
    return 0
