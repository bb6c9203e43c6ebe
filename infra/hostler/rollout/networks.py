"""Who may reach rented hosts where the stack file says `auto`: its operators, and the gateway's host."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

from hostler.cloud import egress
from hostler.rollout import meeting
from hostler.rollout.observe import Observation

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet

DOCUMENT = "networks"  # beside the state: operator -> the network from which they came last


def owner() -> str:
    """Who runs this: user@machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def note(observation: Observation, fleet: Fleet) -> None:
    """Where this operator is, for the `auto` of others, too: nobody locks another one out."""
    if automatic(observation):
        noted = dict(fleet.document(DOCUMENT) or {})
        if noted.get(owner()) != (here := egress.here()):
            fleet.keep(DOCUMENT, {**noted, owner(): here})


def fresh(fleet: Fleet) -> str:
    """The network of this machine where it is not the one that is noted; else empty."""
    here = egress.here()
    return "" if (fleet.document(DOCUMENT) or {}).get(owner()) == here else here


def ours(observation: Observation, fleet: Fleet) -> tuple[str, ...]:
    """The networks of this machine, of other operators as last noted, and of the gateway's host; none where no pool
    says `auto`. Raises ProvisionError, HostError."""
    if not automatic(observation):
        return ()
    others = {who: network for who, network in (fleet.document(DOCUMENT) or {}).items() if who != owner()}
    found = [egress.here(), *others.values()]
    gateway, seen = observation.gateway, observation.seen.get(observation.gateway.name)
    if gateway.owned and not gateway.ssh.local and seen and seen.reached:
        found.append(meeting.egress_of(gateway))
    return tuple(sorted(set(found)))


def automatic(observation: Observation) -> bool:
    stack = observation.file.stack
    pools = [pool.aws for pool in stack.pools.values() if pool.aws]
    words = [word for aws in pools for word in (*aws.ssh_from, *aws.gateway_from)]
    return "auto" in (*words, *(() if observation.gateway.owned else stack.gateway.clients_from))
