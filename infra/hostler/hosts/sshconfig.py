"""Where a host really is and how one gets there: the stack file's words over ~/.ssh/config."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .trouble import HostTrouble, trouble
from .types import Ssh

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
CONNECT_S = 10.0
DEEPEST = 8  # jumps, and files that include files


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One SSH login, with the logins before it. `name` is what known_hosts calls the machine."""

    address: str
    port: int
    user: str
    name: str
    identities: tuple[str, ...]  # private key files, whether they exist or not
    chosen: bool  # somebody named the key files, they are not just the defaults
    only: bool  # IdentitiesOnly: no other keys of the agent
    agent: str  # socket of the agent, empty: none
    known_hosts: tuple[str, ...]
    host_key: str = ""  # the only key to trust, from the stack file
    command: str = ""  # ProxyCommand
    jumps: tuple[Route, ...] = ()
    connect_s: float = CONNECT_S

    @property
    def door(self) -> str:
        """The machine that the first TCP connection goes to."""
        first = self.jumps[0] if self.jumps else self
        return first.door if first is not self else f"{self.address}:{self.port}"


def config_paths() -> tuple[str, ...]:
    """The user's file (HOSTLER_SSH_CONFIG names another), then the machine's."""
    own = os.environ.get("HOSTLER_SSH_CONFIG") or os.path.expanduser("~/.ssh/config")
    return (own, "/etc/ssh/ssh_config")


def route(ssh: Ssh, where: str) -> Route:
    """How `ssh` is reached. Raises HostTrouble for a configuration that cannot be read or goes in circles."""
    try:
        return _route(ssh, where, DEEPEST)
    except ValueError as error:  # a port or a time that is no number
        raise _unreadable(ssh, where, error) from error


def _route(ssh: Ssh, where: str, depth: int) -> Route:
    if depth == 0:
        raise trouble(
            "dead",
            where,
            expected=f"at most {DEEPEST} jumps",
            got="jumps that go in circles",
            next_step="look at ProxyJump in ~/.ssh/config",
        )
    found = _lookup(ssh, where)
    address, port = str(found["hostname"]), ssh.port or int(found.get("port", 22))
    name = str(found.get("hostkeyalias") or address)
    jump = ssh.jump if ssh.jump is not None else str(found.get("proxyjump", ""))
    proxied = "" if ssh.jump or jump not in ("", "none") else str(found.get("proxycommand", ""))
    named = (ssh.key,) if ssh.key else tuple(found.get("identityfile", ()))
    return Route(
        address=address,
        port=port,
        user=ssh.user or str(found.get("user") or _own_name()),
        name=name if port == 22 or "hostkeyalias" in found else f"[{name}]:{port}",
        identities=tuple(map(os.path.expanduser, named)) or default_keys(),
        chosen=bool(named),
        only=str(found.get("identitiesonly", "no")) == "yes",
        agent=_agent(str(found.get("identityagent", ""))),
        known_hosts=_known_hosts(found),
        host_key=ssh.host_key or "",
        command="" if proxied == "none" else proxied,
        jumps=_jumps(jump, where, depth),
        connect_s=float(found.get("connecttimeout", CONNECT_S)),
    )


def _lookup(ssh: Ssh, where: str) -> Mapping[str, Any]:
    from paramiko.ssh_exception import ConfigParseError, CouldNotCanonicalize

    try:
        return _config(config_paths(), _stamps(config_paths())).lookup(ssh.address)
    except (ConfigParseError, CouldNotCanonicalize, ImportError) as error:
        raise _unreadable(ssh, where, error) from error


def _unreadable(ssh: Ssh, where: str, error: Exception) -> HostTrouble:
    return trouble(
        "dead",
        where,
        expected="a readable ~/.ssh/config",
        got=str(error),
        next_step=f"try `ssh -G {ssh.address}`, and mend what it complains about",
    )


def _stamps(paths: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(os.stat(p).st_mtime_ns if os.path.exists(p) else 0 for p in paths)


@lru_cache(maxsize=4)
def _config(paths: tuple[str, ...], stamps: tuple[int, ...]) -> Any:  # noqa: ARG001 - stamps: read again after a change
    from .sshtokens import Config

    return Config.from_text("\nHost *\n".join(_included(path, DEEPEST) for path in paths))


def _included(path: str, depth: int) -> str:
    """A file's text with its Include lines replaced, which paramiko does not do."""
    if depth == 0 or not os.path.isfile(path):
        return ""
    lines: list[str] = []
    scope = "Host *"
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if word.lower() in ("host", "match"):
            scope = line.strip()
        if word.lower() != "include":
            lines.append(line)
            continue
        lines += [
            _included(found, depth - 1) for pattern in rest.split() for found in _matches(pattern, path)
        ]
        lines.append(scope)
    return "\n".join(lines)


def _matches(pattern: str, inside: str) -> list[str]:
    pattern = os.path.expanduser(pattern.strip('"'))
    base = "/etc/ssh" if inside.startswith("/etc/") else os.path.dirname(inside)
    return sorted(glob.glob(pattern if os.path.isabs(pattern) else os.path.join(base, pattern)))


def _jumps(words: str, where: str, depth: int) -> tuple[Route, ...]:
    """`[user@]host[:port],...`: each from its own section of the configuration; only the first may have jumps
    of its own, as in ssh."""
    if words in ("", "none"):
        return ()
    routes = [_route(_jump(word), where, depth - 1) for word in words.split(",")]
    first, *others = routes
    return (*first.jumps, first, *others)


def _jump(word: str) -> Ssh:
    word = word.strip().removeprefix("ssh://")
    user, _, place = word.rpartition("@")
    address, colon, port = place.rpartition(":")
    if not colon or (":" in address and not address.endswith("]")):
        address, port = place, ""
    return Ssh(address=address.strip("[]"), user=user or None, port=int(port) if port.isdigit() else None)


def _known_hosts(found: Mapping[str, Any]) -> tuple[str, ...]:
    own = str(found.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")).split()
    shared = str(found.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")).split()
    return tuple(os.path.expanduser(path) for path in (*own, *shared) if path != "none")


def _agent(word: str) -> str:
    if word in ("", "SSH_AUTH_SOCK"):
        return os.environ.get("SSH_AUTH_SOCK", "")
    return "" if word == "none" else os.path.expanduser(os.path.expandvars(word.strip('"')))


def default_keys() -> tuple[str, ...]:
    return tuple(os.path.expanduser(f"~/.ssh/{name}") for name in DEFAULT_KEYS)


def _own_name() -> str:
    import getpass

    return getpass.getuser()
