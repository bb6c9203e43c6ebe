"""A stalled replica is taken out, ended, started again, and comes back by the canary; or stays out, with the reason.

With its lock held, so that it never meets an exchange. What is about to happen is on disk before: killed in the middle,
the next look goes on. Its requests are lost already; those that another replica can still answer, the gateway sends there.
"""

from __future__ import annotations

import time
from typing import List

from ..base import instances
from ..base.protocol import NodeError
from ..base.spec import Spec, applied, container_name
from ..canary import canary, chat, smoke
from ..docker import docker
from ..doors import drain
from ..replica import container, journal, wait
from . import watched
from .stall import Limits
from .watched import OUT, RESTARTING, Kept

ANSWER_S = 30.0  # for one token of a replica that nothing is heard of
AGAIN = "it was being restarted"


def revive(identifier: str, why: str, limits: Limits) -> str:
    """What became of it. Raises NodeError (busy) where an exchange has it, OSError where Docker does not answer."""
    with journal.locked([identifier], 0.0):
        spec = applied(identifier)
        if spec is None or journal.read(identifier) is not None or drain.marked(identifier):
            return ""
        if answers(spec):  # before the mark: a client that does not read would take it out again and again
            return _back(identifier, "%s, then answered: left alone" % why)
        found, recent = watched.kept(identifier), _recent(identifier, limits)
        watched.keep(identifier, {**found, "state": RESTARTING, "why": why, "restarts": recent})
        drain.mark(identifier)
        drain.wait([identifier], {identifier: spec}, 0.0)  # until nothing new comes
        watched.keep_log(identifier, docker.logs(container_name(identifier)))
        if len(recent) >= limits.restarts:
            return _left_out(identifier, _too_often(why, recent, limits))
        _count(identifier, recent)
        return _again(identifier, spec, why)


def go_on(identifier: str, limits: Limits) -> str:
    """What a kill left behind: it is ended and started again. After a boot it was started anyway. Each time counts, and
    is on disk before: where the disk is full it is not ended at each look."""
    with journal.locked([identifier], 0.0):
        spec, why = applied(identifier), str(watched.kept(identifier).get("why") or AGAIN)
        if spec is None or journal.read(identifier) is not None or not drain.marked(identifier):
            return _back(identifier, "%s, started again by somebody else" % why)
        recent = _recent(identifier, limits)
        if len(recent) > limits.restarts:
            return _left_out(identifier, _too_often(why, recent, limits))
        _count(identifier, recent)
        return _again(identifier, spec, why)


def _recent(identifier: str, limits: Limits) -> List[float]:
    before: List[float] = watched.kept(identifier).get("restarts") or []
    return [at for at in before if abs(time.time() - at) < limits.within_s]


def _count(identifier: str, recent: List[float]) -> None:
    watched.keep(identifier, {**watched.kept(identifier), "restarts": [*recent, time.time()]})


def _too_often(why: str, recent: List[float], limits: Limits) -> str:
    return "%s, after %d restarts within %s" % (why, len(recent), span(limits.within_s))


def answers(spec: Spec) -> bool:
    """One token, or one vector: an engine that does nothing but wait for slow clients gives it at once."""
    if not spec.get("model") or not spec.get("port"):
        return False
    try:
        if smoke.makes_vectors(spec):
            chat.post(spec, {"model": spec["model"], "input": [smoke.PROMPT]}, "/v1/embeddings", ANSWER_S)
        else:
            chat.whole(spec, chat.body(spec, smoke.PROMPT, 1), ANSWER_S)
    except wait.FailedError:
        return False
    return True


def _again(identifier: str, spec: Spec, why: str) -> str:
    try:
        ended(identifier)
        container.forget_end(identifier)
        instances.start(identifier)
        unproven = canary.proven(spec)
    except (NodeError, OSError) as error:
        log: List[str] = error.log if isinstance(error, wait.FailedError) else []
        if log:
            watched.keep_log(identifier, log)
        reason = error.message if isinstance(error, NodeError) else str(error)
        return _left_out(identifier, "%s, restarted, and was not good: %s" % (why, reason))
    what = _back(identifier, "%s, restarted, back" % why)
    return "%s; %s" % (what, unproven) if unproven else what


def ended(identifier: str) -> None:
    """At once: what it had in flight hangs, and it may not hear a polite signal. Systemd starts it no more."""
    if docker.running(docker.inspect(container_name(identifier))):
        docker.kill(container_name(identifier), "SIGKILL")
    instances.stop(identifier)


def _back(identifier: str, what: str) -> str:
    """Its mark first: what is killed in between must not leave it marked for ever."""
    watched.look_forgotten(identifier)
    unmarked = drain.unmark(identifier)
    watched.keep(identifier, watched.happened(watched.kept(identifier), what, state="", why=""))
    if unmarked:
        drain.wait_served([identifier])
    return what


def _left_out(identifier: str, why: str) -> str:
    """Stopped, and marked, so that nothing but a person, a boot or `hostler up` brings it back."""
    found: Kept = watched.happened(watched.kept(identifier), why, state=OUT, why=why)
    watched.keep(identifier, found)
    ended(identifier)
    watched.look_forgotten(identifier)
    return why


def span(seconds: float) -> str:
    return "an hour" if seconds == 3600.0 else "%g min" % round(seconds / 60, 1)
