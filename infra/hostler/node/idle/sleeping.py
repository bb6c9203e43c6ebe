"""`sleep`: a replica is drained, asked for once more, and stopped, so that its cards' memory is free; or it stays.

Its mark (replica/asleep.py) is on disk before each step. A wake that comes meanwhile wins until its container is stopped.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..base import interrupts, spec
from ..base.protocol import REFUSED, Answers, NodeError, Request, as_dict, identity, number, text
from ..base.spec import Spec
from ..cards import cards
from ..docker import docker
from ..doors import drain
from ..replica import asleep, journal, outcome
from . import evidence, keeping, looking, waking
from .evidence import StaysError

Said = Dict[str, Any]


def sleep(request: Request, answers: Answers) -> int:
    """`sleep ID [-] [--force]` with {"why", "by", "ask"}: says {"drained": true} where it is; with `ask` it goes on when
    it hears `go` within 10 s. Then {"changed", "why"}: why it stays, where it does. `force`: what it has in flight is
    waited for, and what it did before says nothing."""
    identifier = identity(request)
    outcome.say(answers, **fall_asleep(identifier, request, answers))
    return 0


def fall_asleep(identifier: str, request: Request, answers: Answers) -> Said:
    """Raises NodeError where it cannot be put to sleep, or its cards' memory does not come back."""
    with interrupts.caught(), journal.locked([identifier]):
        asleep.settle(identifier)
        if asleep.sleeps(identifier):
            return {"changed": False, "why": "it sleeps already"}
        found = _fit(identifier)
        try:
            mark = _drained(found, request, answers)
        except StaysError as error:
            return {"changed": False, "why": str(error)}
        interrupts.no_more()
        held = cards.held(spec.container_name(identifier), found)
        try:
            mark = asleep.keep(identifier, {**mark, "state": asleep.ASLEEP})
        except OSError as error:
            asleep.serve_on(identifier)
            return {"changed": False, "why": "that it sleeps cannot be kept: %s" % error}
        asleep.lay_down(identifier, mark)
        cards.wait_free(found, held)
        return {"changed": True, "why": str(mark["why"])}


def _fit(identifier: str) -> Spec:
    """Raises NodeError (refused) for what is not a replica that serves."""
    found = spec.applied_or_error(identifier)
    why = ""
    if not spec.drains(found):
        why = "no requests are routed to it: it is no replica"
    elif journal.read(identifier) is not None:
        why = "an exchange of it has not ended"
    elif drain.marked(identifier):
        why = "somebody has drained it"
    elif not docker.running(docker.inspect(spec.container_name(identifier))):
        why = "it does not run"
    if why:
        raise NodeError("unfit", "%s: %s" % (identifier, why), "hostler status", rc=REFUSED, changed=False)
    return found


def _drained(found: Spec, request: Request, answers: Answers) -> asleep.Mark:
    """Nothing is in flight, nothing came, and whoever asked agrees; else it serves on. Raises StaysError."""
    identifier = str(found["id"])
    force = bool(request.get("force"))
    before = None if force else _idle(identifier)
    since = None if before is None else before.verdict.since
    mark = asleep.made(text(request, "why", "asked for by hand"), text(request, "by", "somebody"), since)
    try:
        mark = asleep.begin(identifier, mark)
        if not mark["drained"]:
            raise StaysError("somebody has drained it")
        limit = number(request, "limit", float(found.get("drain_s") or 600)) if force else 0.0
        left = drain.wait([identifier], {identifier: found}, limit)
        if left:
            raise StaysError("a request came: " + drain.explain(left))
        evidence.word(request, answers)
        _nothing_came(found, before)
    except (StaysError, NodeError, OSError) as error:
        asleep.serve_on(identifier)
        drain.wait_served([identifier])
        raise error if isinstance(error, StaysError) else StaysError(str(error)) from error
    return mark


def _idle(identifier: str) -> evidence.Before:
    states = as_dict(keeping.read().get("replicas"))
    look = looking.replica(identifier, looking.doors())
    return evidence.idle(identifier, as_dict(states.get(identifier)), look)


def _nothing_came(found: Spec, before: Optional[evidence.Before]) -> None:
    identifier, there = str(found["id"]), looking.doors()
    models: List[str] = [str(found["model"])] if found.get("model") else []
    why = evidence.queued(models, there)
    if not why and before is not None:
        why = evidence.moved(identifier, before.look, looking.replica(identifier, there))
    if not why and waking.wished(identifier):
        why = "it is being woken"
    if why:
        raise StaysError(why)
