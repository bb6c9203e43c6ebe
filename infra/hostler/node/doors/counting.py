"""What a door of this host has counted: requests under way and ever, for each replica, and of which process.

A door that was reloaded still answers in its old workers, which its master asks; one whose former container still answers
can be asked by nobody, and is unknown.
"""

from __future__ import annotations

import os
from typing import Dict, List, NamedTuple, Optional

from ..base import spec
from ..docker import docker
from . import haproxy, sessions

NAMES = ("gateway", "edge")
BACKEND = "BACKEND"
MODEL, HELD, REPLICA = "model_", "held_", "replica_"
USAGE = "show table usage"
ABSENT = (FileNotFoundError, NotADirectoryError, ConnectionRefusedError)


class Count(NamedTuple):
    """Under way and queued for a replica; ever, as this process counts."""

    busy: int
    total: int


class Door(NamedTuple):
    """`born`: which process, and its start; `old`: rows of workers that only finish."""

    born: str
    rows: List[haproxy.Row]
    old: List[haproxy.Row]


def look(name: str) -> Optional[Door]:
    """None: it does not answer, or nobody can tell all that it serves. Raises FileNotFoundError where there is none."""
    path = haproxy.SOCKETS[NAMES.index(name)]
    try:
        answer = haproxy.command(path, "show info;show stat")
        if docker.running(docker.inspect(spec.old_name(name))):
            return None
        return Door(*_read(answer), _finishing(os.path.join(os.path.dirname(path), sessions.MASTER)))
    except ABSENT as error:
        if spec.applied(name) is None:
            raise FileNotFoundError(name) from error
        return None  # it should be here
    except (OSError, docker.DockerError, ValueError):
        return None


def _read(answer: str) -> "tuple[str, List[haproxy.Row]]":
    head, mark, table = answer.partition("# pxname,")
    told = {key: value for key, _, value in (line.partition(": ") for line in head.splitlines())}
    if not mark or "Pid" not in told:
        raise ValueError("no answer of HAProxy's: %s" % answer[:100])
    return "%s %s" % (told["Pid"], told.get("Start_time_sec", "")), haproxy.parse_stat(mark + table)


def _finishing(master: str) -> List[haproxy.Row]:
    try:
        processes = sessions.asked(master, "show proc")
        current = sessions.workers(processes)
        old = [one for one in sessions.workers(processes, old=True) if one not in current]
        return [
            row
            for one in old
            for row in haproxy.parse_stat(sessions.asked(master, "@!%s show stat" % one))
            if row.get("svname")
        ]
    except ABSENT:
        return []  # it was started without one


def of_replica(door: Door, replica: str) -> Count:
    """What waits for its model counts as well: it may be sent there next."""
    own = [row for row in door.rows if _serves(row, replica)]
    still = [row for row in door.old if _serves(row, replica)]
    models = {row["pxname"][len(MODEL) :] for row in own if row["pxname"].startswith(MODEL)}
    queued = queues(door)
    busy = sum(_in_flight(row) for row in own + still) + sum(queued.get(model, 0) for model in models)
    return Count(busy, sum(_number(row, "stot") for row in own))


def _serves(row: haproxy.Row, replica: str) -> bool:
    """Its server lines, and not those by which its health is asked."""
    return row.get("svname") == replica and row.get("pxname", "").startswith((MODEL, HELD, REPLICA))


def _in_flight(row: haproxy.Row) -> int:
    return _number(row, "scur") + _number(row, "qcur")


def replicas(door: Door) -> List[str]:
    """All that a gateway has, on other hosts too."""
    return sorted(
        {
            row["svname"]
            for row in door.rows
            if row["pxname"].startswith(MODEL) and row["svname"] not in (BACKEND, haproxy.HELD)
        }
    )


def queues(door: Door) -> Dict[str, int]:
    """Of a gateway, model -> requests that wait: for a free slot, for a replica to come back, for a wake."""
    found: Dict[str, int] = {}
    own = set(replicas(door))
    for row in door.rows:
        kind = next((kind for kind in (MODEL, HELD) if row["pxname"].startswith(kind)), "")
        model = row["pxname"][len(kind) :]
        if kind == MODEL and row["svname"] == BACKEND:
            found[model] = found.get(model, 0) + _number(row, "qcur")
        elif kind == HELD and row["svname"] == BACKEND:
            found[model] = found.get(model, 0) + _number(row, "scur")
        elif kind == HELD and row["svname"] in own:
            found[model] = found.get(model, 0) - _number(row, "scur")
    return {model: max(0, count) for model, count in found.items()}


def _number(row: haproxy.Row, column: str) -> int:
    value = row.get(column) or "0"
    return int(value) if value.isdigit() else 0


def usage() -> Optional[str]:
    """The gateway's own table of requests and bytes by model and key, as it says it; None: there is none."""
    try:
        return haproxy.command(haproxy.SOCKETS[0], USAGE)
    except OSError:
        return None
