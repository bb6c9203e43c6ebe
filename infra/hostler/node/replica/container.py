"""A container from its specification: created, adopted, waited for, stopped. systemd's instance is `run`."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Dict, List, NoReturn, Optional, Tuple

from ..base import files, instances, wire
from ..base.protocol import Answers, NodeError, Request, identity, number
from ..base.spec import Spec, applied, applied_or_error, container_name, first_port, image_ref
from ..docker import docker
from ..doors import away, ports
from . import asleep, beside, heal

DIED = files.DIED
PAUSE = 0.5
ENDS = 20  # of them are remembered
ENDED = (0, 130, 137, 143)  # ended because it was told to
LOG = {"Type": "local", "Config": {"max-size": "20m", "max-file": "5"}}


def payload(spec: Spec) -> Dict[str, Any]:
    """What Docker is told: host network, nothing writable but tmpfs, no capabilities, no root."""
    host: Dict[str, Any] = {
        "NetworkMode": "host",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", *unlabelled()],
        "RestartPolicy": {"Name": "no"},
        "LogConfig": LOG,
        "ShmSize": int(spec.get("shm_mib") or 64) << 20,
        "Tmpfs": {"/tmp": "rw,nosuid,nodev,mode=1777", **tmpfs(spec)},  # noqa: S108
        "Mounts": [mount(entry) for entry in spec.get("mounts") or ()],
    }
    if spec.get("cards"):
        host["DeviceRequests"] = [{"DeviceIDs": list(spec["cards"]), "Capabilities": [["gpu"]]}]
    return {
        "Image": docker.local_name(image_ref(spec)),
        "Cmd": list(spec["argv"]),
        "Env": ["%s=%s" % (name, value) for name, value in spec.get("env") or ()],
        "User": user(spec),
        "StopSignal": spec.get("stop_signal") or "SIGTERM",
        "StopTimeout": int(spec.get("stop_s") or 30),
        "Labels": labels(spec),
        "Healthcheck": {"Test": ["NONE"]},  # the image's own asks another port; readiness is ours to see
        "HostConfig": host,
    }


def unlabelled() -> List[str]:
    """Where Docker confines containers by SELinux, ours could read nothing of what is mounted into them: it has the
    labels of its place, which is not relabelled. All else that confines them stays."""
    return ["label=disable"] if docker.confines_by_selinux() else []


def labels(spec: Spec) -> Dict[str, str]:
    port = {"hostler.port": str(spec["port"])} if "first_port" in spec else {}
    return {"hostler.uid": spec["uid"], "hostler.id": spec["id"], "hostler.spec": spec["spec"], **port}


def tmpfs(spec: Spec) -> Dict[str, str]:
    """`/path` or `/path:options`."""
    pairs = (entry.partition(":") for entry in spec.get("tmpfs") or ())
    return {path: options or "rw,nosuid,nodev,mode=1777" for path, _, options in pairs}


def mount(entry: Dict[str, Any]) -> Dict[str, Any]:
    """A bind mount; a missing source is an error, never an empty folder made by Docker."""
    return {
        "Type": "bind",
        "Source": entry["source"],
        "Target": entry["target"],
        "ReadOnly": bool(entry.get("read_only", True)),
    }


def user(spec: Spec) -> str:
    """Numeric ids of the account on the host: the image knows no such name."""
    account = spec.get("user") or ""
    return "%d:%d" % files.ids(account, account) if account else ""


def fits(container: Optional[docker.Json], spec: Spec) -> bool:
    """Whether a container is this specification: its label, its port, its image, its ids, and nothing of another stack."""
    if container is None or docker.label(container, "hostler.spec") != spec["spec"]:
        return False
    port = docker.label(container, "hostler.port") or str(first_port(spec))
    if port != str(spec.get("port") or 0):
        return False
    pinned = docker.image(image_ref(spec))
    same_image = pinned is None or pinned["Id"] in (container.get("Image"), _id_of(container))
    return same_image and (container.get("Config", {}).get("User") or "") == user(spec)


def _id_of(container: docker.Json) -> str:
    """The id of a container's image in today's words (an image store may spell it in two ways)."""
    found = docker.image(str(container.get("Image", "")))
    return "" if found is None else str(found["Id"])


class BeingExchangedError(NodeError):
    """Names and specification are about to change: what fits no more may be the one that serves."""


def ensure(spec: Spec) -> str:
    """Its container runs: adopted, started, or made anew. The container's id. Raises BeingExchangedError where one would
    have to go or to be made while an exchange has two of them."""
    name = container_name(spec["id"])
    found = docker.inspect(name)
    current = str((found or {}).get("Id") or "")
    if found is not None and fits(found, spec) and _runs(spec["id"], found):
        return current
    if beside.changing(spec["id"], current) or applied(spec["id"]) not in (None, spec):
        raise BeingExchangedError("busy", "%s is being exchanged" % name, "")
    if found is not None:
        _stop_and_remove(name, spec)
    made = docker.create(name, payload(spec))
    docker.start(made)
    return made


def _runs(identifier: str, found: docker.Json) -> bool:
    return docker.running(found) or (not beside.held(identifier, str(found["Id"])) and _starts(found))


def _starts(found: docker.Json) -> bool:
    """Start what is there already, which keeps its log; a device or mount that has gone makes it be made anew."""
    try:
        docker.start(str(found["Id"]))
    except docker.DockerError:
        return False
    return True


def _stop_and_remove(name: str, spec: Spec) -> None:
    docker.stop(name, int(spec.get("stop_s") or 30))
    docker.remove(name)


def run(request: Request, answers: Answers) -> int:
    """`run ID`, systemd's ExecStart: adopt or start, then wait for the end. Its own end leaves the container alone."""
    signal.signal(signal.SIGTERM, _leave)
    return run_until_end(identity(request), answers)


