"""How the controller reaches the hosts: from the gateway's, as an account of its own, with a key that was made there.

A stack file says how people reach its hosts, with their names, users, keys and jumps, none of which the controller has.
`up` writes down for it where each host is; what a plan is made from stays what people see, so that both plan the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from .types import Host, Ssh

ENVIRONMENT = "HOSTLER_CONTROLLER"  # the controller's folder; not set: people run this
RIGHTS = "HOSTLER_CONTROLLER_RENTS"  # set where that one has rights in the cloud, for as long as it rents
HOME = "HOSTLER_CONTROLLER_HOST"  # the host on which it runs: the gateway's
ACCOUNT = "hostler-updates"  # on every host
KEY = "/etc/hostler/tls/controller.key"
HOSTS = "hosts.json"  # host -> {"used": as people's machine reached it, "address", "port", "host_key"}


def folder() -> Path | None:
    """Where `up` has put what the controller is to know; None: this is no controller."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else None


def home() -> str:
    """The host on which the controller is, by its name in the stack; empty: people run this."""
    return os.environ.get(HOME, "") if folder() else ""


def has_rights() -> bool:
    """Whether this process may ask the cloud: people's may, the controller's only while it rents."""
    return folder() is None or bool(os.environ.get(RIGHTS))


def through(host: Host) -> Host:
    """The host as this process logs in to it. The same host where no controller runs, or where none of it was told; and a
    machine that was rented since, as whoever rented it."""
    way = _ways().get(host.name)
    if way is None or is_fresh(host):
        return host
    ssh = Ssh(
        address=str(way["address"]),
        user=ACCOUNT,
        port=int(way["port"]),
        key=KEY,
        host_key=str(way["host_key"]),
    )
    return replace(host, ssh=ssh)


def is_fresh(host: Host) -> bool:
    """Whether it is a rented machine that the controller was told nothing of, or of another one in its slot, which may have
    got the address of the former."""
    if folder() is None or host.owned or not host.ssh.address:
        return False
    way = _ways().get(host.name)
    if way is None or way["used"] != host.ssh.address:
        return True
    key = (host.ssh.host_key or "").split()[:2]
    return bool(key) and key != str(way["host_key"]).split()[:2]


def used(host: Host) -> str | None:
    """The address by which people's machine reaches a host; None: ask this machine's own configuration."""
    way = None if is_fresh(host) else _ways().get(host.name)
    return str(way["used"]) if way else None


def inner(host: Host) -> str | None:
    """The address by which the hosts reach each other, as it was when people looked."""
    way = None if is_fresh(host) else _ways().get(host.name)
    return str(way["address"]) if way else None


def names() -> tuple[str, ...]:
    """The hosts that the controller was told of."""
    return tuple(_ways())


def text() -> str:
    """The file itself, for the controller's own plan; empty: this is no controller."""
    there = folder()
    return (there / HOSTS).read_text(encoding="utf-8") if there else ""


def _ways() -> Mapping[str, Any]:
    there = folder()
    return _read(str(there / HOSTS)) if there else {}


@cache
def _read(path: str) -> Mapping[str, Any]:
    return json.loads(Path(path).read_text(encoding="utf-8"))
