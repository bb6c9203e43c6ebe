"""HAProxy on this host through its runtime sockets: counts, maps, reloads."""

from __future__ import annotations

import csv
import os
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from ..base import files, wire
from ..base.protocol import Answers, NodeError, Request, identity, text
from ..base.spec import container_name
from ..docker import docker

SOCKETS = (files.GATEWAY_RUN + "/admin.sock", files.EDGE_RUN + "/admin.sock")
HELD = "held"  # where requests wait for a model whose replicas are all away: no replica
KEYS = "/etc/hostler/gateway/keys.map"
ADMINS = "/etc/hostler/gateway/admins.map"
RELOAD_S = 20.0
PAUSE = 0.1
SERVER = re.compile(r"^\s*server (\S+) (\S+):(\d+)", re.MULTILINE)
PORTS = "/run/hostler/%s/ports.cfg"  # of a door: see ports.py
NAMED = re.compile(r'"127\.0\.0\.1:\$\{PORT_(\d+)-\d+\}"')
MOVED = re.compile(r"^\s*setenv PORT_(\d+) (\d+)$", re.MULTILINE)
Row = Dict[str, str]


def command(socket_path: str, line: str, timeout: float = 3.0) -> str:
    """One command, its answer; raises OSError (FileNotFoundError, ConnectionRefusedError: no HAProxy there)."""
    with wire.unix_socket(socket_path, timeout) as sock:
        sock.sendall(line.encode() + b"\n")
        parts: List[bytes] = []
        while True:
            part = sock.recv(65536)
            if not part:
                return b"".join(parts).decode("utf-8", "replace")
            parts.append(part)


def rows(socket_path: str) -> Optional[List[Row]]:
    """`show stat` as one dict a row; empty when there is no HAProxy; None when there is one that does not answer."""
    try:
        answer = command(socket_path, "show stat")
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return []
    except OSError:
        return None
    return parse_stat(answer)


def parse_stat(answer: str) -> List[Row]:
    lines = [line for line in answer.lstrip("# ").splitlines() if line.strip()]
    return [dict(row) for row in csv.DictReader(lines)]


def of_replica(table: List[Row], replica: str) -> List[Row]:
    """A replica's server rows (the gateway's own), and the backends that carry its name (an edge's)."""
    return [row for row in table if row.get("svname") == replica or row.get("pxname") == replica]


def in_flight(replica: str) -> Optional[int]:
    """Sessions and queued requests of a replica in all HAProxys of this host; None: one did not answer."""
    counts: List[int] = []
    for path in SOCKETS:
        table = rows(path)
        if table is None:
            return None
        counts += [_number(row, "scur") + _number(row, "qcur") for row in of_replica(table, replica)]
    return max(counts, default=0)


def _number(row: Row, column: str) -> int:
    value = row.get(column) or "0"
    return int(value) if value.isdigit() else 0


def routed(replica: str) -> bool:
    """Whether new requests may still come: the gateway here still counts its server as up, or an edge is here."""
    gateway, edge = (rows(path) for path in SOCKETS)
    if edge is None or edge or gateway is None:
        return True
    return any(row.get("status", "").startswith(("UP", "no check")) for row in of_replica(gateway, replica))


def checks_passed(replica: str) -> int:
    """Health checks of the gateway's that this host's edge has answered with 200."""
    edge = rows(SOCKETS[1]) or []
    return sum(
        _number(row, "hrsp_2xx") for row in edge if row.get("pxname") == "health_" + replica and _backend(row)
    )


def _backend(row: Row) -> bool:
    return row.get("svname") == "BACKEND"


def served(replica: str, checks: int) -> bool:
    """Whether the gateway takes a replica as up again; `checks` is checks_passed at the time of the undraining."""
    own = of_replica(rows(SOCKETS[0]) or [], replica)
    if own:
        return all(row.get("status", "").startswith(("UP", "no check")) for row in own)
    at_edge = of_replica(rows(SOCKETS[1]) or [], replica)
    return not at_edge or checks_passed(replica) > checks