def run_until_end(identifier: str, answers: Answers) -> int:
    """Whatever a killed exchange left behind is put right first; an end is noted for who waits for it."""
    docker.wait_for_daemon()
    if _sleeps(identifier):
        return 0
    spec, container = _ensured(identifier)
    answers.say(id=identifier, container=container[:12], spec=spec["spec"][:12])
    with beside.Attending(identifier):
        return wait_for_end(spec, container)


def _sleeps(identifier: str) -> bool:
    """Whether only a wake may start it; then systemd is told not to try again and again."""
    heal.left_behind(identifier)
    if not asleep.sleeps(identifier):
        return False
    sys.stderr.write("<4>%s is asleep: hostler-node wake %s\n" % (identifier, identifier))
    instances.systemctl("--no-block", "stop", instances.unit(identifier))
    return True


def _ensured(identifier: str) -> Tuple[Spec, str]:
    """What is applied, and its container that runs. An exchange that has two of them is waited for."""
    while True:
        heal.left_behind(identifier)
        away.again(identifier)
        spec = applied_or_error(identifier)
        if identifier in ports.DOORS:
            ports.write(identifier)
        try:
            return spec, ensure(spec)
        except BeingExchangedError:
            time.sleep(PAUSE)
        except (OSError, NodeError) as error:
            note_end(spec, "", None, "it cannot be started: %s" % error, [])
            raise


def _leave(_number: int, _frame: Any) -> NoReturn:
    raise SystemExit(0)


def wait_for_end(spec: Spec, container: str) -> int:
    """Block until the container has ended, over restarts of Docker (live-restore keeps it running meanwhile)."""
    while True:
        try:
            status = docker.wait(container)
            return _ended(spec, container, status)
        except (OSError, docker.DockerError):
            time.sleep(PAUSE)


def _ended(spec: Spec, container: str, status: Optional[int]) -> int:
    if status is None:
        return 0
    found = docker.inspect(container) or {"State": {}}
    log = docker.logs(container)
    how = how_it_ended(found)
    note_end(spec, container, status, how, log)
    if status not in ENDED:
        sys.stderr.write("%s: %s; its last lines:\n%s\n" % (container_name(spec["id"]), how, "\n".join(log)))
    return 0 if status in ENDED else min(max(status, 1), 255)


def note_end(spec: Spec, container: str, status: Optional[int], why: str, log: List[str]) -> None:
    """For an exchange that waits for it to become ready, and for the watch: all ends since it was started by somebody."""
    before = died(spec["id"]) or {}
    count, ends = int(before.get("count") or 0), list(before.get("ends") or ())
    note = {
        "container": container,
        "spec": spec["spec"],
        "status": status,
        "why": why,
        "log": log,
        "at": time.time(),
        "count": count + 1,
        "ends": [*ends, time.time()][-ENDS:],
    }
    files.write_json(DIED + "/%s.json" % spec["id"], note)


def forget_end(identifier: str) -> None:
    """Before a start: an earlier end says nothing about it."""
    files.remove(DIED + "/%s.json" % identifier)


def how_it_ended(container: docker.Json) -> str:
    """One sentence."""
    state = container.get("State", {})
    reason = " (out of memory)" if state.get("OOMKilled") else ""
    error = ": %s" % state["Error"] if state.get("Error") else ""
    return "it ended with status %s%s%s" % (state.get("ExitCode", "unknown"), reason, error)


def stop(request: Request, answers: Answers) -> int:
    """`stop ID`, systemd's ExecStop: the specification's signal and time.

    systemd runs ExecStop too when the waiter ended by itself (then EXIT_CODE is set): the container goes on,
    and the next `run` adopts it.
    """
    identifier = identity(request)
    if "EXIT_CODE" in os.environ and "SERVICE_RESULT" in os.environ:
        answers.say(changed=False)
        return 0
    answers.say(changed=stop_container(identifier, applied(identifier)))
    return 0


def stop_container(identifier: str, spec: Optional[Spec]) -> bool:
    """Stop it; whether it ran."""
    return docker.stop(container_name(identifier), int((spec or {}).get("stop_s") or 30))


def died(identifier: str) -> Optional[Dict[str, Any]]:
    """How its container last ended, as its `run` saw it."""
    return files.read_json(DIED + "/%s.json" % identifier)


def logs(request: Request, answers: Answers) -> int:
    """`logs ID [--lines N] [--follow]`: one JSON line a log line {"line": ...}, then {"lines": N}."""
    identifier = identity(request)
    lines = int(number(request, "lines", docker.LOG_LINES))
    shown = _shown(identifier, lines)
    for line in shown:
        answers.say(line=line)
    if request.get("follow"):
        return _follow(container_name(identifier), answers)
    answers.say(lines=len(shown))
    return 0


def _shown(identifier: str, lines: int) -> List[str]:
    if docker.inspect(container_name(identifier)) is None:
        last = died(identifier)
        if last is None:
            raise NodeError(
                "absent", "there is no container %s" % container_name(identifier), "hostler status"
            )
        return [str(line) for line in last["log"]][-lines:]
    return docker.logs(container_name(identifier), lines)


def _follow(name: str, answers: Answers) -> int:
    path = "/containers/%s/logs?stdout=1&stderr=1&follow=1&tail=0" % name
    with wire.opened(files.DOCKER_SOCKET, "GET", path, timeout=None) as response:
        while True:
            head = response.read(8)
            if len(head) < 8:
                return 0
            for line in (
                response.read(int.from_bytes(head[4:], "big")).decode("utf-8", "replace").splitlines()
            ):
                answers.say(line=line)
