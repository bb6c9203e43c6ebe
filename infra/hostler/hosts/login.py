"""One SSH login over a socket: greeting, host key, user's key; each step with its own limit, nothing sent to a
machine whose key is not the right one."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, SSHException

from . import knownhosts
from .sshconfig import Route
from .trouble import HostTrouble, OfferedKey, trouble

BANNER_S = 10.0
KEYS_S = 15.0  # key exchange
AUTH_S = 20.0
RSA = ("rsa-sha2-512", "rsa-sha2-256")


def login(sock: Any, route: Route, where: str) -> paramiko.Transport:
    """An authenticated connection; raises HostTrouble of kind timeout, refused, host-key, unknown-key or auth."""
    transport = paramiko.Transport(sock)
    try:
        _greet(transport, route, where)
        check_key(route, where, transport.get_remote_server_key())
        _authenticate(transport, route, where)
    except BaseException:
        transport.close()
        raise
    return transport


def _greet(transport: paramiko.Transport, route: Route, where: str) -> None:
    transport.banner_timeout, transport.handshake_timeout, transport.auth_timeout = BANNER_S, KEYS_S, AUTH_S
    _prefer(transport, wanted_kinds(route))
    started = monotonic()
    try:
        transport.start_client(timeout=BANNER_S + KEYS_S)
    except (SSHException, OSError, EOFError) as error:
        raise _no_ssh(route, where, str(error), monotonic() - started) from error
    if not transport.is_active() or not transport.initial_kex_done:
        raise _no_ssh(route, where, "", monotonic() - started)


def _no_ssh(route: Route, where: str, said: str, waited: float) -> HostTrouble:
    slow = waited >= min(BANNER_S, KEYS_S)
    got = (
        f"it takes the connection and says nothing for {waited:.0f} s"
        if slow
        else f"it ends the connection ({said or 'at once'})"
    )
    step = (
        f"ProxyCommand: {route.command}"
        if route.command
        else "is it the right port, is the machine overloaded?"
    )
    return trouble(
        "timeout" if slow else "refused",
        where,
        expected=f"an SSH server at {route.address}:{route.port}",
        got=got,
        next_step=f"try `ssh -v -p {route.port} {route.user}@{route.address}`; {step}",
    )


def wanted_kinds(route: Route) -> tuple[str, ...]:
    """Key types to ask for first: the one that the stack file or known_hosts has."""
    if parsed := knownhosts.parse_key(route.host_key):
        return (parsed[0],)
    return knownhosts.kinds(knownhosts.load(route.known_hosts), route.name)


def _prefer(transport: paramiko.Transport, kinds: tuple[str, ...]) -> None:
    options = transport.get_security_options()
    first = [
        name
        for kind in kinds
        for name in (RSA if kind == "ssh-rsa" else (kind,))
        if name in options.key_types
    ]
    options.key_types = (*first, *(name for name in options.key_types if name not in first))


def check_key(route: Route, where: str, key: paramiko.PKey) -> None:
    """Raises HostTrouble unless `key` is the host's, by the stack file, else by known_hosts."""
    seen = knownhosts.fingerprint(key.asbytes())
    if route.host_key:
        parsed = knownhosts.parse_key(route.host_key)
        if parsed is None or parsed[1] != key.asbytes():
            right = knownhosts.fingerprint(parsed[1]) if parsed else "a key that can be read"
            raise _wrong(
                route,
                where,
                seen,
                f"{right} (host_key of the stack file)",
                "correct host_key in the stack file",
            )
        return
    verdict, lines = knownhosts.judge(knownhosts.load(route.known_hosts), route.name, key.asbytes())
    if verdict == "unknown":
        raise _unknown(route, where, key, seen)
    if verdict == "revoked":
        raise _wrong(
            route,
            where,
            seen,
            "a key that is not revoked",
            f"it is revoked at {lines[0].at}: use another key there",
        )
    if verdict == "wrong":
        right = ", ".join(f"{knownhosts.fingerprint(line.key)} ({line.at})" for line in lines)
        raise _wrong(route, where, seen, right, f"`ssh-keygen -R '{route.name}'`, then connect again")


def _wrong(route: Route, where: str, seen: str, right: str, repair: str) -> HostTrouble:
    return trouble(
        "host-key",
        where,
        expected=f"the host key {right} of {route.name}",
        got=seen,
        next_step=f"nothing was sent. Another machine may be answering; if the host was set up anew: {repair}",
    )


