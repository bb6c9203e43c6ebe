"""exchange(replica): the only way a container changes. Drain, stop, start, prove, serve again, bake; or all back.

The old container keeps existing, renamed, until the new one has answered. Each step is in the journal before it
is taken, so that whoever comes after a kill or a power cut (the next exchange, `recover`, or the instance's own
`run` at boot) knows which way to go; never are two of them running.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List, Optional

from . import (
    bake,
    beside,
    canary,
    cards,
    container,
    docker,
    drain,
    heal,
    instances,
    interrupts,
    journal,
    takeover,
    wait,
)
from .protocol import REFUSED, RESTORED, Answers, NodeError, Request, identity, number
from .spec import Spec, applied, container_name, drains, image_ref, old_name, replicas, set_applied, wanted


class Old:
    """What runs before an exchange."""

    def __init__(self, identifier: str) -> None:
        self.container: Optional[docker.Json] = docker.inspect(container_name(identifier))
        self.spec: Optional[Spec] = applied(identifier)
        self.running = docker.running(self.container)

    def is_already(self, new: Spec) -> bool:
        return (self.spec or {}).get("spec") == new["spec"] and container.fits(self.container, new)


def exchange(request: Request, answers: Answers) -> int:
    """`exchange ID [--force] [--cut] [--drain-s S] [--need-mib N] [--bake-s S] [--bake-errors SHARE]`: make the instance
    run what is wanted.

    Says {"changed", "outcome": same|started|exchanged|restored|failed|refused, "why", "log"}; rc 0, 3 refused
    (what would be cut is in `in_flight`), 4 restored or failed.
    """
    identifier = identity(request)
    new = wanted(identifier)
    _needs(new, request)
    with interrupts.caught(), journal.locked([identifier, *drained_with(new)]):
        healed = healed_now(identifier)
        old = Old(identifier)
        if old.is_already(new) and not request.get("force"):
            outcome = _as_it_is(new, old, healed)
        elif old.container is None:
            outcome = _first(new, old)
        elif takeover.fits(new, old.container):
            outcome = _take_over(new, old, old.container, request)
        else:
            outcome = _exchange(new, old, request)
        say(answers, **outcome)
    return 0


def _needs(new: Spec, request: Request) -> None:
    if docker.image(image_ref(new)) is None:
        raise NodeError(
            "image",
            "%s is not on this host" % image_ref(new),
            "hostler-node pull " + image_ref(new),
            changed=False,
        )
    need = int(number(request, "need-mib", 0))
    if need:
        new["need_mib"] = need


def drained_with(new: Spec) -> List[str]:
    """Whose requests would be cut: a replica's own; all replicas' of this host when the edge is exchanged. The gateway
    asks those of its own host directly."""
    if drains(new):
        return [new["id"]]
    return replicas() if new.get("part") == "edge" and applied("gateway") is None else []


def say(answers: Answers, **values: Any) -> None:
    """The caller may be gone; what was done stays done."""
    with contextlib.suppress(BrokenPipeError):
        answers.say(**values)


def _outcome(outcome: str, why: str, changed: bool = True) -> Dict[str, Any]:
    return {"changed": changed, "outcome": outcome, "why": why, "log": []}


def _also(why: str, unproven: str) -> str:
    return "%s; %s" % (why, unproven) if unproven else why


def _as_it_is(new: Spec, old: Old, healed: str) -> Dict[str, Any]:
    """The right container: started if it stands still, and serving again."""
    identifier = new["id"]
    was_up = old.running and instances.active(identifier)
    container.forget_end(identifier)
    if not was_up:
        instances.start(identifier)
    unproven = ""
    try:
        if was_up:
            wait.ready(new)
        else:
            unproven = canary.proven(new)
    except wait.FailedError as error:
        raise failed("failed", error, changed=not was_up) from error
    enabled = instances.set_enabled(identifier, True)
    marked = drain.unmark(identifier)
    if not was_up:
        return _outcome("started", _also("it stood still", unproven))
    why = (
        "an interrupted exchange: it %s" % healed if healed else "it was draining" if marked else "as wanted"
    )
    return _outcome("same", why, changed=bool(healed or marked or enabled))


def _first(new: Spec, old: Old) -> Dict[str, Any]:
    """Nothing ran here: start it. Nothing stays behind when it is not good."""
    identifier = new["id"]
    record: journal.Journal = {"id": identifier, "old": old.spec, "new": new, "drained": _unproven(new)}
    journal.step(record, "start")
    try:
        _hide(record)
        cards.wait_free(new, cards.Held([], {}))
        _start(new)
        journal.step(record, "check")
        unproven = canary.proven(new)
    except (NodeError, OSError) as error:
        _take_away(new, old)
        heal.undrain_all(record)
        journal.end(identifier)
        raise failed("failed", error, changed=False) from error
    _serve(record)
    return _outcome("started", _also("it was not there", unproven))


def _unproven(new: Spec) -> List[str]:
    """What no gateway may send requests until it is proven; not what somebody drained before."""
    return [new["id"]] if drains(new) and not drain.marked(new["id"]) else []


def _hide(record: journal.Journal) -> canary.Measures:
    """Nothing serves here, so nothing is waited for, and there is nothing to compare with."""
    for name in record["drained"]:
        drain.mark(name)
    return {}


def _start(new: Spec) -> None:
    """Make it the applied one, and let systemd run it."""
    container.forget_end(new["id"])
    set_applied(new["id"], {key: value for key, value in new.items() if key != "need_mib"})
    instances.start(new["id"])


def _take_away(new: Spec, old: Old) -> None:
    with contextlib.suppress(NodeError):
        instances.stop(new["id"])
    docker.remove(container_name(new["id"]))
    set_applied(new["id"], old.spec)


def _exchange(new: Spec, old: Old, request: Request) -> Dict[str, Any]:
    """The whole way; a failure on it goes back."""
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
        before = _drained(new, old, request) if old.running else _hide(record)
        held = cards.held(container_name(new["id"]), old.spec)
        journal.step(record, "stop", before=before)
        _put_aside(new["id"], old.spec)
        journal.step(record, "start")
        cards.wait_free(new, held)
        _start(new)
        journal.step(record, "check")
        unproven = canary.proven(new, old.spec, before)
        baked = bake.bake(record, new, request)
    except (NodeError, OSError) as error:
        raise _back(record, error) from error
    _serve(record)
    why = "as it is" if same else _difference(old, new)
    return _outcome("exchanged", _also(_also(why, unproven), baked))


def _take_over(new: Spec, old: Old, running: docker.Json, request: Request) -> Dict[str, Any]:
    """A door stays open meanwhile."""
    same = old.is_already(new)
    try:
        also = takeover.take(new, running, old.spec, request)
    except (NodeError, OSError) as error:
        if isinstance(error, NodeError) and error.rc == REFUSED:
            raise refused(error) from error
        left = (journal.read(str(new["id"])) or {}).get("phase") == beside.LEAVE  # the new one has the doors
        raise failed("failed" if left else "restored", error, changed=left) from error
    instances.set_enabled(new["id"], True)
    return _outcome("exchanged", _also("as it is" if same else _difference(old, new), also))


def _drained(new: Spec, old: Old, request: Request) -> canary.Measures:
    """Nothing is in flight any more, and what the old one does by itself: not of the same again, nor of a busy one."""
    return canary.measured(old.spec) if drain_all(new, request) and not old.is_already(new) else {}


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


def _put_aside(identifier: str, spec: Optional[Spec]) -> None:
    """Stopped, and out of the way under its other name."""
    docker.remove(old_name(identifier))
    instances.stop(identifier)
    container.stop_container(identifier, spec)
    docker.rename(container_name(identifier), old_name(identifier))


def _serve(record: journal.Journal) -> None:
    """The new one has answered: from here it only goes forward."""
    interrupts.no_more()
    identifier = str(record["id"])
    journal.step(record, "commit")
    heal.settle(identifier)
    drain.unmark(identifier)
    instances.set_enabled(identifier, True)
    _wait_served(record)


def _difference(old: Old, new: Spec) -> str:
    if old.spec is None or old.spec.get("spec") == new["spec"]:
        return "it was changed by hand"
    changed = [key for key in sorted({*old.spec, *new} - {"spec"}) if old.spec.get(key) != new.get(key)]
    return "changed: " + (", ".join(changed) or "spec")


def _back(record: journal.Journal, error: Exception) -> NodeError:
    """Everything as it was, and what to raise then."""
    interrupts.no_more()
    if record["phase"] == "drain":
        heal.settle(str(record["id"]))
        _wait_served(record)
        return refused(error)
    with contextlib.suppress(OSError):  # a full disk: what is written already goes back as well
        journal.step(record, "restore", why=str(error))
    with contextlib.suppress(NodeError, OSError):
        bake.undo(record)
    return failed("restored", error, changed=False, also=_restore(record))


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


def refused(error: Exception) -> NodeError:
    if not isinstance(error, NodeError):
        return NodeError("failed", str(error), changed=False, outcome="refused", why=str(error))
    error.more = {"changed": False, "outcome": "refused", "why": error.message, "log": [], **error.more}
    return error


def failed(outcome: str, error: Exception, changed: bool, also: str = "") -> NodeError:
    """What is said of a new container that was not good."""
    why = (error.message if isinstance(error, NodeError) else str(error)) + also
    log = error.log if isinstance(error, wait.FailedError) else []
    return NodeError(outcome, why, "", rc=RESTORED, changed=changed, outcome=outcome, why=why, log=log)


def healed_now(identifier: str) -> str:
    """With the lock held: what a killed exchange left behind, put right, and running again."""
    found = journal.read(identifier)
    if found is None:
        return ""
    forward = heal.goes_forward(found)
    if not forward and found["phase"] not in heal.UNTOUCHED:
        bake.undo(found)
        instances.stop(identifier)  # its `run` must not see the names change
    healed = heal.settle(identifier, forward)
    spec = applied(identifier)
    if spec is not None and (forward or found.get("was_running", True)):
        container.forget_end(identifier)
        instances.start(identifier)
        wait.started(spec)
    return healed
