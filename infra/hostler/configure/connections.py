"""How Ansible reaches a host: the same address, user, keys and host keys as our own SSH."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hostler.configure.entries import Template
from hostler.hosts import knownhosts, ways
from hostler.hosts.openssh import options
from hostler.hosts.sshconfig import route
from hostler.hosts.types import Host

PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """`folder`: where known_hosts with the stack file's own host keys lies; empty: nowhere."""

    folder: str

    def variables(self, host: Host, python: str = PYTHON) -> dict[str, Any]:
        """`python`: the one that runs the agent there."""
        host = ways.through(host)
        found: dict[str, Any] = {
            "ansible_python_interpreter": python,
            "ansible_async_dir": "/run/hostler/async",
        }
        if host.ssh.local:
            return {**found, "ansible_connection": "local", "ansible_become": os.geteuid() != 0}
        known = f"{self.folder}/known_hosts" if host.ssh.host_key and self.folder else ""
        return {
            **found,
            "ansible_host": host.ssh.address,
            "ansible_become": route(host.ssh, host.where or host.name).user != "root",
            "ansible_ssh_common_args": Template(
                " ".join(
                    word if known and known in word else _literal(word) for word in options(host.ssh, known)
                )
            ),
        }


def _literal(word: str) -> str:
    """One word for ssh, whatever is in it."""
    quoted = shlex.quote(word)
    return f"{{{{ {quoted!r} }}}}" if "{" in quoted else quoted


def known_hosts(hosts: Sequence[Host]) -> str:
    """The host keys that the stack file names."""
    pinned = [host for host in map(ways.through, hosts) if host.ssh.host_key]
    return "".join(
        knownhosts.pinned(
            route(host.ssh, host.where or host.name).name, host.ssh.host_key or "", host.where or host.name
        )
        for host in pinned
    )
