"""`host-end`: this host ends itself, or goes to sleep, when nothing on it has to go on. It needs nobody's rights for it:
what its shutdown means (ended, stopped) was agreed with its provider when it was rented.

As for one replica, so for all of them: drained, asked for once more, and then gone; or all of them serve on.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ..base import clock, interrupts, spec
from ..base.instances import systemctl
from ..base.protocol import REFUSED, Answers, NodeError, Request, text
from ..base.spec import Spec
from ..doors import drain
from ..replica import asleep, journal, outcome
from . import deciding, evidence, keeping, lastword, looking, policy, presence, waking
from .evidence import StaysError
from .looks import Look, Policy

COMMANDS = {"terminate": "poweroff", "stop": "poweroff", "suspend": "suspend"}
OFF_S = 300.0  # until it is off, or asleep
PAUSE = 1.0
SLEPT_S = 1.0  # the clocks tell that it was suspended
Said = Dict[str, Any]


class Subjects(NamedTuple):
    """`looks`: of those that are awake, before they are drained; None: they are stalled, and nothing they do is waited
    for."""

    specs: Dict[str, Spec]
    looks: Optional[Dict[str, Look]]


def host_end(request: Request, answers: Answers) -> int:
    """`host-end -` {"do": terminate|stop|suspend, "ask", "why", "by", "run"}: says {"drained": true}, hears `go` as `sleep`
    does, and then {"changed", "why"}: why it stays, where it does. Raises NodeError on a host that is not to end so."""
    outcome.say(answers, **end(text(request, "do"), request, answers))
    return 0


def end(do: str, request: Request, answers: Answers) -> Said:
    wish, failed = _may(do), False
    try:
        with interrupts.caught(), journal.locked(spec.replicas(), 0.0):
            said = _ended(do, wish, request, answers)
    except StaysError as error:
        cause = error.__cause__
        failed = cause is not None and not isinstance(cause, interrupts.InterruptedRun)
        said = {"changed": False, "why": str(error)}
    except NodeError as error:
        if error.kind != "busy":
            raise
        said = {"changed": False, "why": error.message}
    keeping.stays(do, str(said["why"]) if failed else "")
    return said


def _may(do: str) -> Policy:
    wish = policy.read().host
    if wish is None or wish.do != do or wish.shadow or do not in COMMANDS:
        got = (
            "nothing"
            if wish is None
            else "%s%s" % (wish.do or "nothing", ", only reported" if wish.shadow else "")
        )
        raise NodeError(
            "refused",
            "this host: expected one that may %s by its stack's `idle`; got one that may %s" % (do, got),
            "look at `idle` of its pool",
            rc=REFUSED,
            changed=False,
        )
    return wish


def _ended(do: str, wish: Policy, request: Request, answers: Answers) -> Said:
    run = text(request, "run", "")
    for name in spec.replicas():
        asleep.settle(name)
    subjects = _proven(wish, run)
    names = sorted(subjects.specs)
    why, by = text(request, "why", "asked for by hand"), text(request, "by", "somebody")
    ours: List[str] = []
    try:
        for name in names:
            mark = asleep.begin(name, asleep.made(why, by))
            ours += [name] if mark["drained"] else []
        _drained(subjects)
        evidence.word(request, answers)
        _nothing_came(subjects, run)
        interrupts.no_more()
        lastword.leave(do, why, by)
        keeping.tell("this host goes (%s): %s" % (do, why))
        os.sync()
        outcome.say(answers, changed=True, why=why)
        return _gone(do, why)
    except (StaysError, NodeError, OSError) as error:
        raise error if isinstance(error, StaysError) else StaysError(str(error)) from error
    finally:
        lastword.take_back()
        for name in names:
            asleep.serve_on(name)
        drain.wait_served(ours)


def _proven(wish: Policy, run: str) -> Subjects:
    """That it is idle, or stalled and too old. Raises StaysError."""
    state = keeping.read()
    judged = keeping.judge(state, run)
    awake = {name: spec.applied(name) or {} for name in judged.looks}
    host = judged.host
    looks = {name: look for name, look in judged.looks.items() if look is not None}
    if host.word == deciding.IDLE and len(looks) == len(awake):
        if host.since is not None and host.since >= judged.begun:
            raise StaysError("its window has just begun: %s" % host.why)
        return Subjects(awake, looks)
    age = 0.0 if host.first is None else clock.boottime() - host.first
    still = host.still if host.word == deciding.BUSY else None
    if 0 < wish.max_age_s <= age and still is not None and judged.begun - still >= deciding.STALLED_S:
        return Subjects(awake, None)
    raise StaysError("%s: %s" % (host.word, host.why))


def _drained(subjects: Subjects) -> None:
    left = drain.wait(list(subjects.specs), subjects.specs, 0.0) if subjects.specs else {}
    if left and subjects.looks is not None:
        raise StaysError("a request came: " + drain.explain(left))


def _nothing_came(subjects: Subjects, run: str) -> None:
    there = looking.doors()
    now = looking.replicas(sorted(subjects.specs), there)
    models = [str(one["model"]) for one in subjects.specs.values() if one.get("model")]
    why: List[str] = []
    if subjects.looks is not None:
        before = subjects.looks
        why = [
            evidence.queued(models, there),
            *(evidence.moved(name, before[name], now[name]) for name in before),
        ]
    why += ["%s is being woken" % name for name in spec.replicas() if waking.wished(name)]
    seen = presence.look(run)
    here = deciding.presence({}, seen.look)[1]
    why.append("" if here.word == deciding.IDLE else "%s: %s" % (here.word, here.why))
    if any(why):
        raise StaysError("; ".join(filter(None, why)))


def _gone(do: str, why: str) -> Said:
    """Returns where it was suspended, and is back. Raises NodeError where it does not go."""
    boot, before, slept = clock.boot(), clock.resumed(), clock.slept()
    result = systemctl("--no-block", COMMANDS[do])
    if not result.ok:
        raise NodeError("failed", "systemctl %s: %s" % (COMMANDS[do], result.why), "look at it there")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # the shutdown waits for nobody here
    until = time.monotonic() + OFF_S
    while time.monotonic() < until:
        time.sleep(PAUSE)
        back = clock.resumed() != before or clock.slept() > slept + SLEPT_S
        if do == "suspend" and back and clock.boot() == boot:
            return {"changed": True, "why": why, "back": True}
    raise NodeError(
        "failed", "it is still there %g s after systemctl %s" % (OFF_S, COMMANDS[do]), "look at it there"
    )
