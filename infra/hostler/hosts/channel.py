"""One command over an SSH channel: its input, its outputs, its exit status. What a host may send has an end."""

from __future__ import annotations

import io
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO, cast

import paramiko
from paramiko.ssh_exception import SSHException

from .local import too_slow
from .transport import LONGEST_ANSWER, STDERR_KEPT
from .trouble import HostTrouble, too_long, trouble
from .words import Prepared

if TYPE_CHECKING:
    from collections.abc import Buffer

CHANNEL_S = 15.0
CHUNK = 1 << 16
SIGNALLED = 128  # rc of a command ended by a signal; which one, the protocol's library does not say


class SshStream:
    """A running command; its stderr is drained so that it cannot block."""

    def __init__(self, host: str, channel: paramiko.Channel, prepared: Prepared) -> None:
        self.stdin = cast(BinaryIO, channel.makefile_stdin("wb", 0))
        self.stdout = cast(BinaryIO, io.BufferedReader(_Received(channel), CHUNK))
        self._host, self._channel, self._prepared = host, channel, prepared
        self._stderr = bytearray()
        self._reader = threading.Thread(target=_drain, args=(channel, self._stderr), daemon=True)
        self._reader.start()

    def wait(self, timeout: float) -> int:
        """The exit status; HostTrouble of kind timeout, dead (lost) or sudo."""
        rc = status(self._host, self._channel, monotonic() + timeout, timeout)
        self._reader.join(CHANNEL_S)  # the reason may come after the status
        if refusal := self._prepared.refusal(self._host, rc, bytes(self._stderr)):
            raise refusal
        return rc


class _Received(io.RawIOBase):
    """What comes, as a file. The library's own takes a line in one piece, however long."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        data = self._channel.recv(len(view))
        view[: len(data)] = data
        return len(data)


def lost(host: str, said: str) -> HostTrouble:
    return trouble(
        "dead",
        host,
        expected="the connection to stay",
        got=f"it was lost ({said})" if said else "it was lost",
        next_step="look at the network and the machine, then run the same command again",
    )


def start(host: str, channel: paramiko.Channel, prepared: Prepared) -> None:
    channel.settimeout(CHANNEL_S)
    try:
        channel.exec_command(prepared.line)
    except (SSHException, OSError, EOFError) as error:
        raise lost(host, str(error)) from error
    channel.settimeout(None)


def exchange(
    host: str, channel: paramiko.Channel, stdin: bytes, deadline: float, timeout: float
) -> tuple[bytes, bytes]:
    """Both outputs of a command; `timeout` is only for the error's words."""
    err = bytearray()
    reader = threading.Thread(target=_drain, args=(channel, err), daemon=True)
    reader.start()
    threading.Thread(target=_feed, args=(channel, stdin), daemon=True).start()
    out = bytearray()
    while chunk := _receive(host, channel, deadline, timeout):
        out += chunk
        if len(out) > LONGEST_ANSWER:
            raise too_long(host, "an answer", LONGEST_ANSWER)
    reader.join(max(deadline - monotonic(), 0.0))
    return bytes(out), bytes(err)


def _receive(host: str, channel: paramiko.Channel, deadline: float, timeout: float) -> bytes:
    left = deadline - monotonic()
    if left <= 0:
        raise too_slow(host, timeout)
    channel.settimeout(left)
    try:
        return channel.recv(CHUNK)
    except TimeoutError:
        raise too_slow(host, timeout) from None


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    with suppress(OSError, SSHException, EOFError):  # the command need not read all of it; its rc tells
        if stdin:
            channel.sendall(stdin)
        channel.shutdown_write()


def _drain(channel: paramiko.Channel, into: bytearray) -> None:
    """All of it is read, so that the command goes on; its beginning is kept."""
    with suppress(OSError, SSHException):
        while chunk := channel.recv_stderr(CHUNK):
            into += chunk[: STDERR_KEPT - len(into)]


def status(host: str, channel: paramiko.Channel, deadline: float, timeout: float) -> int:
    if not channel.status_event.wait(max(deadline - monotonic(), 0.0)):
        raise too_slow(host, timeout)
    rc = channel.recv_exit_status()
    if rc >= 0:
        return rc
    connection = channel.get_transport()
    if not connection.is_active():
        raise lost(host, "")
    return SIGNALLED
