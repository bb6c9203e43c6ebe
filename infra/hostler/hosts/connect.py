"""From a host to its door."""

from __future__ import annotations

from . import ways
from .local import LocalTransport
from .transport import Transport
from .types import Host


def transport_for(host: Host) -> Transport:
    """The transport of a host: nothing is connected before it is used. Close it in the end."""
    host = ways.through(host)
    if host.ssh.local:
        return LocalTransport(host.name)
    from .ssh import SshTransport

    return SshTransport(host)


def address_of(host: Host) -> str:
    """The name or address that this machine connects to, ~/.ssh/config followed; 127.0.0.1 for `local`."""
    if (told := ways.used(host)) is not None:
        return told
    if host.ssh.local:
        return "127.0.0.1"
    from .sshconfig import route

    return route(host.ssh, host.name).address