# maps


class LiveMap(NamedTuple):
    reference: str  # #3
    path: str


def find_map(socket_path: str, name: str) -> Optional[LiveMap]:
    """The running process's map of a file, by the file's name (its folder differs inside the container)."""
    for line in command(socket_path, "show map").splitlines():
        number, _, rest = line.partition(" (")
        path = rest.partition(")")[0]
        if number.isdigit() and os.path.basename(path) == name:
            return LiveMap("#" + number, path)
    return None


def show_map(socket_path: str, reference: str) -> Dict[str, str]:
    """Its entries."""
    lines = (line.split(" ", 2) for line in command(socket_path, "show map " + reference).splitlines())
    return {parts[1]: parts[2] if len(parts) > 2 else "" for parts in lines if len(parts) > 1}


def map_file(content: str) -> Dict[str, str]:
    """A map file's entries: a word, blanks, the rest."""
    lines = (line.strip() for line in content.splitlines())
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {parts[0]: parts[1] if len(parts) > 1 else "" for parts in pairs}


def sync_map(socket_path: str, name: str, wanted: Dict[str, str]) -> Tuple[int, int]:
    """Make a live map say what a file says: how many were added or changed, and taken away. Raises NodeError."""
    found = find_map(socket_path, name)
    if found is None:
        raise NodeError("map", "HAProxy has no map %s loaded" % name, "hostler-node reload gateway")
    live = show_map(socket_path, found.reference)
    gone = [key for key in live if key not in wanted]
    new = {key: value for key, value in wanted.items() if live.get(key) != value}
    for key in gone:
        _told(socket_path, "del map %s %s" % (found.reference, key))
    for key, value in new.items():
        verb = "set" if key in live else "add"
        _told(socket_path, "%s map %s %s %s" % (verb, found.reference, key, escaped(value)))
    return len(new), len(gone)


def escaped(value: str) -> str:
    """A value as one word of the runtime API."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ").replace(";", "\\;") or "-"


def _told(socket_path: str, line: str) -> None:
    answer = command(socket_path, line).strip()
    if answer:
        raise NodeError("map", "HAProxy refused `%s`: %s" % (" ".join(line.split()[:3]), answer))


def key_sync(request: Request, answers: Answers) -> int:
    """`key-sync [-]`: the running gateway knows exactly the keys of keys.map, and of admins.map where it has one; with
    `content` and `admins` (in the request line only) the files are replaced first. Hashes only: no key ever comes here."""
    for path, given in ((KEYS, "content"), (ADMINS, "admins")):
        if given in request and (path == KEYS or os.path.exists(files.at(path))):
            files.write(path, text(request, given, "").encode(), 0o640, "root", files.ACCOUNT)
    there = [path for path in (KEYS, ADMINS) if path == KEYS or os.path.exists(files.at(path))]
    wanted = {path: map_file((files.read(path) or b"").decode()) for path in there}
    try:
        done = [sync_map(SOCKETS[0], os.path.basename(path), wanted[path]) for path in there]
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NodeError("gateway", "the gateway does not run: %s" % error, "hostler up") from error
    new, gone = sum(one for one, _ in done), sum(one for _, one in done)
    answers.say(changed=bool(new or gone), added=new, removed=gone, keys=sum(map(len, wanted.values())))
    return 0


# reloads


def reload(request: Request, answers: Answers) -> int:
    """`reload ID`: the configuration is checked inside the container, then the master process gets SIGUSR2 and
    starts a new worker; the old one finishes its requests. rc 4 and the reason when the new one does not come."""
    identifier = identity(request)
    name = container_name(identifier)
    container = docker.inspect(name)
    if not docker.running(container) or container is None:
        raise NodeError("stopped", "%s does not run" % name, "systemctl start hostler@%s" % identifier)
    _check_configuration(name, container)
    path = "/run/hostler/%s/admin.sock" % identifier
    before = worker(path)
    saved = save_state(identifier, path)
    docker.kill(name, "SIGUSR2")
    if not _new_worker(path, before):
        raise NodeError(
            "reload", "%s: no new worker in %g s" % (name, RELOAD_S), "", rc=4, log=docker.logs(name)
        )
    files.remove(saved)  # a later start by itself must not believe it
    answers.say(changed=True, worker=worker(path))
    return 0


def save_state(identifier: str, socket_path: str) -> str:
    """What the running worker thinks of its servers, for the next one: who drains stays drained, who is down is
    not asked until its check passes. The file's path; an edge reads none."""
    target = "%s/servers.state" % os.path.dirname(socket_path)
    configuration = files.read_text("/etc/hostler/%s/haproxy.cfg" % identifier)
    ports = files.read_text(PORTS % identifier)
    if "servers.state" in configuration:
        try:
            state = command(socket_path, "show servers state")
        except OSError:
            return target  # it does not answer: its successor finds out by itself
        files.write(
            target,
            same_servers(state, expanded(configuration, ports)).encode(),
            0o640,
            files.ACCOUNT,
            files.ACCOUNT,
        )
    return target


