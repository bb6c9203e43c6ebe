"""The probe: one request, one answer with all that hosts.types.Seen has. Reads only.

request {"op": "probe", "ask": ["kind:name", ...]}; a path's text is asked for as "text:/etc/x", all that is ours
        as "ours:*".
answer  {"now", "took_ms", "facts", "observed": {"kind:name": {"value": ...} | {"absent": true} | {"unknown": why}},
         "ours", "uid", "epoch", "baseline", "record", "copy"}
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..base import accounts, files, units
from ..base.protocol import Answers, NodeError, Request, as_dict
from ..cards import driver, gpus
from ..docker import daemon
from ..docker.containers import Engine
from ..docker.dockerapi import NotAnswering
from ..doors import firewall, haproxy
from ..packages import packages
from ..site import certs
from . import everything, machine, paths, signals

UNIT_FOLDER = "/etc/systemd/system"
ELSEWHERE = ("/etc/sudoers.d/hostler-updates", "/var/lib/hostler/updates/.ssh/authorized_keys")
Seen = Dict[str, Any]


def probe(request: Request, answers: Answers) -> int:
    started = time.monotonic()
    asked = everything.expand(sort(request.get("ask") or []))
    work = Together()
    engine = work.start(Engine)
    look_at_cards = work.start(gpus.look)
    machine_facts = work.start(machine.facts)
    unit_states = work.start(lambda: units.states(asked.get("unit", [])))
    routes = work.start(haproxy.routes if asked.get("route") else dict)
    replica_signals = work.start(lambda: signals.replicas(asked.get("replica", [])))
    ports = work.start(lambda: firewall.look(asked.get("port", [])))
    belongs = {"now": time.time(), **identity()}
    found = {**observe_files(asked), **observe_packages(asked.get("package", []))}
    docker = engine()
    cards = look_at_cards()
    cards = {
        **cards,
        "driver": driver.explained(cards["driver"]),
        "processes": gpus.owned(cards["processes"], docker.ours),
    }
    found.update(observe_docker(docker, asked))
    found["images:*"] = everything.images(docker)
    found.update(observe_routes(routes(), asked.get("route", [])))
    found.update(("port:" + name, seen(state)) for name, state in ports().items())
    found.update(("unit:" + name, seen(state)) for name, state in unit_states().items())
    found.update(("replica:" + name, seen(state)) for name, state in replica_signals().items())
    facts = {
        "docker": docker.version,
        "docker_foreign": docker.foreign,
        "docker_swarm": docker.swarm,
        "docker_waits": daemon.toolkit_waits(),
        "package_state": packages.trouble(),
    }
    answers.say(
        observed=found,
        facts={**machine_facts(), **facts, **cards},
        ours=ours(docker),
        took_ms=round((time.monotonic() - started) * 1000),
        **belongs,
    )
    return 0


class Together:
    """Things that wait for others (systemd, engines, Docker) are looked at side by side."""

    def start(self, work: Callable[[], Any]) -> Callable[[], Any]:
        box: List[Any] = []
        trouble: List[Exception] = []

        def run() -> None:
            try:
                box.append(work())
            except Exception as error:  # noqa: BLE001 - raised again where the answer is wanted
                trouble.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def result() -> Any:
            thread.join()
            if trouble:
                raise trouble[0]
            return box[0]

        return result


def sort(asks: Sequence[str]) -> Dict[str, List[str]]:
    """`kind:name` by kind. Raises NodeError for a kind that is not known."""
    sorted_asks: Dict[str, List[str]] = {}
    for ask in asks:
        kind, _, name = ask.partition(":")
        if kind not in KINDS or not name:
            raise NodeError(
                "usage", "probe: %r cannot be asked for" % ask, "kinds: " + ", ".join(KINDS), rc=2
            )
        sorted_asks.setdefault(kind, []).append(name)
    return sorted_asks


def seen(value: Any) -> Seen:
    """None is absent, a str is why it is unknown, anything else is what was seen."""
    if value is None:
        return {"absent": True}
    return {"unknown": value} if isinstance(value, str) else {"value": value}


def attempt(look: Callable[[], Any]) -> Seen:
    """What cannot be looked at is unknown, never absent."""
    try:
        return seen(look())
    except (OSError, NodeError, NotAnswering) as error:
        return {"unknown": getattr(error, "strerror", None) or str(error)}


def applied(identity: str) -> Any:
    found = files.read_json("%s/%s.json" % (files.APPLIED, identity))
    return None if found is None else {"spec": str(found.get("spec", ""))}


def made(name: str) -> Any:
    """A certificate made here: without its key it is as good as not made."""
    place = certs.certificate(name)
    certificate = files.read(place)
    if certificate is None or not os.path.exists(files.at(files.TLS, name + ".key")):
        return None
    return {
        "sha256": files.sha256_of(place),
        "pem": certificate.decode("ascii", "replace"),
    }


FILE_KINDS: Mapping[str, Tuple[str, Callable[[str], Any]]] = {  # ask -> name of the answer, how to look
    "path": ("path", paths.look),
    "folder": ("folder", paths.folder),
    "text": ("path", lambda name: paths.look(name, shown=True)),
    "json": ("json", files.read_json),
    "model": ("model", paths.model),
    "applied": ("applied", applied),
    "made": ("made", made),
    "account": ("account", accounts.look),
}
KINDS = (
    everything.ALL,
    *FILE_KINDS,
    "package",
    "image",
    "tag",
    "unit",
    "container",
    "replica",
    "route",
    "port",
)


def observe_files(asked: Mapping[str, List[str]]) -> Dict[str, Seen]:
    found: Dict[str, Seen] = {}
    for kind, (answer, look) in FILE_KINDS.items():
        for name in asked.get(kind, []):
            found[answer + ":" + name] = attempt(lambda look=look, name=name: look(name))  # type: ignore[misc]
    return found


def observe_packages(names: List[str]) -> Dict[str, Seen]:
    if not names:
        return {}
    try:
        found = packages.look(names)
    except OSError as error:
        why = "the list of packages: %s" % (error.strerror or error)
        return {"package:" + name: {"unknown": why} for name in names}
    if found is None:
        return {"package:" + name: {"unknown": "this system has neither dpkg nor rpm"} for name in names}
    return {"package:" + name: seen(value) for name, value in found.items()}


def observe_routes(routes: Optional[Mapping[str, Any]], names: Sequence[str]) -> Dict[str, Seen]:
    """Whom the gateway here sends requests; `*` asks for all that it knows."""
    wanted = {*names, *(routes or ())} - {"*"} if "*" in names else set(names)
    why = "the gateway does not answer"
    found = {"route:" + name: seen(why if routes is None else routes.get(name)) for name in sorted(wanted)}
    return {**found, "routes:*": seen(why if routes is None else sorted(routes))} if "*" in names else found


def observe_docker(engine: Engine, asked: Mapping[str, List[str]]) -> Dict[str, Seen]:
    found: Dict[str, Seen] = {}
    for kind, look in (("container", engine.container), ("image", engine.image), ("tag", engine.tag)):
        for name in asked.get(kind, []):
            if engine.absent:
                found[kind + ":" + name] = {"absent": True}
            elif engine.reason:
                found[kind + ":" + name] = {"unknown": engine.reason}
            else:
                found[kind + ":" + name] = attempt(lambda look=look, name=name: look(name))  # type: ignore[misc]
    return found


def identity() -> Dict[str, Any]:
    """Which stack this host belongs to, and what it keeps for it."""
    stack = as_dict(kept(files.STACK))
    uid = str(stack.get("uid", ""))
    return {
        "uid": uid,
        "epoch": int(stack.get("epoch", 0)),
        "stack": str(stack.get("stack", "")),
        "baseline": kept(files.BASELINE),
        "record": kept(files.HOME + "/record.json"),
        "copy": kept("%s/%s.json" % (files.COPIES, uid)) if uid else None,
    }


def kept(path: str) -> Any:
    """A document of ours; None where it is not there or may not be read (a probe without root)."""
    try:
        return files.read_json(path)
    except PermissionError:
        return None


def ours(engine: Engine) -> Dict[str, List[str]]:
    """Everything on the host that carries our mark."""
    named = [(entry, os.path.basename(entry)) for entry in listed(UNIT_FOLDER)]
    names = [
        entry
        for entry, name in named
        if name.startswith("hostler") and not name.startswith(files.LEASE_UNITS)
    ]
    links = [
        os.path.basename(path) for path in listed(UNIT_FOLDER) if "/hostler@" in path and ".wants/" in path
    ]
    return {
        "files": listed("/etc/hostler")
        + names
        + [path for path in ELSEWHERE if os.path.lexists(files.at(path))],
        "units": sorted(set(links) | set(running_units())),
        "containers": [name for _, name in engine.ours],
        "models": [path for path in listed(files.MODELS) if not path.endswith(files.BESIDE)],
        "images": everything.own_images(engine),
    }


def running_units() -> List[str]:
    """Instances that systemd has started, by their control groups: no call of systemctl for it."""
    found: List[str] = []
    for base in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd"):
        for place in (base + "/system.slice", base + "/system.slice/system-hostler.slice"):
            found += [
                name for name in names_in(place) if name.startswith("hostler@") and name.endswith(".service")
            ]
    return found


def listed(folder: str) -> List[str]:
    try:
        return paths.below(folder)
    except OSError:
        return []


def names_in(folder: str) -> List[str]:
    try:
        return os.listdir(files.at(folder))
    except OSError:
        return []