def _unknown(route: Route, where: str, key: paramiko.PKey, seen: str) -> HostTrouble:
    file = route.known_hosts[0] if route.known_hosts else ""
    offered = OfferedKey(
        name=route.name, kind=key.get_name(), base64=key.get_base64(), fingerprint=seen, file=file
    )
    return trouble(
        "unknown-key",
        where,
        expected=f"a known host key of {route.name}",
        got=f"{offered.kind} {seen}, never seen before",
        next_step=f"compare it with `ssh-keygen -lf /etc/ssh/ssh_host_{_short(offered.kind)}_key.pub` on the host, then "
        f"`ssh -p {route.port} {route.user}@{route.address}` once, or name it as host_key in the stack file",
        key=offered,
    )


def _short(kind: str) -> str:
    return next((name for name in ("ed25519", "ecdsa") if name in kind), "rsa")


def _authenticate(transport: paramiko.Transport, route: Route, where: str) -> None:
    locked: list[str] = []
    with agent_keys(route.agent) as held:
        _try(transport, route, where, _candidates(route, held, locked), locked)


def _try(
    transport: paramiko.Transport,
    route: Route,
    where: str,
    candidates: Iterator[tuple[str, paramiko.PKey]],
    locked: list[str],
) -> None:
    tried: list[str] = []
    for label, key in candidates:
        tried.append(label)
        try:
            if not transport.auth_publickey(route.user, key):
                return
            raise _denied(route, where, tried, locked, "the key, and asks for a second factor")
        except BadAuthenticationType as error:
            raise _denied(route, where, tried, locked, f"only {', '.join(error.allowed_types)}") from error
        except AuthenticationException as error:
            if "timeout" in str(error).lower():
                raise _slow_login(route, where) from error
        except (SSHException, EOFError, OSError) as error:
            raise _denied(route, where, tried, locked, f"no more keys ({error})") from error
    raise _denied(route, where, tried, locked, "none of the keys")


def _slow_login(route: Route, where: str) -> HostTrouble:
    return trouble(
        "timeout",
        where,
        expected=f"a login within {AUTH_S:g} s",
        got="none",
        next_step=f"try `ssh -v {route.user}@{route.address}`",
    )


def _denied(route: Route, where: str, tried: list[str], locked: list[str], accepts: str) -> HostTrouble:
    if locked and not tried:
        got = f"{', '.join(locked)} has a passphrase, and no agent holds it"
        step = f"ssh-add {locked[0]}"
    else:
        got = f"it accepts {accepts}; tried: {', '.join(tried) or 'no key, there is none'}"
        step = f"ssh-copy-id -p {route.port} {route.user}@{route.address}, or name the right `user` and `key` in the stack file"
        step = f"ssh-add {locked[0]} (it has a passphrase), or {step}" if locked else step
    return trouble("auth", where, expected=f"a login as {route.user} with a key", got=got, next_step=step)


def _candidates(
    route: Route, keys: tuple[AgentKey, ...], locked: list[str]
) -> Iterator[tuple[str, paramiko.PKey]]:
    """Keys in OpenSSH's order: the named files (by the agent where it holds them), then the agent's others.
    Files that need a passphrase are noted in `locked`."""
    held = {key.asbytes(): key for key in keys}
    if not route.chosen:
        yield from _from_agent(held, set())
    used: set[bytes] = set()
    for file in route.identities:
        public = _public(file)
        if public in held:
            used.add(public)
            if route.chosen:
                yield f"{file} (agent)", held[public]
        elif key := _private(file, locked):
            yield file, key
    if route.chosen and not route.only:
        yield from _from_agent(held, used)


def _from_agent(held: dict[bytes, AgentKey], used: set[bytes]) -> Iterator[tuple[str, paramiko.PKey]]:
    for blob, key in held.items():
        if blob not in used:
            yield f"{getattr(key, 'comment', '') or 'a key'} (agent)", key


@contextmanager
def agent_keys(path: str) -> Generator[tuple[AgentKey, ...]]:
    """The keys that the agent at the socket `path` holds; none when it does not answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(AUTH_S)
        agent = AgentSSH()
        with suppress(SSHException, OSError):
            if path:
                connection.connect(path)
                agent._connect(connection)  # type: ignore[attr-defined]  # no other way to name a socket
        yield tuple(agent.get_keys())


def _public(file: str) -> bytes:
    """The public half beside a private key file, empty when there is none."""
    try:
        parsed = knownhosts.parse_key(Path(file + ".pub").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return b""
    return parsed[1] if parsed else b""


def _private(file: str, locked: list[str]) -> paramiko.PKey | None:
    if not os.path.isfile(file):
        return None
    try:
        return paramiko.PKey.from_path(file)
    except (TypeError, paramiko.PasswordRequiredException):
        locked.append(file)  # a passphrase is needed
    except (ValueError, SSHException, OSError, UnknownKeyType):
        return None  # not a private key that can be read: as if it were not there
    return None
