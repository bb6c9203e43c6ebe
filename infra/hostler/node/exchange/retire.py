"""The end of an instance; and what killed exchanges left behind."""

from __future__ import annotations

import contextlib
from typing import Optional

from ..base import files, instances, interrupts
from ..base.protocol import Answers, NodeError, Request, identity, number
from ..base.spec import Spec, applied, container_name, drains, old_name
from ..docker import docker
from ..doors import drain, ports
from ..replica import asleep, beside, container, heal, journal, outcome, wait
from ..weights import serve
from . import exchange, inplace


def retire(request: Request, answers: Answers) -> int:
    """`retire ID [--force] [--drain-s S]`: drain, stop, and take away container, wish and instance. `force`: cut."""
    identifier = identity(request)
    with interrupts.caught(), journal.locked([identifier]):
        heal.settle(identifier)
        spec = applied(identifier)
        _former_last(identifier, spec, request)
        if spec is not None and docker.running(docker.inspect(container_name(identifier))):
            _drain_last(identifier, spec, request)
        gone = _retired(identifier, spec)
        outcome.say(answers, changed=gone, outcome="retired" if gone else "same")
    return 0


def _former_last(identifier: str, spec: Optional[Spec], request: Request) -> None:
    """Of the exchange before: what is still answered by the container that went then is waited for, too."""
    limit = number(request, "drain-s", float((spec or {}).get("drain_s") or 600))
    try:
        beside.one_at_a_time(identifier, limit, bool(request.get("force")))
    except NodeError as error:
        raise outcome.refused(error) from error


def _drain_last(identifier: str, spec: Spec, request: Request) -> None:
    marked = drains(spec) and drain.mark(identifier)
    try:
        if drains(spec):
            inplace.drain_all(spec, {"cut": request.get("force"), **request})
    except NodeError as error:
        if marked:
            drain.unmark(identifier)
        raise outcome.refused(error) from error


def _retired(identifier: str, spec: Optional[Spec]) -> bool:
    instances.stop(identifier)
    container.stop_container(identifier, spec)
    gone = [docker.remove(name) for name in (container_name(identifier), old_name(identifier))]
    gone.append(instances.set_enabled(identifier, False))
    if identifier == "edge":
        gone.append(serve.keep(False))
    for path in ("%s/%s.json" % (files.APPLIED, identifier), "%s/%s.json" % (files.WANTED, identifier)):
        gone.append(files.remove(path))
    for door in ports.DOORS:
        with contextlib.suppress(OSError):  # a full disk: whoever takes its port over writes it again
            ports.write(door)
    container.forget_end(identifier)
    gone.append(asleep.forget(identifier))
    journal.end(identifier)  # of a takeover whose former container had still to finish
    drain.unmark(identifier)
    return any(gone)


def recover(request: Request, answers: Answers) -> int:
    """`recover [--id ID]`: all that killed exchanges left behind. Says {"changed", "recovered": {id: what}}."""
    names = [identity(request)] if request.get("id") else journal.names()
    done = {name: healed for name in names for healed in [recovered(name)] if healed}
    outcome.say(answers, changed=bool(done), recovered=done)
    return 0


def recovered(identifier: str) -> str:
    """What a killed exchange left behind is put right and serves again; what was done, empty for nothing."""
    with journal.locked([identifier]):
        healed = exchange.healed_now(identifier)
    spec = applied(identifier) if healed else None
    if spec is not None:
        with contextlib.suppress(
            wait.FailedError
        ):  # a status says so; the next plan is made of what is there
            wait.ready(spec)
            drain.wait_served(inplace.drained_with(spec))
    return healed
