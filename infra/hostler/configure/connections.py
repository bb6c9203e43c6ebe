"""How Ansible reaches a host: the same address, user, keys and host keys as our own SSH."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from hostler.configure.variables import Template
from hostler.hosts.types import Host, Ssh


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """`folder`: where known_hosts with the stack file's own host keys lies; empty: nowhere."""

    folder: str

    def variables(self, host: Host) -> dict[str, Any]:
        found: dict[str, Any] = {
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_async_dir": "/run/hostler/async",
        }
        if host.ssh.local:
            return {**found, "ansible_connection": "local", "ansible_become": os.geteuid() != 0}
        return {**found, "ansible_host": host.ssh.address, **self._login(host)}

    def _login(self, host: Host) -> dict[str, Any]:
        from hostler.hosts.sshconfig import route

        ssh = host.ssh
        given = {
            "ansible_user": ssh.user,
            "ansible_port": ssh.port,
            "ansible_ssh_private_key_file": os.path.expanduser(ssh.key) if ssh.key else None,
        }
        return {
            **{name: value for name, value in given.items() if value},
            "ansible_become": route(ssh, host.where or host.name).user != "root",
            "ansible_ssh_common_args": Template(" ".join(self._words(host.name, ssh))),
        }

    def _words(self, name: str, ssh: Ssh) -> list[str]:
        """Options of ssh. Host keys are strict: what is not known is refused, never learnt."""
        words = ["-o StrictHostKeyChecking=yes"]
        if config := os.environ.get("HOSTLER_SSH_CONFIG"):
            words.append(f"-F {config}")
        if ssh.jump:
            words.append(f"-o ProxyJump={ssh.jump}")
        if ssh.host_key and self.folder:
            words.append(
                f"-o HostKeyAlias={name} -o UserKnownHostsFile={self.folder}/known_hosts -o GlobalKnownHostsFile=/dev/null"
            )
        return words
