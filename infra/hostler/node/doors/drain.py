"""Draining: a mark that the local health listener looks at for each check, and what is in flight meanwhile."""

from __future__ import annotations

import os
import time
from typing import Dict, Iterable, List, NamedTuple, Optional

from ..base import files, sockets, wire
from ..base.protocol import REFUSED, Answers, NodeError, Request, identity, number
from ..base.spec import Spec, applied, container_name, port
from ..docker import docker
from . import haproxy

SETTLE_S = 3.0  # three health checks: by then every proxy has heard a 404
SERVED_S = 10.0  # the gateway checks each second; where it is gone there is nothing to wait for
PAUSE = 0.2
CALM = 2  # observations of nothing in flight, one after the other
GAUGES = (
    "llamacpp:requests_processing",
    "llamacpp:requests_deferred",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
)
LOADING = 503  # llama-server answers everything so until its model is loaded: it has served nothing yet
NO_METRICS = (404, 405, 501)  # an engine without any: only HAProxy can tell


class Flight(NamedTuple):
    """Requests in flight at one replica, as its engine and as this host's HAProxy count them; None is unknown."""

    engine: Optional[int]
    proxy: Optional[int]

    @property
    def none(self) -> bool:
        return self.engine == 0 and self.proxy == 0

    def __str__(self) -> str:
        words = ("unknown" if n is None else str(n) for n in self)
        return "%s in the engine, %s in HAProxy" % tuple(words)

    def as_json(self) -> Dict[str, Optional[int]]:
        return {"engine": self.engine, "proxy": self.proxy}


def mark(identifier: str) -> bool:
    """Set the mark; whether it was not there. A directory or file of /run: gone after a boot, as it should be."""
    path = files.at(files.DRAIN, identifier)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        return False
    return True


def unmark(identifier: str) -> bool:
    return files.remove(files.DRAIN + "/" + identifier)


def marked(identifier: str) -> bool:
    return os.path.exists(files.at(files.DRAIN, identifier))


def in_flight(identifier: str, spec: Optional[Spec]) -> Flight:
    count = engine_count(port(spec or {}))
    if count is None and _ended(identifier):
        count = 0
    return Flight(count, haproxy.in_flight(identifier))


def _ended(identifier: str) -> bool:
    """Docker's own word that nothing runs there, so that nothing can be in flight. No word is no proof."""
    try:
        return not docker.running(docker.inspect(container_name(identifier)))
    except (OSError, docker.DockerError):
        return False


def engine_count(at_port: int) -> Optional[int]:
    """Running and waiting requests by the engine's own /metrics; None: it did not say."""
    if not at_port:
        return 0
    answer = wire.get(at_port, "/metrics")
    if answer is not None and answer.status in NO_METRICS:
        return 0
    if answer is not None and answer.status == LOADING:
        health = wire.get(at_port, "/health")
        return 0 if health is not None and health.status == LOADING else None
    if answer is None and sockets.quiet(at_port):
        return 0  # vLLM listens only when its model is loaded, minutes after its container's start
    if answer is None or answer.status != 200:
        return None
    return int(sum(gauges(answer.body.decode("utf-8", "replace"))))


def tells(at_port: int) -> bool:
    """Whether an engine counts its requests: of one that does not only the connections to it say something."""
    answer = wire.get(at_port, "/metrics")
    return answer is not None and answer.status == 200


def gauges(metrics: str) -> List[float]:
    """The values of the gauges of requests, whatever their labels."""
    rows = (line.replace("{", " {").split() for line in metrics.splitlines() if line and line[0] != "#")
    return [float(row[-1]) for row in rows if row and row[0] in GAUGES]


def drain(request: Request, answers: Answers) -> int:
    """`drain ID [--limit S]`: send nothing new, and with a limit wait until nothing is in flight."""
    identifier = identity(request)
    changed = mark(identifier)
    limit = number(request, "limit", 0)
    spec = applied(identifier)
    if limit > 0 and spec is not None:
        left = wait([identifier], {identifier: spec}, limit)
        if left:
            raise NodeError(
                "in-flight",
                explain(left),
                "try again later, or --cut to end these requests",
                rc=REFUSED,
                changed=changed,
                in_flight=as_json(left),
            )
    answers.say(changed=changed, in_flight=in_flight(identifier, spec).as_json())
    return 0


def undrain(request: Request, answers: Answers) -> int:
    """`undrain ID`: serve again."""
    answers.say(changed=unmark(identity(request)))
    return 0


def wait(replicas: Iterable[str], specs: Dict[str, Spec], limit_s: float) -> Dict[str, Flight]:
    """Wait until the proxies have seen the marks and nothing is in flight; what still is, empty when calm."""
    names = list(replicas)
    until = time.monotonic() + limit_s
    _settle(names)
    calm = 0
    while True:
        left = {
            name: flight for name in names for flight in [in_flight(name, specs[name])] if not flight.none
        }
        calm = 0 if left else calm + 1
        if calm >= CALM:
            return {}
        if left and time.monotonic() >= until:
            return left
        time.sleep(PAUSE)


def _settle(names: List[str]) -> None:
    """Until HAProxy sends them nothing new. Its own server state says so on the gateway's host; an edge only hands
    the health answers on, so there we give the gateway the time of three checks."""
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        states = [haproxy.routed(name) for name in names]
        if not any(states):
            return
        time.sleep(PAUSE)


def wait_served(names: Iterable[str]) -> bool:
    """After the mark is gone: until the gateway sends them requests again, so that the next replica can be drained
    without a gap. The gateway here says so itself; an edge sees the gateway's health checks pass. Whether all are."""
    before = {name: haproxy.checks_passed(name) for name in set(names)}
    until = time.monotonic() + SERVED_S
    while not all(haproxy.served(name, count) for name, count in before.items()):
        if time.monotonic() >= until:
            return False
        time.sleep(PAUSE)
    return True


def explain(left: Dict[str, Flight]) -> str:
    return "; ".join("%s: %s" % (container_name(name), flight) for name, flight in left.items())


def as_json(left: Dict[str, Flight]) -> Dict[str, Dict[str, Optional[int]]]:
    return {name: flight.as_json() for name, flight in left.items()}
