"""A rented host's first contact: trusted by the key that its user data gave it, which is exchanged at once.

The order lets no crash lock us out: the host makes a new key and tells it, it is written down beside the state as the
next one, then the host uses it, then the first one is forgotten. A host with two keys on paper is tried with both.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hostler.cloud import egress
from hostler.cloud.types import Rented
from hostler.console.out import Out
from hostler.errors import HostError, HostlerError
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Host
from hostler.record.types import Record
from hostler.rollout import rented, stackkey
from hostler.stackfile.sections import StackFile

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet

READY_S = 300.0  # from the instance's start to its first answer
AGAIN_S = 20.0  # from the exchange of its key to the next one
EVERY_S = 1.0
AT_ONCE = 32


def meet(
    file: StackFile,
    fleet: Fleet,
    machines: Sequence[Rented],
    documents: Mapping[str, Any],
    *,
    record: Record,
    out: Out,
) -> None:
    """All of them side by side. Raises HostError: one that does not answer in READY_S ends itself half an hour after
    its start, and the next `up` goes on."""
    if not machines:
        return
    found = dict(documents)
    key = str(stackkey.path(file, fleet))

    def work(machine: Rented) -> tuple[Host, str]:
        out.live(f"{machine.slot}: waiting for its first answer")
        return _first_answer(machine, found[machine.slot], key)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        met = list(threads.map(work, machines))
    for host, public in met:
        keys = dict.fromkeys((public, *found[host.name]["keys"]))
        found[host.name] = {**found[host.name], "keys": list(keys)}
    fleet.keep(rented.HOSTS, found)
    for host, public in met:
        agent_call_of(host, "hostkey-use", public=public)
        fresh = replace(host, ssh=replace(host.ssh, host_key=public))
        _patiently(fresh, "adopt", uid=record.uid)
        found[host.name] = {**found[host.name], "keys": [public], "met": True}
        out.say(f"{host.name}: met; it has a host key of its own now")
    fleet.keep(rented.HOSTS, found)


def _first_answer(machine: Rented, document: Mapping[str, Any], key: str) -> tuple[Host, str]:
    """The host by the key that it shows, and the key that it will have. An instance that runs has no SSH yet."""
    hosts = [rented.host_of(machine, document, key, public) for public in document["keys"]]
    until = time.monotonic() + READY_S
    while True:
        for host in hosts:
            try:
                answer = agent_call_of(host, "hostkey-make", old=document["keys"][-1])
                return host, str(answer["public"])
            except HostlerError as error:
                if time.monotonic() > until:
                    raise _silent(machine, error) from error
        time.sleep(EVERY_S)


def _patiently(host: Host, op: str, **request: Any) -> dict[str, Any]:
    """An sshd that reads its keys anew takes no connection for a moment."""
    until = time.monotonic() + AGAIN_S
    while True:
        try:
            return agent_call_of(host, op, **request)
        except HostlerError:
            if time.monotonic() > until:
                raise
        time.sleep(EVERY_S)


def _silent(machine: Rented, error: HostlerError) -> HostError:
    return HostError.of(
        machine.slot,
        expected=f"an answer over SSH within {READY_S:.0f} s of its start",
        got=error.problems[0].got if error.problems else str(error),
        next_step="`hostler up` tries again; half an hour after its start the host ends itself",
    )


def agent_call_of(host: Host, op: str, **request: Any) -> dict[str, Any]:
    with closing(transport_for(host)) as transport:
        return agent_call(transport, op, **request)


def egress_of(host: Host) -> str:
    """The network from which a host reaches AWS. Raises HostError."""
    return egress.network(str(agent_call_of(host, "egress")["address"]))