def expanded(configuration: str, ports: str) -> str:
    """A configuration with the ports that HAProxy reads before it."""
    moved = dict(MOVED.findall(ports))
    return NAMED.sub(lambda found: "127.0.0.1:" + str(moved.get(found[1], found[1])), configuration)


def same_servers(state: str, configuration: str) -> str:
    """The state of those servers that are where they were: HAProxy would send the others' requests to the old port."""
    now = {(name, host.strip("[]"), port) for name, host, port in SERVER.findall(configuration)}
    head, rows = state.splitlines()[:2], [line.split() for line in state.splitlines()[2:] if line.strip()]
    if len(head) < len(("version", "columns")):
        return ""
    names = head[1].lstrip("# ").split()
    kept = [row for row in rows if _places(dict(zip(names, row))) & now]  # noqa: B905 - not in Python 3.9
    return "".join(line + "\n" for line in (*head, *(" ".join(row) for row in kept)))


def _places(row: Row) -> Set[Tuple[str, str, str]]:
    return {(row["srv_name"], row[kind], row["srv_port"]) for kind in ("srv_addr", "srv_fqdn")}


# routes


def routes() -> Optional[Dict[str, Dict[str, Any]]]:
    """What the gateway here thinks of each replica: {"status": UP, DOWN, NOLB (drains) ..., "sessions", "queued",
    "check"}. Empty when there is no gateway; None when it does not answer."""
    table = rows(SOCKETS[0])
    if table is None:
        return None
    models = [row for row in table if row["pxname"].startswith("model_") and not _backend(row)]
    servers = [row for row in models if row["svname"] != HELD]
    return {
        row["svname"]: {
            "status": row["status"],
            "sessions": _number(row, "scur"),
            "queued": _number(row, "qcur"),
            "check": " ".join(filter(None, (row.get("check_status"), row.get("last_chk")))),
        }
        for row in servers
    }


def _check_configuration(name: str, container: docker.Json) -> None:
    words = list(container["Config"].get("Cmd") or [])
    paths = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-f"]
    asked = ["haproxy", "-c"] + [word for path in paths for word in ("-f", path)]
    status, said = docker.execute(name, asked) if paths else (0, "")
    if status != 0:
        raise NodeError(
            "config", "%s: the configuration is refused" % name, "", rc=4, log=said.splitlines()[-20:]
        )


def worker(socket_path: str) -> str:
    """The running worker's process id as it sees it itself; empty when it does not answer."""
    try:
        lines = command(socket_path, "show info").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Pid:")), "")


def _new_worker(socket_path: str, before: str) -> bool:
    until = time.monotonic() + RELOAD_S
    while time.monotonic() < until:
        if worker(socket_path) not in ("", before):
            return True
        time.sleep(PAUSE)
    return False
