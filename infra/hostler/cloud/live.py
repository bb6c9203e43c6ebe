"""Instances as they are now: running or not, and where. The state knows only what it last saw."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hostler.cloud.session import asking, client, pages, side_by_side
from hostler.cloud.types import Rented
from hostler.errors import ProvisionError

GONE = ("shutting-down", "terminated")
RUNS = ("pending", "running")
BY_ITSELF = "Client.InstanceInitiatedShutdown"  # by a shutdown from inside
FORGOTTEN = ""  # about an hour after its end AWS knows nothing of it
CHECKS = ("InstanceStatus", "SystemStatus")
START_S = 180.0
EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """By slot. `there`: with state and addresses of now; `ended`: AWS's code of how the others ended, FORGOTTEN where it
    does not know them any more."""

    there: Mapping[str, Rented]
    ended: Mapping[str, str]


def look(rented: Iterable[Rented]) -> Look:
    """All regions side by side. Raises ProvisionError."""
    regions: defaultdict[str, list[Rented]] = defaultdict(list)
    for machine in rented:
        regions[machine.candidate.region].append(machine)
    answers = side_by_side(lambda region: _region(region, regions[region]), regions)
    said = {one["InstanceId"]: one for answer in answers.values() for one in answer}
    there: dict[str, Rented] = {}
    ended: dict[str, str] = {}
    for machine in (machine for machines in regions.values() for machine in machines):
        one = said.get(machine.id)
        if one is None or one["State"]["Name"] in GONE:
            ended[machine.slot] = _code(one) if one else FORGOTTEN
        else:
            there[machine.slot] = _as_now(machine, one)
    return Look(there=there, ended=ended)


def live(rented: Iterable[Rented]) -> Mapping[str, Rented]:
    """Those that are there."""
    return look(rented).there


def _region(region: str, machines: list[Rented]) -> list[dict[str, Any]]:
    """Filters instead of ids: an unknown id would be an error for all of them."""
    ids = [machine.id for machine in machines]
    with asking(f"instances of {region}", region):
        ec2 = client("ec2", region)
        answers = pages(
            ec2, "describe_instances", "Reservations", Filters=[{"Name": "instance-id", "Values": ids}]
        )
    return [one for answer in answers for one in answer["Instances"]]


def _as_now(machine: Rented, one: Mapping[str, Any]) -> Rented:
    return replace(
        machine,
        state=one["State"]["Name"],
        public_ip=one.get("PublicIpAddress", ""),
        private_ip=one.get("PrivateIpAddress", ""),
        since=one["LaunchTime"].timestamp() if one.get("LaunchTime") else None,
        stopped_by="" if one["State"]["Name"] in RUNS else _code(one),
    )


def _code(one: Mapping[str, Any]) -> str:
    """Never FORGOTTEN: AWS knows it, and may not say why it ended."""
    why: Mapping[str, Any] = one.get("StateReason") or {}
    return str(why.get("Code") or one["State"]["Name"])


def ended(machine: Rented) -> str:
    """How it ended, in AWS's words; empty: it has not. Raises ProvisionError."""
    region = machine.candidate.region
    with asking(f"{machine.slot} ({machine.id})", region):
        mine = [{"Name": "instance-id", "Values": [machine.id]}]
        answers = pages(client("ec2", region), "describe_instances", "Reservations", Filters=mine)
    found = [one for answer in answers for one in answer["Instances"]]
    if not found:
        return "gone"  # an hour after its end AWS forgets it
    if found[0]["State"]["Name"] not in GONE:
        return ""
    why: dict[str, Any] = found[0].get("StateReason") or {}
    return str(why.get("Message") or why.get("Code") or found[0]["State"]["Name"])


def impaired(machine: Rented) -> bool:
    """Whether AWS's own checks do not reach the instance: it has no network, or its system does not start. Raises
    ProvisionError."""
    region = machine.candidate.region
    with asking(f"{machine.slot} ({machine.id})", region):
        answer = client("ec2", region).describe_instance_status(InstanceIds=[machine.id])
    checks = [one[name]["Status"] for one in answer["InstanceStatuses"] for name in CHECKS if name in one]
    return "impaired" in checks


def stop(machines: Iterable[Rented], tell: Callable[[str], None]) -> None:
    """Stops them, which keeps their disks. AWS's word that it will is enough. Raises ProvisionError."""
    for machine in machines:
        tell(f"{machine.slot}: stopping {machine.id}; its disk is kept, and costs")
        region = machine.candidate.region
        with asking(f"{machine.slot} ({machine.id})", region):
            client("ec2", region).stop_instances(InstanceIds=[machine.id])


def start(machines: Iterable[Rented], tell: Callable[[str], None]) -> None:
    """Starts those that are stopped, and waits until they run. Raises ProvisionError."""
    stopped = [machine for machine in machines if machine.stopped]
    for machine in stopped:
        who = (
            "when it was idle"
            if machine.stopped_by == BY_ITSELF
            else "outside of hostler, or by hostler sleep"
        )
        tell(f"{machine.slot}: starting {machine.id}, which was stopped {who}")
        _begin(machine)
    until = time.monotonic() + START_S
    while stopped and any(m.state != "running" for m in live(stopped).values()):
        if time.monotonic() > until:
            raise ProvisionError.of(
                ", ".join(machine.slot for machine in stopped),
                expected=f"an instance that runs within {START_S:.0f} s of its start",
                got=", ".join(f"{m.id}: {m.state}" for m in live(stopped).values()),
                next_step="look at it in AWS's console; `hostler up` goes on when it runs",
            )
        time.sleep(EVERY_S)


def _begin(machine: Rented) -> None:
    region = machine.candidate.region
    with asking(f"{machine.slot} ({machine.id})", region):
        ec2 = client("ec2", region)
        if machine.state == "stopping":
            ec2.get_waiter("instance_stopped").wait(
                InstanceIds=[machine.id], WaiterConfig={"Delay": 2, "MaxAttempts": 150}
            )
        ec2.start_instances(InstanceIds=[machine.id])
