"""Who may reach rented hosts where the stack file says `auto`: its operators, and the gateway's host."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hostler.cloud import egress
from hostler.errors import HostlerError
from hostler.rollout import meeting
from hostler.rollout.observe import Observation

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet

HOST = "host "  # before the name of the gateway's host, where an operator's would be
DOCUMENT = "networks"  # beside the state: operator -> the network from which they came last


def owner() -> str:
    """Who runs this: user@machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def note(observation: Observation, fleet: Fleet) -> None:
    """Where this operator and the gateway's host are, for the `auto` of others, too: nobody locks another one out."""
    if automatic(observation):
        noted = dict(fleet.document(DOCUMENT) or {})
        found = {**_of_now(noted, observation), owner(): egress.here(), **_gateway(observation, noted)}
        if found != noted:
            fleet.keep(DOCUMENT, found)


def _of_now(noted: Mapping[str, str], observation: Observation) -> dict[str, str]:
    """Without a host that has the gateway no more."""
    gateway = f"{HOST}{observation.gateway.name}"
    return {who: network for who, network in noted.items() if who == gateway or not who.startswith(HOST)}


def _gateway(observation: Observation, noted: Mapping[str, str]) -> dict[str, str]:
    """Of the gateway's own host, where it is not rented; as last noted where it cannot be asked now. Raises HostError
    where it was never known."""
    gateway, seen = observation.gateway, observation.seen.get(observation.gateway.name)
    if not gateway.owned or gateway.ssh.local or not seen or not seen.reached:
        return {}
    name = f"{HOST}{gateway.name}"
    try:
        return {name: meeting.egress_of(gateway)}
    except HostlerError:
        if name not in noted:
            raise
        return {name: noted[name]}


def fresh(fleet: Fleet) -> str:
    """The network of this machine where it is not the one that is noted; else empty."""
    here = egress.here()
    return "" if (fleet.document(DOCUMENT) or {}).get(owner()) == here else here


def ours(observation: Observation, fleet: Fleet) -> tuple[str, ...]:
    """The networks of this machine, of other operators as last noted, and of the gateway's host; none where no pool
    says `auto`. Raises ProvisionError, HostError."""
    if not automatic(observation):
        return ()
    noted = dict(fleet.document(DOCUMENT) or {})
    found = {**_of_now(noted, observation), owner(): egress.here(), **_gateway(observation, noted)}.values()
    return tuple(sorted(set(found)))


def automatic(observation: Observation) -> bool:
    stack = observation.file.stack
    pools = [pool.aws for pool in stack.pools.values() if pool.aws]
    words = [word for aws in pools for word in (*aws.ssh_from, *aws.gateway_from)]
    return "auto" in (*words, *(() if observation.gateway.owned else stack.gateway.clients_from))
