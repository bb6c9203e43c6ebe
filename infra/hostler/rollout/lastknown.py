"""What is rented while AWS cannot be asked: as this machine saw it last, and as the record has it. Never gone, never none.

Kept 0600 beside the stack's other files of this machine at each good look. Host keys are checked as ever: an address that
somebody else has by now is no host of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.cloud.slots import Slots
from hostler.cloud.trouble import AwsError
from hostler.codec import decode, encode
from hostler.errors import HostlerError, ProvisionError
from hostler.hosts import ways
from hostler.hosts.types import Host, Seen, Slot
from hostler.record.types import Record
from hostler.rollout import rented, stackkey
from hostler.rollout.rented import Cloud
from hostler.stackfile.sections import StackFile

NAME = "lastknown.json"
UNKNOWN = "unknown"  # Seen.error_kind
AFTER_FIRST_S = 5.0  # the gateway's host does not wait longer for machines that may be no more

NO_RIGHTS = ProvisionError.of(
    "AWS",
    expected="rights to ask what is rented",
    got="none: the controller has none",
    next_step="`hostler status` on a machine that has them",
)

type Tell = Callable[[str], None]


def known(file: StackFile, without: Tell | None = None) -> Cloud:
    """What is rented now. Where that cannot be found out: ProvisionError; or, where `without` hears of it, as it was last
    known (`why` says why). The controller asks only while it rents: else it has no rights in the cloud."""
    if not ways.has_rights():
        return _recalled(file, NO_RIGHTS)
    try:
        cloud = rented.known(file)
    except ProvisionError as error:
        if without is None:
            raise
        cloud = _recalled(file, error)
        for line in _said(cloud, error):
            without(line)
        return cloud
    if cloud.uid:
        with suppress(OSError):  # no room here is no reason to show nothing
            operator.write_json(_place(file), {**encode(cloud), "at": time.time()})
    return cloud


def date(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def row(cloud: Cloud | None, now: float) -> dict[str, Any] | None:
    """For `--json`; None: the stack rents nothing."""
    if cloud is None:
        return None
    return {
        "known": not cloud.why,
        "error": str(cloud.why[0]) if cloud.why else None,
        "next": cloud.why[0].next_step if cloud.why else None,
        "age_s": round(now - cloud.at, 1) if cloud.at else None,
    }


def with_record(file: StackFile, cloud: Cloud, record: Record | None) -> Cloud:
    """With the slots as the record has them, and hosts of which this machine knows nothing, or what was before."""
    slots: Mapping[str, Slot] = record.slots if record else rented.pools(cloud)
    key = operator.stack_home(file.stack.stack) / stackkey.NAME
    hosts = {**cloud.hosts}
    if record and (key.exists() or ways.folder()):
        for name, host in record.hosts.items():
            before = hosts.get(name)
            if not host.owned and (not before or before.ssh.host_key != host.ssh.host_key):
                hosts[name] = replace(host, ssh=replace(host.ssh, key=str(key)))
    return replace(
        cloud,
        slots=Slots(slots=slots),
        hosts={name: host for name, host in hosts.items() if name in slots and not slots[name].given_back},
        rented={name: machine for name, machine in cloud.rented.items() if name in slots},
    )


def seen_of(cloud: Cloud, hosts: Iterable[Host], seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """What `seen` has of these hosts and of those that were rented. Rented ones that do not answer where they were, or
    were nowhere, are unknown, each with the way to know."""
    every = {host.name: host for host in (*cloud.hosts.values(), *hosts)}
    return {
        name: _unknown(cloud, name, seen.get(name))
        if not host.owned and not (name in seen and seen[name].reached)
        else seen[name]
        for name, host in every.items()
    }


def _unknown(cloud: Cloud, name: str, before: Seen | None) -> Seen:
    error = f"{before.error}, where it was last" if before else "expected its address; got none"
    return Seen(
        host=name,
        at=before.at if before else time.time(),
        seconds=before.seconds if before else 0.0,
        error=f"{error}; where it is now is unknown",
        error_kind=UNKNOWN,
        next_step=cloud.why[0].next_step,
    )


def refuse_homeless(file: StackFile, cloud: Cloud, hosts: tuple[Host, ...]) -> None:
    """Raises ProvisionError where the gateway is rented, and this machine does not know where."""
    name = file.stack.gateway.host or rented.gateway_slot(file, hosts, cloud.home)
    if not any(host.name == name and host.ssh.address for host in hosts):
        raise ProvisionError(*cloud.why)


def _recalled(file: StackFile, error: HostlerError) -> Cloud:
    try:
        cloud = decode(Cloud, operator.read_json(_place(file)), NAME)
    except ValueError:  # none, one of another version, or damaged
        cloud = Cloud(uid="", home="", dead=(), stood=(), rented={}, hosts={}, documents={}, regions=())
    return replace(
        cloud,
        why=error.problems,
        dead=(),
        rented={slot: replace(machine, state=UNKNOWN) for slot, machine in cloud.rented.items()},
        hosts={
            slot: replace(host, where=file.where(f"pools.{host.pool}")) for slot, host in cloud.hosts.items()
        },
    )


def _said(cloud: Cloud, error: HostlerError) -> tuple[str, ...]:
    """Why it is not known, and what to do. A bucket or a passphrase may be in the way where AWS itself answers."""
    problem = error.problems[0]
    what = (
        "AWS could not be asked" if isinstance(error, AwsError) else "what is rented could not be found out"
    )
    since = f"last seen {date(cloud.at)}" if cloud.at else "and was never seen from this machine"
    line = f"warning: {what} ({problem}); what is rented is unknown, {since}"
    return (line, f"next: {problem.next_step}") if problem.next_step else (line,)


def _place(file: StackFile) -> Path:
    return operator.stack_home(file.stack.stack) / NAME
