"""Files of weights on the hosts: what the probe saw of them, and parts of them, read when they are needed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from hostler.errors import HostlerError
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.transport import Transport
from hostler.hosts.types import Absent, Host, Seen, Value
from hostler.models import mirror
from hostler.models.host_files import SeenFile, SeenFolder
from hostler.models.operator_files import OperatorFiles, quiet
from hostler.models.resolve import Weights
from hostler.stackfile.sections import StackFile

LIMIT_S = 60.0


def files(seen: Mapping[str, Seen]) -> dict[str, SeenFile]:
    """Files that lie on hosts already, by path."""
    found: dict[str, SeenFile] = {}
    for one in seen.values():
        for key, value in one.observed.items():
            kind, _, path = key.partition(":")
            if kind == "path" and isinstance(value, Value) and value.value.get("type") == "file":
                found[path] = SeenFile(int(value.value.get("size", 0)), str(value.value.get("sha256") or ""))
    return found


def folders(seen: Mapping[str, Seen]) -> dict[str, SeenFolder]:
    """Folders that one host at least has, by path without a slash at its end."""
    found: dict[str, dict[str, dict[str, SeenFile] | None]] = {}
    for host, one in seen.items():
        for key, value in one.observed.items():
            kind, _, path = key.partition(":")
            if kind == "folder" and isinstance(value, Value | Absent):
                listing = _listing(value.value) if isinstance(value, Value) else None
                found.setdefault(path.rstrip("/"), {})[host] = listing
    return {path: SeenFolder(hosts=hosts) for path, hosts in found.items() if any(hosts.values())}


def _listing(value: Mapping[str, Any]) -> dict[str, SeenFile]:
    return {
        name: SeenFile(int(row["size"]), str(row["sha256"]), bool(row["out"])) for name, row in value.items()
    }


class HostFiles:
    """Parts of files, by the agents of hosts that have them; connects at the first question. `with` closes."""

    def __init__(self, hosts: Sequence[Host], seen: Mapping[str, Seen]) -> None:
        self._hosts = [host for host in hosts if host.name in seen and seen[host.name].reached]
        self._seen = seen
        self._open: dict[str, Transport] = {}
        self._stack = ExitStack()

    def __enter__(self) -> HostFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, path: str, offset: int, count: int) -> bytes:
        """At most `count` bytes. Raises OSError where no host gives them."""
        why = "no host has it"
        for host in self._hosts:
            if not self._has(host, path):
                continue
            try:
                answer = agent_call(
                    self._transport(host), "span", timeout=LIMIT_S, path=path, offset=offset, count=count
                )
                return base64.b64decode(answer["data"])
            except HostlerError as error:
                why = str(error)
        raise OSError(0, why)

    def _has(self, host: Host, path: str) -> bool:
        seen = self._seen[host.name].observed
        folder = seen.get(f"folder:{Path(path).parent}") or seen.get(f"folder:{Path(path).parent}/")
        asked = (seen.get(f"model:{path}"), seen.get(f"path:{path}"), folder)
        return any(isinstance(value, Value) for value in asked)

    def _transport(self, host: Host) -> Transport:
        if host.name not in self._open:
            self._open[host.name] = transport_for(host)
            self._stack.callback(self._open[host.name].close)
        return self._open[host.name]


def weights(
    file: StackFile, token: str, seen: Mapping[str, Seen], hosts: HostFiles, tell: Any = quiet
) -> Weights:
    """What resolves sources, with what was seen on the hosts."""
    return Weights(
        token=token,
        seen=files(seen),
        hub=mirror.of(file.stack).hub,
        folders=folders(seen),
        on_host=hosts.read,
        files=OperatorFiles(str(Path(file.path).resolve().parent), tell),
    )
