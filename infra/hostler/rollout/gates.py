"""What a plan must say, and what stops it before anything is changed."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence

from hostler.configure import base, docker, driver, power
from hostler.configure.doors import client_address
from hostler.configure.types import Notice, Plan
from hostler.errors import Exit, Problem, RefusedError
from hostler.hosts.connect import address_of
from hostler.hosts.types import Host, Seen
from hostler.models.types import Placement
from hostler.record.types import Record
from hostler.stackfile.sections import StackFile

IPV4 = 4


class PlanRefused(RefusedError):
    """A host that is not fit, a model that fits nowhere, an address that would be open to all."""

    code = Exit.REFUSED


def notices(
    file: StackFile,
    hosts: Sequence[Host],
    seen: Mapping[str, Seen],
    placement: Placement,
    record: Record,
    gateway: str,
    waiting: Collection[str] = (),
    resting: Collection[str] = (),
) -> tuple[Notice, ...]:
    """Everything that a person should know before the yes. `record`: as it was before; `gateway`: the host that
    it will be on; `waiting`: hosts that get their driver first, of whose cards nothing is known yet; `resting`:
    pools with parked slots."""
    known = [host for host in hosts if host.name not in waiting]
    return (
        *(notice for host in known for notice in driver.refusals(seen[host.name])),
        *(notice for host in hosts for notice in base.account_notices(seen[host.name])),
        *(notice for host in hosts for notice in docker.notices(seen[host.name])),
        *(notice for host in hosts for notice in docker.swarm_notices(seen[host.name])),
        *(notice for host in known for notice in power.notices(file, host, seen[host.name])),
        *_cards(known, seen, record),
        *_homeless(file, placement, resting),
        *_door(file, next(host for host in hosts if host.name == gateway), seen[gateway]),
    )


def refuse(plan: Plan, *, allow_downtime: bool) -> None:
    """Raises PlanRefused with everything that stops this plan."""
    levels = ("refuse",) if allow_downtime else ("refuse", "downtime")
    problems = [
        Problem(
            where=n.where or plan.stack,
            expected=n.expected or "a plan that can be carried out",
            got=n.text,
            next_step=n.next_step,
        )
        for n in plan.notices
        if n.level in levels
    ]
    if not allow_downtime:
        problems += [
            _downtime(model, seconds, plan.downtime_why.get(model, ""))
            for model, seconds in plan.downtime_s.items()
        ]
    if problems:
        raise PlanRefused(*problems)


def _downtime(model: str, seconds: float, why: str) -> Problem:
    return Problem(
        where=f"model {model}",
        expected="another replica to serve meanwhile",
        got=f"none: it could not answer for about {seconds:.0f} s" + (f"; {why}" if why else ""),
        next_step="repeat with --allow-downtime, or give it `replicas: 2`",
    )


def moved(file: StackFile, before: Record | None, gateway: Host, *, serves: bool) -> Iterator[Notice]:
    """The gateway goes to another host: clients at its address of before are cut. `serves`: it has clients now."""
    if before is None or before.gateway_host == gateway.name:
        return
    former = before.hosts.get(before.gateway_host)
    old = client_address(file, former) if former else before.gateway_host
    new = address_of(gateway) if gateway.ssh.address or gateway.ssh.local else "an address that AWS gives it"
    tell = (
        f"{old} has to point to {new}" if file.stack.gateway.address else f"clients of {old} find it at {new}"
    )
    yield Notice(
        level="downtime" if serves else "warning",
        where=gateway.name,
        expected="a gateway that stays where its clients know it",
        text=f"the gateway moves here from {before.gateway_host}: {tell}, and what is under way is cut",
        next_step="repeat with --allow-downtime, then tell clients: `hostler connect` has address and certificate",
    )


def _cards(hosts: Sequence[Host], seen: Mapping[str, Seen], record: Record) -> Iterator[Notice]:
    """Cards that were agreed to be there and are not. A rented machine that replaces another has its own."""
    for host in hosts:
        facts, expected = seen[host.name].facts, record.expected.get(host.name)
        if not facts or not expected or (not host.owned and facts.machine_id != expected.machine_id):
            continue
        there = {card.uuid for card in facts.cards}
        for uuid, name, _ in expected.cards:
            if uuid not in there:
                yield Notice(
                    level="warning", where=host.name, text=f"{name} {uuid} is missing; it was there before"
                )


def _homeless(file: StackFile, placement: Placement, resting: Collection[str]) -> Iterator[Notice]:
    """`resting`: pools with parked slots."""
    for replica in placement.missing:
        reasons = [f"{r.where}: {r.reason}" for r in placement.rejected if r.replica == replica]
        model = replica.rpartition("-")[0]
        where = file.where(f"models.{model}") if model in file.stack.models else file.path
        section = file.stack.models.get(model)
        asleep = [pool for pool in section.pool if pool in resting] if section else []
        if asleep:
            text = f"{replica} waits for a host: {', '.join(asleep)} has parked ones (`hostler wake {asleep[0]}`)"
            yield Notice(level="warning", where=where, text=text)
        else:
            yield Notice(level="refuse", where=where, text=f"{replica} fits nowhere: {'; '.join(reasons)}")


def _door(file: StackFile, gateway_host: Host, seen: Seen) -> Iterator[Notice]:
    """A private address defaults to no TLS, and the plan says so; a public one needs TLS and keys."""
    gateway = file.stack.gateway
    if gateway.tls not in (None, "none"):
        return
    own = seen.facts.addresses if seen.facts else ()
    used = resolved(client_address(file, gateway_host))  # what clients are told, perhaps a router's
    public = [address for address in (*own, *used) if is_public(address)]
    if public:
        yield Notice(
            level="refuse",
            where=file.where("gateway.tls"),
            text=f"{public[0]} is a public address, and keys would cross it in the clear; set gateway.tls to private-ca or {{cert, key}}",
        )
    else:
        yield Notice(
            level="note",
            where=file.where("gateway.tls"),
            text="no TLS: keys, prompts and answers cross this private network in the clear; `tls: private-ca` changes that",
        )


def resolved(name: str | None) -> tuple[str, ...]:
    """The addresses behind a name; none when it has none yet."""
    if not name:
        return ()
    try:
        return tuple(str(found[4][0]) for found in socket.getaddrinfo(name, None))
    except OSError:
        return ()


def is_public(address: str) -> bool:
    """Whether the gateway could be reached there from anywhere: it listens on IPv4 alone."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return found.version == IPV4 and found.is_global
