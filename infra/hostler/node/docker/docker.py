"""Docker's Engine API over its socket, without a client process.

Paths carry no version: then every Docker from 20.10 on answers with its own newest one, and what is used
here has not changed since (a fixed old version is refused by Docker 29, a fixed new one by 20.10).
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import quote, urlencode

from ..base import files, wire
from ..base.protocol import NodeError, as_dict
from .dockerapi import short

Json = Dict[str, Any]
BOOT_S = 120.0  # how long Docker may take to be there after a boot
PAUSE = 0.5
REACH_S = 60.0  # a busy daemon (pulling, a slow disk) takes its time
LOG_LINES = 100
LONGEST = 256 << 20  # bytes of its answer: a container's whole log is 100 MiB


class DockerError(NodeError):
    """Docker answered, and the answer was no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__("docker", "Docker: %s (HTTP %d)" % (message, status), "")
        self.status = status


def call(
    method: str,
    path: str,
    query: Optional[Mapping[str, Any]] = None,
    body: Any = None,
    timeout: Optional[float] = REACH_S,
    accept: Tuple[int, ...] = (),
) -> wire.Answer:
    """One call; raises DockerError for a refusal that is not in `accept`, OSError when Docker is not there."""
    target = path + ("?" + urlencode(query) if query else "")
    answer = wire.ask(files.DOCKER_SOCKET, method, target, body, timeout, longest=LONGEST)
    if answer.status >= 400 and answer.status not in accept:
        raise DockerError(answer.status, message_of(answer.body))
    return answer


def wait_for_daemon() -> None:
    """Until it answers; raises NodeError when it does not in BOOT_S."""
    until = time.monotonic() + BOOT_S
    while True:
        try:
            call("GET", "/_ping")
            return
        except (OSError, DockerError) as error:
            if time.monotonic() > until:
                raise NodeError(
                    "docker", "Docker does not answer: %s" % error, "systemctl status docker"
                ) from error
        time.sleep(PAUSE)


