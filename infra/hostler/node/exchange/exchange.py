"""exchange(replica): the only way a container changes. Beside the old one where both fit (surge.py), HAProxy's with its
sockets (takeover.py), else in place (inplace.py); what does not run is started (standing.py).

Each step is in the journal before it is taken, so that whoever comes after a kill or a power cut (the next exchange,
`recover`, or the instance's own `run`) knows which way to go.
"""

from __future__ import annotations

from typing import Any, Dict, Sequence

from ..base import instances, interrupts
from ..base.protocol import REFUSED, Answers, NodeError, Request, identity, number
from ..base.spec import Spec, applied, drains, image_ref, wanted
from ..docker import docker
from ..doors import ports
from ..replica import asleep, beside, container, heal, journal, outcome, wait
from ..replica.outcome import say
from . import bake, inplace, standing, starts, surge, takeover
from .inplace import Old, drained_with


def exchange(request: Request, answers: Answers) -> int:
    """`exchange ID [--force] [--cut] [--beside] [--drain-s S] [--need-mib N] [--bake-s S] [--bake-errors SHARE]`: make the
    instance run what is wanted. `beside`: nothing else serves meanwhile, so never in place.

    Says {"changed", "outcome": same|started|exchanged|restored|failed|refused, "why", "log"}; rc 0, 3 refused
    (what would be cut is in `in_flight`), 4 restored or failed.
    """
    identifier = identity(request)
    wish = wanted(identifier)
    _needs(wish, request)
    with interrupts.caught(), journal.locked([identifier, *drained_with(wish)]):
        healed = healed_now(identifier)
        with asleep.woken(identifier):
            said = _exchanged(wish, request, healed)
        say(answers, **said)
    return 0


def _exchanged(wish: Spec, request: Request, healed: str) -> Dict[str, Any]:
    if not _rests(wish, request):
        _former_gone(wish, request)
    old = Old(str(wish["id"]))
    new = ports.placed(wish, old.spec)
    if old.is_already(new) and not request.get("force"):
        return standing.as_it_is(new, old, healed)
    if old.container is None:
        return standing.first(starts.limited(new), old)
    if takeover.fits(new, old.container):
        return _take_over(new, old, old.container, request)
    return _replaced(new, old, old.container, request)


def _rests(wish: Spec, request: Request) -> bool:
    """Whether it runs as it is wanted, so that nothing is begun."""
    old = Old(wish["id"])
    already = old.is_already(ports.placed(wish, old.spec)) and not request.get("force")
    return already and old.running and instances.active(wish["id"])


def _former_gone(wish: Spec, request: Request) -> None:
    """The journal has room for one exchange: what the last one left still answers. Raises NodeError (refused)."""
    try:
        limit = number(request, "drain-s", float(wish.get("drain_s") or 600))
        beside.one_at_a_time(str(wish["id"]), limit, bool(request.get("cut")))
    except NodeError as error:
        raise outcome.refused(error) from error


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


def _replaced(new: Spec, old: Old, former: docker.Json, request: Request) -> Dict[str, Any]:
    """By another one, beside it where both fit."""
    new = starts.limited(new)
    if not old.running or old.spec is None or not drains(new):
        return inplace.exchange(new, old, request)
    only = bool(request.get("beside")) and wait.healthy(old.spec.get("health") or {"port": 0})
    reason = surge.why_not(new, old.spec)
    if reason and only:
        raise outcome.refused(_no_room(reason.why))
    why = "in place: " + reason.why if reason and reason.room else ""
    if reason is None:
        try:
            return surge.exchange(new, former, old.spec, request)
        except surge.NoRoomError as error:
            if only:
                raise outcome.refused(_no_room(error.message, error.more.get("log") or ())) from error
            why = "in place: there was too little memory for both (%s)" % error.message
            interrupts.again()
    return inplace.exchange(new, old, request, why)


def _no_room(why: str, log: Sequence[str] = ()) -> NodeError:
    return NodeError(
        "room",
        "it cannot start beside the one that serves: %s" % why,
        "repeat with --allow-downtime: then it is exchanged in place",
        rc=REFUSED,
        log=list(log),
    )


def _take_over(new: Spec, old: Old, running: docker.Json, request: Request) -> Dict[str, Any]:
    """A door stays open meanwhile."""
    same = old.is_already(new)
    try:
        more = takeover.take(new, running, old.spec, request)
    except (NodeError, OSError) as error:
        if isinstance(error, NodeError) and error.rc == REFUSED:
            raise outcome.refused(error) from error
        left = (journal.read(str(new["id"])) or {}).get("phase") == beside.LEAVE  # the new one has the doors
        raise outcome.failed("failed" if left else "restored", error, changed=left) from error
    instances.set_enabled(new["id"], True)
    why = "as it is" if same else outcome.changed(old.spec, new)
    return outcome.done("exchanged", outcome.also(why, more))


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
