"""Docker Engine's API over its socket: some milliseconds where the command line needs a hundred."""

from __future__ import annotations

import http.client
import json
import os
import socket
import urllib.parse
from typing import Any, Dict, List, Mapping, Optional

from ..base import files

LABEL_UID = "hostler.uid"
LABEL_ID = "hostler.id"
LABEL_SPEC = "hostler.spec"
PREFIX = "hostler-"


class NotInstalled(Exception):
    """There is no Docker on this host."""


class NotAnswering(Exception):
    """There is one, and it cannot be asked; the text says why."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Docker:
    """One connection; answers are parsed JSON. Raises NotInstalled, NotAnswering; a 404 is None."""

    def __init__(self, timeout: float = 5.0) -> None:
        self._timeout = timeout
        self._connection: Optional[_Connection] = None

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, query)

    def ask(self, method: str, path: str, query: Mapping[str, Any], body: Optional[Any] = None) -> Any:
        words = urllib.parse.urlencode(
            {k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()}
        )
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        try:
            connection = self._open()
            connection.request(method, path + ("?" + words if words else ""), content, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NotAnswering(_why(error)) from error
        return _parsed(path, response.status, answer)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _open(self) -> _Connection:
        if self._connection is None:
            path = files.at(files.DOCKER_SOCKET)
            if not os.path.exists(path):
                raise NotAnswering("Docker is not running") if installed() else NotInstalled()
            self._connection = _Connection(path, self._timeout)
        return self._connection


def installed() -> bool:
    """Whether a Docker engine's program is here, running or not."""
    places = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", "/snap/bin/dockerd")
    return any(os.path.exists(files.at(place)) for place in places)


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "not allowed to ask Docker (needs root)"
    if isinstance(error, ConnectionRefusedError):
        return "Docker is not running"
    if isinstance(error, socket.timeout):
        return "Docker does not answer in time"
    return "Docker: %s" % error


def _parsed(path: str, status: int, answer: bytes) -> Any:
    if status == 404:
        return None
    try:
        value: Any = json.loads(answer) if answer.strip() else {}
    except ValueError as error:
        raise NotAnswering("Docker answered %s with no JSON" % path) from error
    if status >= 400:
        raise NotAnswering("Docker answered %d: %s" % (status, answer.decode("utf-8", "replace").strip()))
    return value


def short(name: str) -> str:
    """An image's name as Docker keeps it: docker.io/library/haproxy is haproxy."""
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    return name


def container_name(container: Mapping[str, Any]) -> str:
    names: List[str] = container.get("Names") or [container.get("Name", "")]
    return names[0].lstrip("/")


def labels(container: Mapping[str, Any]) -> Dict[str, str]:
    return container.get("Labels") or {}
