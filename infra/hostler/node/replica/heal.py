"""What an exchange that was killed left behind: names, files and the draining mark put right.

It only sets things right at rest: who calls it starts the instance afterwards. Every step can be repeated.
"""

from __future__ import annotations

import contextlib
from typing import Optional

from ..base import spec
from ..base.protocol import NodeError
from ..docker import docker
from ..doors import drain, ports
from . import beside, journal

FORWARD = ("commit", beside.SWITCH, beside.LEAVE)
SERVING = "bake"
UNTOUCHED = ("drain", beside.BESIDE, beside.RETURN)


def goes_forward(found: journal.Journal) -> bool:
    """From `commit` on. In the middle of a bake where the new one runs: going back would cut what it serves. Where it
    does not (a power cut, a crash), the old one is the one that is known to be good."""
    if found["phase"] != SERVING:
        return found["phase"] in FORWARD
    return docker.running(docker.inspect(spec.container_name(str(found["id"]))))


def left_behind(identifier: str) -> str:
    """Heal unless the exchange is alive (it holds the lock): what was done, empty for nothing."""
    if journal.read(identifier) is None:
        return ""
    try:
        with journal.locked([identifier], limit_s=0.0, brief=True):
            return settle(identifier)
    except NodeError as error:
        if error.kind == "busy":
            return ""
        raise


def settle(identifier: str, forward: Optional[bool] = None) -> str:
    """With the lock held: forward, else back to the old container. `went on`, `went back`, or empty. `forward`: as it
    was decided before."""
    found = journal.read(identifier)
    if found is None:
        return ""
    if found["phase"] in beside.PHASES:
        return beside.settle(found)
    forward = goes_forward(found) if forward is None else forward
    if forward and found.get("surge"):  # in the middle of its bake
        return beside.settle({**found, "phase": beside.LEAVE})
    if not forward and found["phase"] not in UNTOUCHED:
        go_back(found)
    undrain_all(found)
    if forward:
        docker.remove(spec.old_name(identifier))
    journal.end(identifier)
    return "went on" if forward else "went back"


def go_back(found: journal.Journal) -> None:
    """The old container has its name again, and its specification is the applied one.

    Where nothing was there before, the new one stays: unproven, but there is nothing better to go back to.
    """
    identifier = str(found["id"])
    name, old = spec.container_name(identifier), spec.old_name(identifier)
    aside = docker.inspect(old)
    if aside is not None and aside["Id"] == found.get("old_container"):
        _end_new(name, found)
        docker.rename(old, name)
    if found.get("old") is not None and spec.applied(identifier) != found["old"]:  # a full disk could not
        spec.set_applied(identifier, found["old"])
    with contextlib.suppress(
        NodeError, OSError
    ):  # a door that does not answer: `run` tells it again and again
        ports.tell(identifier)


def _end_new(name: str, found: journal.Journal) -> None:
    current: Optional[docker.Json] = docker.inspect(name)
    if current is not None:
        docker.stop(name, int(found["new"].get("stop_s") or 30))
        docker.remove(name)


def undrain_all(found: journal.Journal) -> None:
    """Only what this exchange drained: a mark that somebody set before stays."""
    for replica in found.get("drained") or ():
        drain.unmark(replica)