def message_of(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()[:500] or "no reason given"


def confines_by_selinux() -> bool:
    """Whether the daemon gives containers labels of SELinux, which docker-ce does only where it is told to."""
    if not os.path.exists(files.at("/sys/fs/selinux/enforce")):
        return False
    options: List[str] = call("GET", "/info").json().get("SecurityOptions") or []
    return any("name=selinux" in option for option in options)


def inspect(name: str) -> Optional[Json]:
    """A container by name or id; None when there is none."""
    answer = call("GET", "/containers/%s/json" % quote(name), accept=(404,))
    return None if answer.status == 404 else answer.json()


def running(container: Optional[Json]) -> bool:
    """Whether it runs and is going to: a paused or restarting one does not count as dead."""
    return bool(container and container["State"].get("Running"))


def label(container: Optional[Json], name: str) -> str:
    config = as_dict((container or {}).get("Config"))
    return str(as_dict(config.get("Labels")).get(name, ""))


def containers(label_name: str = "") -> List[Json]:
    """All containers, stopped ones too, as Docker lists them; `label_name`: only those that carry it."""
    query: Json = {"all": "1"}
    if label_name:
        query["filters"] = json.dumps({"label": [label_name]})
    return call("GET", "/containers/json", query).json()


def create(name: str, payload: Json) -> str:
    """Create a container; its id."""
    return str(call("POST", "/containers/create", {"name": name}, payload).json()["Id"])


def start(name: str) -> None:
    call("POST", "/containers/%s/start" % quote(name), accept=(304,))


def stop(name: str, seconds: int) -> bool:
    """Stop with the container's own signal, kill after `seconds`; whether it ran."""
    path = "/containers/%s/stop" % quote(name)
    return call("POST", path, {"t": seconds}, timeout=seconds + REACH_S, accept=(404, 304)).status == 204


def kill(name: str, signal: str) -> None:
    call("POST", "/containers/%s/kill" % quote(name), {"signal": signal})


def remove(name: str) -> bool:
    """Remove a container, ending it if it runs; whether it was there."""
    path = "/containers/%s" % quote(name)
    return call("DELETE", path, {"force": "1", "v": "1"}, accept=(404, 409)).status == 204


def rename(name: str, new: str) -> None:
    call("POST", "/containers/%s/rename" % quote(name), {"name": new})


def wait(name: str) -> Optional[int]:
    """Block until it is not running: its exit status; None when it is gone. OSError when Docker goes away."""
    path = "/containers/%s/wait" % quote(name)
    answer = call("POST", path, {"condition": "not-running"}, timeout=None, accept=(404,))
    return None if answer.status == 404 else int(answer.json()["StatusCode"])


def logs(name: str, lines: int = LOG_LINES) -> List[str]:
    """The last lines of both streams in the order of writing; empty when it is gone."""
    query = {"stdout": "1", "stderr": "1", "tail": lines or "all"}
    answer = call("GET", "/containers/%s/logs" % quote(name), query, accept=(404, 409, 500))
    if answer.status != 200:
        return []
    text = b"".join(frames(answer.body)).decode("utf-8", "replace")
    return [line.rstrip("\r") for line in text.splitlines()][-lines:]


def frames(data: bytes) -> Iterator[bytes]:
    """The payloads of Docker's multiplexed stream: 1 byte stream, 3 bytes zero, 4 bytes length; plain text as it is."""
    at = 0
    while at < len(data):
        head = data[at : at + 8]
        if len(head) < 8 or head[0] > 2 or head[1:4] != b"\0\0\0":
            yield data[at:]
            return
        size = int.from_bytes(head[4:], "big")
        yield data[at + 8 : at + 8 + size]
        at += 8 + size


def processes(name: str) -> List[int]:
    """The host's process ids inside a container; empty when it does not run."""
    answer = call("GET", "/containers/%s/top" % quote(name), accept=(404, 409, 500))
    if answer.status != 200:
        return []
    table = answer.json()
    titles: List[str] = table.get("Titles") or []
    rows: List[List[str]] = table.get("Processes") or []  # null where it ended meanwhile
    column = titles.index("PID") if "PID" in titles else 1
    return [int(row[column]) for row in rows]


def image(ref: str) -> Optional[Json]:
    """An image by name@digest, tag or id; None when it is not here. By digest it may have come under another name."""
    answer = call("GET", "/images/%s/json" % quote(ref, safe="/:@"), accept=(404,))
    if answer.status != 404:
        return answer.json()
    other = local_name(ref)
    return None if other == ref else image(other)


def local_name(ref: str) -> str:
    """What Docker knows name@digest by: the name that it was pulled under, which may be a mirror's. A digest says
    what it is, whoever gave it; Docker itself gives no image a second name by digest."""
    digest = ref.partition("@")[2]
    listed: List[Json] = call("GET", "/images/json").json() if digest else []
    names: List[str] = [name for entry in listed for name in entry.get("RepoDigests") or ()]
    same = [name for name in names if name.partition("@")[2] == digest]
    return ref if not same or short(ref) in map(short, same) else same[0]


def tag(ref: str, name: str) -> None:
    """Give an image the name NAME:TAG, whatever had it so far."""
    repo, _, word = name.rpartition(":")
    call("POST", "/images/%s/tag" % quote(local_name(ref), safe="/:@"), {"repo": repo, "tag": word})


def remove_image(ref: str) -> str:
    """Take an image's reference away, and its layers when nothing else uses them; why not, or empty."""
    answer = call("DELETE", "/images/%s" % quote(ref, safe="/:@"), accept=(404, 409))
    return message_of(answer.body) if answer.status == 409 else ""


def pull(name: str, digest: str, heard: Callable[[Json], None], auth: str = "e30=") -> None:
    """Pull name@digest; `heard` gets every progress message. Raises DockerError when the registry says no."""
    path = "/images/create?" + urlencode({"fromImage": name, "tag": digest})
    header = {"X-Registry-Auth": auth}
    with wire.opened(files.DOCKER_SOCKET, "POST", path, timeout=600.0, headers=header) as response:
        if response.status >= 400:
            raise DockerError(response.status, message_of(response.read()))
        for line in response:
            message: Json = json.loads(line) if line.strip() else {}
            if "error" in message:
                raise DockerError(response.status, str(message["error"]))
            heard(message)


def execute(name: str, argv: List[str]) -> Tuple[int, str]:
    """Run a command inside a running container: its exit status and what it said."""
    asked = {"Cmd": argv, "AttachStdout": True, "AttachStderr": True}
    made = str(call("POST", "/containers/%s/exec" % quote(name), body=asked).json()["Id"])
    answer = call("POST", "/exec/%s/start" % made, body={"Detach": False, "Tty": False})
    status = call("GET", "/exec/%s/json" % made).json()["ExitCode"]
    return int(status or 0), b"".join(frames(answer.body)).decode("utf-8", "replace")
