"""What this host's HAProxys have under way with one port: of a door that was reloaded in the old workers, too."""

from __future__ import annotations

import os
import re
from typing import List

from ..base import sockets, spec, wire
from ..docker import docker
from . import haproxy

LIMIT_S = 5.0
DOORS = ("gateway", "edge")
MASTER = "master.sock"


def asked(master: str, line: str) -> str:
    """A master answers until the asker is silent. Raises OSError."""
    with wire.unix_socket(master, LIMIT_S) as sock:
        sock.sendall(line.encode() + b"\n")
        sock.shutdown(1)
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode("utf-8", "replace")


def workers(processes: str, old: bool = False) -> List[str]:
    """Process ids of the current workers in the answer to `show proc`; `old`: of those that still finish as well."""
    current = processes.partition("# workers")[2].partition("# programs")[0]
    rows = (line.split() for line in (current if old else current.partition("# old workers")[0]).splitlines())
    return [row[0] for row in rows if len(row) > 1 and row[1] == "worker"]


def open_to(port: int) -> bool:
    """Whether a request is under way to a port, from its first byte to the last of its answer: engines count neither a
    body that still arrives nor what they have not begun. A connection that is kept for the next one is in no session. An
    HAProxy that does not answer is no proof that there is none: True."""
    wanted = re.compile(r"^\s*server=.* addr=127\.0\.0\.1:%d\b" % port, re.MULTILINE)
    try:
        if any(wanted.search(text) for path in haproxy.SOCKETS for text in _sessions(path)):
            return True
    except OSError:
        return True
    return any(_finishing(door) for door in DOORS) and sockets.connected(port)


def _sessions(path: str) -> List[str]:
    """Of each worker of one door; empty where no HAProxy is."""
    master = os.path.join(os.path.dirname(path), MASTER)
    try:
        found = workers(asked(master, "show proc"), old=True)
        return [asked(master, "@!%s show sess all" % worker) for worker in found]
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        pass  # it was started without one
    try:
        return [haproxy.command(path, "show sess all", LIMIT_S)]
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return []


def _finishing(door: str) -> bool:
    """Whether a former container of a door still answers: its sockets are its successor's, so nobody can ask it."""
    return docker.running(docker.inspect(spec.old_name(door)))
