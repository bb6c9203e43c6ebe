"""The address by which AWS sees a machine: what `ssh_from: auto` and `gateway_from: auto` let in."""

from __future__ import annotations

import ipaddress
import urllib.request

from hostler.errors import ProvisionError

ASK = "https://checkip.amazonaws.com"
LIMIT_S = 10.0
MOST = 100  # bytes


def here() -> str:
    """This machine's own, as a network of one address. Raises ProvisionError."""
    try:
        with urllib.request.urlopen(ASK, timeout=LIMIT_S) as answer:
            said = answer.read(MOST).decode("ascii", "replace").strip()
        return network(said)
    except (OSError, ValueError) as error:
        raise ProvisionError.of(
            ASK,
            expected="the address by which this machine reaches the internet",
            got=str(error) or type(error).__name__,
            next_step="name it instead of `auto`, such as ssh_from: [203.0.113.7/32]",
        ) from error


def network(said: str) -> str:
    """`203.0.113.7` as 203.0.113.7/32. Raises ValueError."""
    return str(ipaddress.ip_network(said))
