"""SSH hosts: connected at the first use, through jumps, with a limit on every step."""

from __future__ import annotations

import logging
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from . import knownhosts
from .channel import CHANNEL_S, SshStream, exchange, lost, start, status
from .local import raise_failed
from .login import login
from .sshconfig import Route, route
from .transport import Argv, Result
from .trouble import HostTrouble, OfferedKey, trouble
from .types import Host
from .words import Prepared, prepare, replace_file

AT_ONCE = 8  # logins at a time through one door: sshd drops more than 10 that are not logged in yet
KEEPALIVE_S = 10
LOOK_S = 1.0  # a connection's thread looks so often whether it was closed; it begins with 0.1, which many of them feel
UNANSWERED_MS = 30_000  # TCP gives up on data that nobody acknowledges

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its errors reach people as ours

_doors: dict[str, threading.BoundedSemaphore] = {}
_doors_lock = threading.Lock()


class SshTransport:
    """One host by SSH; many commands at once over one connection. Safe to use from several threads."""

    def __init__(self, host: Host) -> None:
        self.name, self._host = host.name, host
        self._lock = threading.Lock()
        self._chain: list[paramiko.Transport] = []

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float = 60.0, root: bool = False) -> Result:
        prepared = prepare(argv, root=root)
        deadline = monotonic() + timeout
        with self._channel(prepared) as channel:
            out, err = exchange(self.name, channel, stdin, deadline, timeout)
            rc = status(self.name, channel, deadline, timeout)
        if refusal := prepared.refusal(self.name, rc, err):
            raise refusal
        return Result(host=self.name, argv=tuple(argv), rc=rc, stdout=out, stderr=err)

    def put(self, path: str, content: bytes, *, mode: int = 0o644, root: bool = False) -> None:
        raise_failed(self.run(replace_file(path, mode), stdin=content, root=root), f"{path} to be written")

    def get(self, path: str, *, root: bool = False) -> bytes:
        return raise_failed(self.run(("cat", "--", path), root=root), f"{path} to be read").stdout

    @contextmanager
    def open(self, argv: Argv, *, root: bool = False) -> Generator[SshStream]:
        prepared = prepare(argv, root=root)
        with self._channel(prepared) as channel:
            yield SshStream(self.name, channel, prepared)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        _close(self._chain)
        self._chain = []

    @contextmanager
    def _channel(self, prepared: Prepared) -> Generator[paramiko.Channel]:
        connection = self._connection()
        try:
            channel = connection.open_session(timeout=CHANNEL_S)
        except (SSHException, OSError, EOFError) as error:
            raise lost(self.name, str(error)) from error
        try:
            start(self.name, channel, prepared)
            yield channel
        finally:
            channel.close()

    def _connection(self) -> paramiko.Transport:
        with self._lock:
            if not self._chain or not self._chain[-1].is_active():
                self._drop()
                self._chain = connect(route(self._host.ssh, self.name), self.name)
            return self._chain[-1]


def learn(host: Host, key: OfferedKey) -> str:
    """Write down a key that a person has just said yes to; returns the file. The next connection trusts it."""
    file = key.file or route(host.ssh, host.name).known_hosts[0]
    knownhosts.append(file, key.name, key.kind, key.base64)
    return file


def connect(way: Route, where: str) -> list[paramiko.Transport]:
    """Logins of the jumps and of the host itself, in that order. Raises HostTrouble."""
    limit = way.connect_s * 3
    door = _door(way.door)
    if not door.acquire(timeout=limit):
        raise trouble(
            "timeout",
            where,
            expected=f"a turn at {way.door} within {limit:g} s",
            got=f"{AT_ONCE} logins that do not end",
            next_step=f"see whether {way.door} is overloaded",
        )
    try:
        return _connect(way, where)
    finally:
        door.release()


def _door(name: str) -> threading.BoundedSemaphore:
    with _doors_lock:
        return _doors.setdefault(name, threading.BoundedSemaphore(AT_ONCE))


def _connect(way: Route, where: str) -> list[paramiko.Transport]:
    chain: list[paramiko.Transport] = []
    hops = (*way.jumps, way)
    try:
        sock: Any = _first_socket(hops[0], where)
        for hop, following in zip(hops, (*hops[1:], None), strict=True):
            chain.append(login(sock, hop, where if hop is way else f"{where} (jump {hop.address})"))
            chain[-1].set_keepalive(KEEPALIVE_S)
            chain[-1].sock.settimeout(LOOK_S)
            if following is not None:
                sock = _through(chain[-1], hop, following, where)
    except BaseException:
        _close(chain)
        raise
    return chain


def _close(chain: list[paramiko.Transport]) -> None:
    """The last one first. Their threads read, and hear of it at once."""
    for transport in reversed(chain):
        with suppress(OSError, EOFError, SSHException):
            transport.sock.shutdown(socket.SHUT_RDWR)
        transport.close()


def _first_socket(hop: Route, where: str) -> Any:
    if hop.command:
        return _by_command(hop.command)
    try:
        sock = socket.create_connection((hop.address, hop.port), timeout=hop.connect_s)
    except ConnectionRefusedError as error:
        raise trouble(
            "refused",
            where,
            expected=f"an SSH server at {hop.address}:{hop.port}",
            got="connection refused",
            next_step="is sshd running there, and on this port? (`port` in the stack file or ~/.ssh/config)",
        ) from error
    except socket.gaierror as error:
        raise _dead(hop, where, f"no such name ({error.strerror})") from error
    except TimeoutError as error:
        raise _dead(hop, where, f"no answer in {hop.connect_s:g} s") from error
    except OSError as error:
        raise _dead(hop, where, error.strerror or str(error)) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
    return sock


def _by_command(command: str) -> socket.socket:
    """A ProxyCommand's both ends as one socket; the command sees its end when we close ours."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            ("sh", "-c", "exec " + command),
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
        )
    threading.Thread(target=process.wait, daemon=True, name="proxy-command").start()
    return ours


def _through(transport: paramiko.Transport, hop: Route, following: Route, where: str) -> paramiko.Channel:
    try:
        return transport.open_channel(
            "direct-tcpip", (following.address, following.port), ("127.0.0.1", 0), timeout=following.connect_s
        )
    except ChannelException as error:
        kind = "refused" if error.code == 2 else "dead"
        raise trouble(
            kind,
            where,
            expected=f"{following.address}:{following.port} to be reached through {hop.address}",
            got=error.text,
            next_step=f"try `ssh -J {hop.user}@{hop.address}:{hop.port} -p {following.port} {following.user}@{following.address}`",
        ) from error
    except (SSHException, OSError, EOFError) as error:
        raise _dead(following, where, f"no answer through {hop.address} ({error})") from error


def _dead(hop: Route, where: str, got: str) -> HostTrouble:
    return trouble(
        "dead",
        where,
        expected=f"{hop.address}:{hop.port} to answer",
        got=got,
        next_step=f"is the machine on, and is the address right? try `ssh -p {hop.port} {hop.user}@{hop.address}`",
    )
