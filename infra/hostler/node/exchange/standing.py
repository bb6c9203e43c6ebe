"""What does not run is started: a replica that was not there, or one that stands still. No gateway sends it requests until
it is proven."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, List

from ..base import instances
from ..base.protocol import NodeError
from ..base.spec import Spec, container_name, drains, set_applied
from ..canary import canary
from ..cards import cards
from ..docker import docker
from ..doors import away, drain
from ..replica import container, heal, journal, outcome, wait
from . import inplace, starts


def first(new: Spec, old: inplace.Old) -> Dict[str, Any]:
    """Nothing ran here: start it. Nothing stays behind when it is not good."""
    identifier = new["id"]
    record: journal.Journal = {"id": identifier, "old": old.spec, "new": new, "drained": _unproven(new)}
    journal.step(record, "start")
    try:
        inplace.hide(record)
        cards.wait_free(new, cards.Held([], {}))
        begun = time.monotonic()
        inplace.start(new)
        journal.step(record, "check")
        unproven = starts.proven(begun, new)
    except (NodeError, OSError) as error:
        _take_away(new, old)
        heal.undrain_all(record)
        journal.end(identifier)
        raise outcome.failed("failed", error, changed=False) from error
    inplace.serve(record)
    return outcome.done("started", outcome.also("it was not there", unproven))


def as_it_is(new: Spec, old: inplace.Old, healed: str) -> Dict[str, Any]:
    """The right container: started if it stands still, and serving again. One that somebody drained is asked first: it
    may be drained because it answers wrongly. Then it stays so."""
    identifier = new["id"]
    if not (old.running and instances.active(identifier)):
        return _again(new, old)
    container.forget_end(identifier)
    try:
        wait.ready(new)
        unproven = canary.proven(new) if drain.marked(identifier) else ""
    except wait.FailedError as error:
        raise outcome.failed("failed", error, changed=False) from error
    enabled = instances.set_enabled(identifier, True)
    away.forget(identifier)
    marked = drain.unmark(identifier)
    why = (
        "an interrupted exchange: it %s" % healed if healed else "it was draining" if marked else "as wanted"
    )
    return outcome.done("same", outcome.also(why, unproven), changed=bool(healed or marked or enabled))


def _again(new: Spec, old: inplace.Old) -> Dict[str, Any]:
    """It stood still. One that is not good stays, and its health says whether it serves: nothing better is there."""
    identifier = new["id"]
    record: journal.Journal = {"id": identifier, "old": old.spec, "new": new, "was_running": True}
    journal.step(record, "drain", drained=_unproven(new))
    try:
        inplace.hide(record)
        container.forget_end(identifier)
        begun = time.monotonic()
        instances.start(identifier)
        unproven = starts.proven(begun, new)
    except (NodeError, OSError) as error:
        raise outcome.failed("failed", error, changed=True) from error
    finally:
        heal.undrain_all(record)
        journal.end(identifier)
    instances.set_enabled(identifier, True)
    drain.unmark(identifier)
    return outcome.done("started", outcome.also("it stood still", unproven))


def _unproven(new: Spec) -> List[str]:
    """What no gateway may send requests until it is proven; not what somebody drained before."""
    return [new["id"]] if drains(new) and not drain.marked(new["id"]) else []


def _take_away(new: Spec, old: inplace.Old) -> None:
    with contextlib.suppress(NodeError):
        instances.stop(new["id"])
    docker.remove(container_name(new["id"]))
    set_applied(new["id"], old.spec)
