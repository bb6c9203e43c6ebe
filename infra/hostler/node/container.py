"""A container from its specification: created, adopted, waited for, stopped. systemd's instance is `run`."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Dict, List, NoReturn, Optional

from . import docker, files, heal, wire
from .protocol import Answers, NodeError, Request, identity, number
from .spec import Spec, applied, applied_or_error, container_name, image_ref

DIED = "/run/hostler/died"  # <id>.json: how a container ended, for who waits for it
DOCKER_S = 120.0  # how long `run` waits for Docker at boot
PAUSE = 0.5
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
    return {"hostler.uid": spec["uid"], "hostler.id": spec["id"], "hostler.spec": spec["spec"]}


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
    """Whether a container is this specification: its label, its image, its ids, and nothing of another stack."""
    if container is None or docker.label(container, "hostler.spec") != spec["spec"]:
        return False
    pinned = docker.image(image_ref(spec))
    same_image = pinned is None or pinned["Id"] in (container.get("Image"), _id_of(container))
    return same_image and (container.get("Config", {}).get("User") or "") == user(spec)


def _id_of(container: docker.Json) -> str:
    """The id of a container's image in today's words (an image store may spell it in two ways)."""
    found = docker.image(str(container.get("Image", "")))
    return "" if found is None else str(found["Id"])


def ensure(spec: Spec) -> str:
    """Its container runs: adopted, started, or made anew. The container's id."""
    name = container_name(spec["id"])
    found = docker.inspect(name)
    if found is not None and fits(found, spec) and (docker.running(found) or _starts(found)):
        return str(found["Id"])
    if found is not None:
        _stop_and_remove(name, spec)
    made = docker.create(name, payload(spec))
    docker.start(made)
    return made


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
    _docker_is_there()
    heal.left_behind(identifier)
    spec = applied_or_error(identifier)
    try:
        container = ensure(spec)
    except (OSError, NodeError) as error:
        _note_end(spec, "", None, "it cannot be started: %s" % error, [])
        raise
    answers.say(id=identifier, container=container[:12], spec=spec["spec"][:12])
    return wait_for_end(spec, container)


def _leave(_number: int, _frame: Any) -> NoReturn:
    raise SystemExit(0)


def _docker_is_there() -> None:
    until = time.monotonic() + DOCKER_S
    while True:
        try:
            docker.call("GET", "/_ping")
            return
        except (OSError, docker.DockerError) as error:
            if time.monotonic() > until:
                raise NodeError(
                    "docker", "Docker does not answer: %s" % error, "systemctl status docker"
                ) from error
        time.sleep(PAUSE)


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
    _note_end(spec, container, status, how, log)
    if status not in ENDED:
        sys.stderr.write("%s: %s; its last lines:\n%s\n" % (container_name(spec["id"]), how, "\n".join(log)))
    return 0 if status in ENDED else min(max(status, 1), 255)


def _note_end(spec: Spec, container: str, status: Optional[int], why: str, log: List[str]) -> None:
    """For an exchange that waits for it to become ready."""
    note = {
        "container": container,
        "spec": spec["spec"],
        "status": status,
        "why": why,
        "log": log,
        "at": time.time(),
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
