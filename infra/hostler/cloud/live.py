"""Instances as they are now: running or not, and where. The state knows only what it last saw."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from hostler.cloud.session import asking, client, pages, side_by_side
from hostler.cloud.types import Rented
from hostler.errors import ProvisionError

GONE = ("shutting-down", "terminated")
CHECKS = ("InstanceStatus", "SystemStatus")
START_S = 180.0
EVERY_S = 1.0


def live(rented: Iterable[Rented]) -> Mapping[str, Rented]:
    """By slot, with state and addresses of now; those that are gone are left out. All regions side by side."""
    regions: defaultdict[str, list[Rented]] = defaultdict(list)
    for machine in rented:
        regions[machine.candidate.region].append(machine)
    found = side_by_side(lambda region: _region(region, regions[region]), regions)
    return {machine.slot: machine for machines in found.values() for machine in machines}


def _region(region: str, machines: list[Rented]) -> list[Rented]:
    """Filters instead of ids: an unknown id would be an error for all of them."""
    ids = [machine.id for machine in machines]
    with asking(f"instances of {region}", region):
        ec2 = client("ec2", region)
        answers = pages(
            ec2, "describe_instances", "Reservations", Filters=[{"Name": "instance-id", "Values": ids}]
        )
    seen = {one["InstanceId"]: one for answer in answers for one in answer["Instances"]}
    return [
        replace(
            machine,
            state=one["State"]["Name"],
            public_ip=one.get("PublicIpAddress", ""),
            private_ip=one.get("PrivateIpAddress", ""),
            since=one["LaunchTime"].timestamp() if one.get("LaunchTime") else None,
        )
        for machine in machines
        if (one := seen.get(machine.id)) and one["State"]["Name"] not in GONE
    ]


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


def start(machines: Iterable[Rented], tell: Callable[[str], None]) -> None:
    """Starts those that somebody stopped, and waits until they run. Raises ProvisionError."""
    stopped = [machine for machine in machines if machine.state in ("stopped", "stopping")]
    for machine in stopped:
        tell(f"{machine.slot}: starting {machine.id}, which was stopped outside of hostler")
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
                InstanceIds=[machine.id], WaiterConfig={"Delay": 2, "MaxAttempts": 60}
            )
        ec2.start_instances(InstanceIds=[machine.id])
