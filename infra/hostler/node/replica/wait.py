"""After a start: ready, its cards, the context that was asked for. Each failure says why, with the container's log."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from ..base import instances, wire
from ..base.protocol import NodeError, as_dict
from ..base.spec import Spec, container_name, name_of, port
from ..cards import inside
from ..docker import docker
from . import container

PAUSE = 0.25
SYSTEMD_EVERY = 20  # rounds
LIMIT_S = 600.0
STARTED_S = 30.0


class FailedError(NodeError):
    """The new container is not good; `log` are its last lines."""

    def __init__(self, why: str, log: List[str]) -> None:
        super().__init__("not-ready", why, "", rc=4, log=log)
        self.log = log


def has_cards(spec: Spec) -> str:
    """Exactly its cards, by UUID; raises FailedError for one too few or too many. Why it is unknown, or empty."""
    found = inside.proof(spec)
    if found.wrong:
        raise fail(spec, found.wrong)
    return found.unknown


def fail(spec: Spec, why: str, log: Optional[List[str]] = None) -> "FailedError":
    return FailedError(why, docker.logs(name_of(spec)) if log is None else log)


def ready(spec: Spec) -> None:
    """Health 200; raises FailedError at once when the container has ended, and at the specification's limit."""
    health: Optional[Dict[str, Any]] = spec.get("health")
    limit = float((health or {}).get("limit_s") or LIMIT_S)
    until = time.monotonic() + limit
    rounds = 0
    while True:
        _alive(spec, ask_systemd=rounds % SYSTEMD_EVERY == SYSTEMD_EVERY - 1)
        rounds += 1
        if health is None or healthy(health):
            return
        if time.monotonic() >= until:
            raise fail(spec, "not ready in %g s: %s" % (limit, said(health)))
        time.sleep(PAUSE)


def started(spec: Spec) -> bool:
    """Until its container runs, or cannot; not until it is ready. Whether it runs."""
    until = time.monotonic() + STARTED_S
    while not docker.running(docker.inspect(container_name(spec["id"]))):
        if container.died(spec["id"]) is not None or time.monotonic() >= until:
            return False
        time.sleep(PAUSE)
    return True


def _alive(spec: Spec, ask_systemd: bool) -> None:
    """Its `run` notes each end at once; without a `run` nothing would. One that starts beside another has none yet."""
    if "container" in spec:
        found = docker.inspect(name_of(spec))
        if not docker.running(found):
            raise fail(spec, container.how_it_ended(found or {}))
        return
    died = container.died(spec["id"])
    if died is not None and died.get("spec") == spec["spec"]:
        raise fail(spec, str(died["why"]), [str(line) for line in died["log"]])
    if ask_systemd and not instances.active(spec["id"]):
        raise fail(spec, "%s is not active" % instances.unit(spec["id"]))


def healthy(health: Dict[str, Any]) -> bool:
    answer = wire.get(place(health), health.get("path") or "/health")
    return answer is not None and answer.status == 200


def said(health: Dict[str, Any]) -> str:
    answer = wire.get(place(health), health.get("path") or "/health")
    if answer is None:
        return "nothing answers at %s" % place(health)
    return "%s says %d" % (health.get("path") or "/health", answer.status)


def place(health: Dict[str, Any]) -> wire.Where:
    return health.get("unix") or int(health["port"])


def context(spec: Spec) -> None:
    """The context a request really has is what was asked for; raises FailedError for less."""
    asked = int(spec.get("context") or 0)
    if not asked or not port(spec):
        return
    got = loaded_context(spec)
    if got is None:
        raise fail(spec, "context: expected %d tokens a request; the engine does not say" % asked)
    if got < asked:
        raise fail(spec, "context: expected %d tokens a request; got %d" % (asked, got))


def loaded_context(spec: Spec) -> Optional[int]:
    """Tokens a request may have, from llama.cpp's /props or vLLM's /v1/models."""
    props = wire.get(port(spec), "/props")
    if props is not None and props.status == 200 and isinstance(props.json(), dict):
        return of_props(props.json(), spec)
    models = wire.get(port(spec), "/v1/models")
    known = as_dict(models.json()) if models is not None and models.status == 200 else {}
    data: List[Any] = known.get("data") or [None]
    length = as_dict(data[0]).get("max_model_len")
    return length if isinstance(length, int) else None


def of_props(props: Dict[str, Any], spec: Spec) -> Optional[int]:
    """n_ctx of default_generation_settings is a slot's in current builds, and was the whole of all slots in old
    ones: it is the whole when it is as much as `-c` asked for though the slots do not share one cache."""
    value = as_dict(props.get("default_generation_settings")).get("n_ctx") or props.get("n_ctx")
    if not isinstance(value, int):
        return None
    slots = int(props.get("total_slots") or spec.get("slots") or 1)
    asked_in_all = _word(spec["argv"], "-c", "--ctx-size")
    shared = any(word in spec["argv"] for word in ("-kvu", "--kv-unified"))
    whole = slots > 1 and not shared and 0 < asked_in_all <= value
    return value // slots if whole else value


def _word(argv: List[str], *names: str) -> int:
    for i, word in enumerate(argv[:-1]):
        if word in names and argv[i + 1].isdigit():
            return int(argv[i + 1])
    return 0
