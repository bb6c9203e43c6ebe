"""A host's replicas away while what is under them is upgraded, and back when they are proven.

What was drained stands in a note that outlives a reboot (away.py). When nobody comes back, whoever changes the stack
next (`end-run`) lets those serve that answer.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, List, Optional

from ..base import instances, interrupts
from ..base.protocol import REFUSED, Answers, NodeError, Request, number, text
from ..base.spec import Spec, applied, container_name, replicas
from ..canary import canary, smoke
from ..docker import docker
from ..doors import away, drain
from ..replica import container, journal, wait

DRAIN_S = 600.0
PAUSE = 0.5
TRIES = 3  # for a health check


def host_away(request: Request, answers: Answers) -> int:
    """`host-away [--limit S] [--cut]`: all replicas here get nothing new, what they are answering is waited for, and what
    they do then is measured. Says {"changed", "replicas": [ids], "in_flight"}; refused, they serve on."""
    run, limit = text(request, "run", ""), number(request, "limit", DRAIN_S)
    found = away.read() or {"run": run, "replicas": {}}
    before: Dict[str, Any] = {name: was for name, was in found["replicas"].items() if drain.marked(name)}
    left_before = _left(found, before) if found["run"] == run else sorted(before)
    specs = {name: spec for name in replicas() for spec in [applied(name)] if spec is not None}
    new = [name for name in specs if name not in before and not drain.marked(name)]
    with interrupts.caught(), journal.locked(specs):
        all_of_them = {**before, **dict.fromkeys(new)}
        note: away.Note = {"run": run, "at": time.time(), "replicas": all_of_them, "left": left_before}
        away.write(note)
        try:
            for name in new:
                drain.mark(name)
            left = drain.wait(list(specs), specs, limit)
            if left and not request.get("cut"):
                raise _refused(left)
            for name in new:
                note["replicas"][name] = _before(specs[name], bool(left))
            _still(run)
            away.write(note)
        except BaseException:
            _let_serve(new, {**found, "replicas": before})
            raise
    answers.say(changed=bool(new), replicas=sorted(note["replicas"]), in_flight=drain.as_json(left))
    return 0


def _before(spec: Spec, busy: bool) -> Optional[canary.Measures]:
    """What it does, so that it must do as well after; None where it did not serve: a busy host answers late now and then,
    and what is None is never asked again."""
    if spec.get("health") and not _answers(spec["health"]):
        return None
    return {} if busy else canary.measured(spec)


def _answers(health: Dict[str, Any]) -> bool:
    for _ in range(TRIES - 1):
        if wait.healthy(health):
            return True
        time.sleep(PAUSE)
    return wait.healthy(health)


def _refused(left: Dict[str, drain.Flight]) -> NodeError:
    return NodeError(
        "in-flight",
        drain.explain(left),
        "try again later, or --cut to end these requests",
        rc=REFUSED,
        changed=False,
        in_flight=drain.as_json(left),
    )


def _still(run: str) -> None:
    """Whoever asked may have called it off meanwhile."""
    found = away.read()
    if found is None or found["run"] != run:
        raise NodeError("interrupted", "it was called off", "run it again")


def _let_serve(names: List[str], rest: away.Note) -> None:
    """`rest`: the note with those that stay drained."""
    for name in names:
        drain.unmark(name)
    if rest["replicas"]:
        away.write(rest)
    else:
        away.end()


def _left(found: away.Note, replicas_of_it: Dict[str, Any]) -> List[str]:
    """Those that an earlier run left drained, since they answered wrongly."""
    return [name for name in found.get("left") or () if name in replicas_of_it]


def host_back(request: Request, answers: Answers) -> int:
    """`host-back [--unproven]`: what `host-away` drained serves again, when it is ready and does as well as before;
    `unproven`: at once. Says {"changed", "replicas": [ids], "proven": [ids], "unproven": what nobody could tell}. What
    is not good stays drained, all of it; what did not serve before need not. Of those that an earlier run left drained
    only the bad stay so: the others do not wait for them."""
    found = away.read() or {"replicas": {}}
    was, left = found["replicas"], _left(found, found["replicas"])
    served = [name for name in sorted(was) if was[name] is not None or name in left]
    said: List[str] = []
    stays: Dict[str, Any] = {name: was[name] for name in left} if request.get("unproven") else {}
    for name in [] if request.get("unproven") else served:
        try:
            said.append(proven(name, was[name]))
        except NodeError as error:
            if name not in left:
                raise
            stays[name] = was[name]
            said.append("%s stays drained: %s" % (name, error.message))
    names = [name for name in sorted(was) if name not in stays]
    _let_serve(names, {**found, "replicas": stays})
    drain.wait_served(names)
    good = [] if request.get("unproven") else [name for name in served if name not in stays]
    answers.say(changed=bool(names), replicas=names, proven=good, unproven="; ".join(filter(None, said)))
    return 0


def proven(name: str, before: Optional[canary.Measures]) -> str:
    """Its container runs, is ready, and answers as well as before; raises NodeError. What nobody could tell, or empty."""
    spec = applied(name)
    if spec is None:
        return ""
    docker.wait_for_daemon()
    container.forget_end(name)  # Docker may have stopped it on its way
    instances.start(name)
    try:
        return canary.proven(spec, spec, before or {})
    except wait.FailedError as error:
        raise NodeError(
            "unproven", "%s: %s" % (container_name(name), error.message), log="\n".join(error.log)
        ) from error


def left_behind(current: str) -> Dict[str, str]:
    """What another run than this drained and did not bring back serves again, but for what answers wrongly: what became
    of each."""
    found = away.read()
    if found is None or found["run"] == current:
        return {}
    done = {name: unfit(applied(name)) for name in sorted(found["replicas"])}
    kept = {name: found["replicas"][name] for name, why in done.items() if why}
    _let_serve([name for name in done if name not in kept], {**found, "replicas": kept})
    drain.wait_served(name for name, why in done.items() if not why)
    return {name: "stays drained: %s" % why if why else "gets requests again" for name, why in done.items()}


def unfit(spec: Optional[Spec]) -> str:
    """Why a replica that is ready must not serve; empty where it is not ready: then the gateway sees that itself."""
    if spec is None or not spec.get("health"):
        return ""
    with contextlib.suppress(OSError, docker.DockerError):
        if docker.running(docker.inspect(container_name(spec["id"]))) and wait.healthy(spec["health"]):
            try:
                smoke.smoke(spec)
            except NodeError as error:
                return error.message
    return ""
