"""A container is exchanged in place: drain, stop, start, prove, serve again, bake; or all back.

The old container keeps existing, renamed, until the new one has answered. Each step is in the journal before it is taken:
never are two of them running.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, List, Optional

from ..base import instances, interrupts
from ..base.protocol import REFUSED, NodeError, Request, number
from ..base.spec import Spec, applied, container_name, drains, kept, old_name, replicas, set_applied
from ..canary import canary
from ..cards import cards
from ..docker import docker
from ..doors import drain
from ..replica import container, heal, journal, outcome, wait
from . import bake, starts


class Old:
    """What runs before an exchange."""

    def __init__(self, identifier: str) -> None:
        self.container: Optional[docker.Json] = docker.inspect(container_name(identifier))
        self.spec: Optional[Spec] = applied(identifier)
        self.running = docker.running(self.container)

    def is_already(self, new: Spec) -> bool:
        return (self.spec or {}).get("spec") == new["spec"] and container.fits(self.container, new)


def exchange(new: Spec, old: Old, request: Request, why: str = "") -> Dict[str, Any]:
    """The whole way; a failure on it goes back. `why`: why it is done in place."""
    same = old.is_already(new)
    record: journal.Journal = {
        "id": new["id"],
        "old": old.spec,
        "new": new,
        "old_container": old.container["Id"] if old.container else "",
        "was_running": old.running,
        "drained": [name for name in drained_with(new) if not drain.marked(name)],
        "seen": bake.before(old.spec, request) if old.running else None,
    }
    journal.step(record, "drain")
    try:
        before = _drained(new, old, request) if old.running else hide(record)
        held = cards.held(container_name(new["id"]), old.spec)
        journal.step(record, "stop", before=before)
        _put_aside(new["id"], old.spec)
        journal.step(record, "start")
        cards.wait_free(new, held)
        begun = time.monotonic()
        start(new)
        journal.step(record, "check")
        unproven = starts.proven(begun, new, old.spec, before)
        baked = bake.bake(record, new, request)
    except (NodeError, OSError) as error:
        raise _back(record, error) from error
    serve(record)
    what = "as it is" if same else outcome.changed(old.spec, new)
    return outcome.done("exchanged", outcome.also(what, why, unproven, baked))


def drained_with(new: Spec) -> List[str]:
    """Whose requests would be cut: a replica's own; all replicas' of this host when the edge is exchanged. The gateway
    asks those of its own host directly."""
    if drains(new):
        return [new["id"]]
    return replicas() if new.get("part") == "edge" and applied("gateway") is None else []


def drain_all(new: Spec, request: Request) -> bool:
    """Wait until nothing is in flight, and whether it is so; else raises NodeError (refused), unless `cut`."""
    names = drained_with(new)
    specs = {name: applied(name) or new for name in names}
    for name in names:
        drain.mark(name)
    limit = number(request, "drain-s", float(new.get("drain_s") or 600))
    left = drain.wait(names, specs, limit) if names else {}
    if left and not request.get("cut"):
        raise NodeError(
            "in-flight",
            "in flight after %g s: %s" % (limit, drain.explain(left)),
            "try again later, or --cut to end these requests",
            rc=REFUSED,
            in_flight=drain.as_json(left),
        )
    return not left


def _drained(new: Spec, old: Old, request: Request) -> canary.Measures:
    """Nothing is in flight any more, and what the old one does by itself: not of the same again, nor of a busy one."""
    return canary.measured(old.spec) if drain_all(new, request) and not old.is_already(new) else {}


def hide(record: journal.Journal) -> canary.Measures:
    """Nothing serves here, so nothing is waited for, and there is nothing to compare with."""
    for name in record["drained"]:
        drain.mark(name)
    return {}


def start(new: Spec) -> None:
    """Make it the applied one, and let systemd run it."""
    container.forget_end(new["id"])
    set_applied(new["id"], kept(new))
    instances.start(new["id"])


def _put_aside(identifier: str, spec: Optional[Spec]) -> None:
    """Stopped, and out of the way under its other name."""
    docker.remove(old_name(identifier))
    instances.stop(identifier)
    container.stop_container(identifier, spec)
    docker.rename(container_name(identifier), old_name(identifier))


def serve(record: journal.Journal) -> None:
    """The new one has answered: from here it only goes forward. That needs no room on a disk, nothing but removals."""
    interrupts.no_more()
    identifier = str(record["id"])
    with contextlib.suppress(
        OSError
    ):  # a full disk: until it is over a kill would go back, as it would have before
        journal.step(record, "commit")
    heal.settle(identifier, forward=True)
    drain.unmark(identifier)
    with contextlib.suppress(
        OSError
    ):  # a full disk: it serves, and the next plan says that it is not enabled
        instances.set_enabled(identifier, True)
    _wait_served(record)


def _back(record: journal.Journal, error: Exception) -> NodeError:
    """Everything as it was, and what to raise then."""
    interrupts.no_more()
    if record["phase"] == "drain":
        heal.settle(str(record["id"]))
        _wait_served(record)
        return outcome.refused(error)
    with contextlib.suppress(OSError):  # a full disk: what is written already goes back as well
        journal.step(record, "restore", why=str(error))
    with contextlib.suppress(NodeError, OSError):
        bake.undo(record)
    return outcome.failed("restored", error, changed=False, also=_restore(record))


def _restore(record: journal.Journal) -> str:
    """The old container runs again and is ready; why not, or empty. Serves again in any case: health decides."""
    identifier = str(record["id"])
    instances.stop(identifier)
    heal.go_back(record)
    container.forget_end(identifier)
    why = _run_old(record) if record.get("was_running") else ""
    heal.undrain_all(record)
    journal.end(identifier)
    if not why:
        _wait_served(record)
    return why


def _wait_served(record: journal.Journal) -> None:
    """So that the next replica can be drained without a gap. What was never served before, no gateway waits for."""
    if record.get("was_running"):
        drain.wait_served([str(record["id"]), *record["drained"]])


def _run_old(record: journal.Journal) -> str:
    try:
        if record["old"] is None:
            docker.start(container_name(str(record["id"])))
        else:
            instances.start(str(record["id"]))
            wait.ready(record["old"])
    except (NodeError, OSError) as error:
        return "; and the old one does not come back: %s" % error
    return ""
