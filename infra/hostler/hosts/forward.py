"""A port on a host's loopback that leads here, over an SSH connection of its own: for as long as it is open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import paramiko
from paramiko.ssh_exception import SSHException

from hostler.errors import HostError

from .ssh import connect
from .sshconfig import route
from .types import Host

LOOPBACK = "127.0.0.1"


@contextmanager
def forwarded(host: Host, answer: Callable[[paramiko.Channel], None]) -> Generator[int]:
    """The port, which sshd chose. `answer` gets each connection to it, as a channel that is like a socket, on a thread
    of its own. Nothing listens on this machine. Raises HostTrouble, or HostError where sshd does not let it."""
    chain = connect(route(host.ssh, host.name), host.name)

    def serve(channel: paramiko.Channel) -> None:
        with suppress(OSError, EOFError, SSHException):  # the other side went away
            try:
                answer(channel)
            finally:
                channel.close()

    def begin(channel: paramiko.Channel, _origin: tuple[str, int], _server: tuple[str, int]) -> None:
        threading.Thread(target=serve, args=(channel,), daemon=True, name=f"giver-{host.name}").start()

    try:
        try:
            port = chain[-1].request_port_forward(LOOPBACK, 0, begin)
        except (SSHException, OSError, EOFError) as error:
            raise _refused(host, str(error)) from error
        yield port
    finally:
        for transport in reversed(chain):
            transport.close()


def _refused(host: Host, said: str) -> HostError:
    return HostError.of(
        host.name,
        expected="sshd to give the operator's connection a port on its loopback, over which weights come",
        got=said or "no answer",
        next_step="`AllowTcpForwarding remote` (or `yes`, and no `PermitListen none`) in its sshd_config for this user, "
        "then `systemctl reload ssh`; or copy the files there by hand, to the paths that `hostler plan` shows",
    )
