"""The same way to a host for OpenSSH's own client: `hostler ssh`, and Ansible."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from hostler.hosts import knownhosts
from hostler.hosts.types import Host, Ssh


def options(ssh: Ssh, known_hosts: str = "") -> tuple[str, ...]:
    """Words for ssh: what the stack file says beyond ~/.ssh/config. Host keys are always verified."""
    words = ["-o", "StrictHostKeyChecking=yes"]
    if known_hosts:
        words += ["-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"]
    if config := os.environ.get("HOSTLER_SSH_CONFIG"):
        words += ["-F", config]
    if ssh.user:
        words += ["-o", f"User={ssh.user}"]
    if ssh.port:
        words += ["-o", f"Port={ssh.port}"]
    if ssh.key:
        words += ["-o", f"IdentityFile={os.path.expanduser(ssh.key)}"]
    if ssh.jump:
        words += ["-o", f"ProxyJump={ssh.jump}"]
    return tuple(words)


def ssh_argv(host: Host, words: Sequence[str] = ()) -> list[str]:
    """What `hostler ssh` becomes; `words` are quoted for the remote shell."""
    if host.ssh.local:
        return list(words) or [os.environ.get("SHELL", "/bin/sh")]
    known = _pinned(host) if host.ssh.host_key else ""
    remote = ["--", shlex.join(words)] if words else []
    return ["ssh", *options(host.ssh, known), host.ssh.address, *remote]


def _pinned(host: Host) -> str:
    """A known_hosts file with the stack file's key and no other, where nobody else can write one."""
    from hostler import operator
    from hostler.hosts.sshconfig import route

    line = knownhosts.pinned(route(host.ssh, host.name).name, host.ssh.host_key or "", host.name)
    path = operator.state_home() / f"known-{host.name}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(line)
    return str(path)
