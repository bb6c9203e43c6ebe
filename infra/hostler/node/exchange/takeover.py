"""HAProxy's container is exchanged without a closed door: the new one starts beside the old one, is handed its listening
sockets, and has them alone when it is good. The old one finishes what it serves; it never stopped if the new one is not.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, Optional

from ..base import files, instances, interrupts
from ..base.protocol import NodeError, Request, as_dict, number
from ..base.spec import Spec, old_name
from ..docker import docker
from ..doors import haproxy, ports, sessions
from ..replica import beside, container, journal, wait

PARTS = ("gateway", "edge")
READY_S = 60.0
PAUSE = 0.2


def fits(new: Spec, old: Optional[docker.Json]) -> bool:
    """Whether a running HAProxy is there that can hand over its sockets."""
    found = new.get("part") in PARTS and list(new["argv"][:1]) == ["haproxy"] and docker.running(old)
    return found and bool(haproxy.worker(_socket(new["id"])))


def _socket(identifier: str, name: str = "admin.sock") -> str:
    return "/run/hostler/%s/%s" % (identifier, name)


def take(new: Spec, old: docker.Json, old_spec: Optional[Spec], request: Request) -> str:
    """The whole way. What is to be said besides, or empty; raises NodeError, and the old one serves as before."""
    identifier = str(new["id"])
    limit = number(request, "drain-s", float(new.get("drain_s") or 600))
    record: journal.Journal = {
        "id": identifier,
        "old": old_spec,
        "new": {key: value for key, value in new.items() if key != "need_mib"},
        "old_container": old["Id"],
        "was_running": True,
        "drained": [],
    }
    journal.step(record, beside.BESIDE)
    try:
        _start(new)
    except (NodeError, OSError):
        interrupts.no_more()
        beside.settle(record, limit)
        raise
    interrupts.no_more()
    journal.step(record, beside.LEAVE)
    container.forget_end(identifier)
    beside.hand_over(record)
    instances.wait_anew(identifier)
    beside.soft_stop(identifier)
    wait.ready(new)
    if beside.ended(record, limit):
        return ""
    if request.get("cut"):
        docker.stop(old_name(identifier), 1)
        beside.ended(record)
        return ""
    return "the former one still answers after %g s, and ends by itself" % limit


def _start(new: Spec) -> None:
    """Until it has the sockets and has checked its servers."""
    identifier = str(new["id"])
    name = beside.new_name(identifier)
    docker.remove(name)
    ports.write(identifier)
    saved = haproxy.save_state(identifier, _socket(identifier))
    try:
        before = _inode(_socket(identifier, "master.sock"))
        docker.start(docker.create(name, payload(new)))
        _good(new, before)
    finally:
        files.remove(saved)  # a later start by itself must not believe it


def payload(new: Spec) -> Dict[str, Any]:
    """The specification's own words, and whom to ask for the sockets: where nobody answers there, HAProxy opens its own."""
    made = container.payload(new)
    return {**made, "Cmd": [*made["Cmd"], "-x", _socket(new["id"])]}


def _inode(path: str) -> int:
    try:
        return os.stat(files.at(path)).st_ino
    except FileNotFoundError:
        return 0


def _good(new: Spec, master_before: int) -> None:
    """Raises FailedError when the new one has ended, or has no worker with checked servers within its limit. Both listen
    on the same sockets, so only its master's own socket says which one answers."""
    identifier = str(new["id"])
    limit = float(as_dict(new.get("health")).get("limit_s") or READY_S)
    until = time.monotonic() + limit
    master = _socket(identifier, "master.sock")
    while _inode(master) in (0, master_before) or not serving(master):
        found = docker.inspect(beside.new_name(identifier))
        if not docker.running(found):
            raise _bad(identifier, container.how_it_ended(found or {}))
        if time.monotonic() >= until:
            raise _bad(identifier, "it has no worker that serves in %g s" % limit)
        time.sleep(PAUSE)


def _bad(identifier: str, why: str) -> wait.FailedError:
    return wait.FailedError(why, docker.logs(beside.new_name(identifier)))


def serving(master: str) -> bool:
    """Whether the worker of this master has its configuration, and has checked all servers once."""
    try:
        workers = sessions.workers(sessions.asked(master, "show proc"))
        table = haproxy.parse_stat(sessions.asked(master, "@!%s show stat" % workers[0])) if workers else []
    except OSError:
        return False
    return bool(table) and not any(map(unchecked, table))


def unchecked(row: haproxy.Row) -> bool:
    """A server whose first health check is not over; one in maintenance (its name does not resolve) gets none."""
    return "INI" in row.get("check_status", "") and not row.get("status", "").startswith("MAINT")
