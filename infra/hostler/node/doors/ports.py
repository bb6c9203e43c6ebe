"""A replica's two ports on loopback: its successor starts on the other one, and the doors then ask there.

A door's configuration names the first port, and HAProxy reads /run/hostler/DOOR/ports.cfg before it: there stands for
whom it is the second. Written from the applied specifications, which alone say where a replica listens; a running HAProxy
is told by its socket, so that nothing is loaded anew and no connection is closed.
"""

from __future__ import annotations

import os
import time
from typing import Dict, List, NamedTuple, Optional

from ..base import files, sockets, spec
from ..base.protocol import NodeError, as_dict
from ..base.spec import Spec
from ..docker import docker
from . import haproxy

SECOND = 1000  # above the first
DOORS = ("gateway", "edge")
MOVED_S = 5.0
PAUSE = 0.02
FLAG = "--port"


class Server(NamedTuple):
    """One server line of a running HAProxy."""

    backend: str
    name: str
    port: str


def placed(wanted: Spec, old: Optional[Spec]) -> Spec:
    """What is wanted, on that one of its ports where its former one is."""
    used = spec.port(old or {})
    moved = (
        at(wanted, used)
        if used != wanted.get("port") and spec.first_port(old or {}) == wanted.get("port")
        else None
    )
    return moved or wanted


def beside(wanted: Spec, old: Spec) -> Optional[Spec]:
    """What is wanted, on the port that its former one leaves free; None where it has no two ports."""
    base = spec.first_port(wanted)
    if not base or spec.first_port(old) != base:
        return None
    return at(wanted, base if spec.port(old) != base else base + SECOND)


def at(wanted: Spec, port: int) -> Optional[Spec]:
    """The same specification on another port; None where its words do not name the port once and alone. Its digest stays:
    it is the same version."""
    words: List[str] = list(wanted["argv"])
    places = [i for i, word in enumerate(words[:-1]) if word == FLAG and words[i + 1] == str(wanted["port"])]
    if len(places) != 1:
        return None
    words[places[0] + 1] = str(port)
    health = as_dict(wanted.get("health"))
    if health.get("port") == wanted["port"]:
        health = {**health, "port": port}
    return {
        **wanted,
        "argv": words,
        "port": port,
        "first_port": spec.first_port(wanted),
        "health": health or wanted.get("health"),
    }


def is_free(port: int) -> bool:
    """Whether nobody listens there, and nobody talks there any more."""
    return sockets.quiet(port)


# the doors


def text() -> str:
    """What HAProxy reads: first ports whose replicas are on their second."""
    found = (spec.applied(name) or {} for name in spec.replicas())
    moved = sorted(
        (spec.first_port(one), spec.port(one)) for one in found if spec.first_port(one) != spec.port(one)
    )
    lines = ["    setenv PORT_%d %d\n" % pair for pair in moved]
    return (
        "# Written by hostler-node: replicas on their second port; edits here are lost.\nglobal\n"
        + "".join(lines)
    )


def path(door: str) -> str:
    return haproxy.PORTS % door


def write(door: str) -> None:
    """Before a door starts, or reads its configuration anew. A folder that is not there is nobody's."""
    if os.path.isdir(files.at(os.path.dirname(path(door)))) and files.read_text(path(door)) != text():
        files.write(path(door), text().encode())


def unready() -> str:
    """Why the doors of this host could not follow a replica to its other port; empty: they can, or there are none."""
    for door in DOORS:
        found = docker.inspect(spec.container_name(door))
        words: List[str] = as_dict((found or {}).get("Config")).get("Cmd") or []
        if docker.running(found) and path(door) not in words:
            return "the %s here was started by an older hostler" % door
    return ""


def tell(identifier: str, asked: Optional[Spec] = None) -> None:
    """All doors here send a replica's requests to where it listens by its applied specification, or for a while by
    another. Raises NodeError where one does not; one that does not run reads it when it starts."""
    found = asked or spec.applied(identifier)
    if found is None or not spec.drains(found):
        return
    for door, socket_path in zip(DOORS, haproxy.SOCKETS):  # noqa: B905 - not in Python 3.9
        write(door)
        if not _moved(socket_path, identifier, str(spec.port(found))):
            raise NodeError(
                "door",
                "the %s does not send requests of %s to port %d" % (door, identifier, spec.port(found)),
                "hostler-node reload " + door,
            )


def _moved(socket_path: str, identifier: str, port: str) -> bool:
    """Whether all servers of a replica are on a port: HAProxy takes a new one over a moment after it was told."""
    until = time.monotonic() + MOVED_S
    for server in _elsewhere(socket_path, identifier, port):
        haproxy.command(
            socket_path, "set server %s/%s addr 127.0.0.1 port %s" % (server.backend, server.name, port)
        )
    while _elsewhere(socket_path, identifier, port):
        if time.monotonic() >= until:
            return False
        time.sleep(PAUSE)
    return True


def _elsewhere(socket_path: str, identifier: str, port: str) -> List[Server]:
    return [server for server in _servers(socket_path, identifier) if server.port != port]


def _servers(socket_path: str, identifier: str) -> List[Server]:
    """Those of a replica on this host; none where no HAProxy answers."""
    try:
        lines = haproxy.command(socket_path, "show servers state").splitlines()[1:]
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return []
    names = lines[0].lstrip("# ").split() if lines else []
    rows: List[Dict[str, str]] = [dict(zip(names, line.split())) for line in lines[1:] if line.strip()]  # noqa: B905
    return [
        Server(row["be_name"], row["srv_name"], row["srv_port"])
        for row in rows
        if row["srv_addr"] == "127.0.0.1"
        and (row["srv_name"] == identifier or row["be_name"] == "health_" + identifier)
    ]
