"""The end of things that no state knows, or that a state no longer can end: in order, waited for, and read back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hostler.cloud import kinds
from hostler.cloud.session import asking, client, side_by_side
from hostler.cloud.trouble import AwsError
from hostler.cloud.types import Holding

TRIES = 24  # of what something else still uses: an ended instance keeps its groups and subnet for a while
PAUSE_S = 5.0
INSTANCE_TRIES = 120
STILL_USED = ("DependencyViolation", "InvalidIPAddress.InUse", "VolumeInUse", "ResourceInUse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What became of a holding; `why` it is not gone."""

    holding: Holding
    gone: bool
    why: str = ""


def remove(held: Sequence[Holding], *, pause: float = PAUSE_S) -> tuple[Removed, ...]:
    """Ends them, region by region side by side, instances first; waits, and reads back. Gone is what AWS no longer
    lists. An error is a reason, not an exception. Buckets stay: the one that made the state ends it."""
    by_region = {one.region: [x for x in held if x.region == one.region] for one in held}
    answers = side_by_side(lambda region: _of_region(region, by_region[region], pause), by_region)
    found = {one.holding: one for answer in answers.values() for one in answer}
    return tuple(found[one] for one in held)


def _of_region(region: str, held: Sequence[Holding], pause: float) -> list[Removed]:
    try:
        with asking(f"what {region} holds", region):
            ec2 = client("ec2", region)
    except AwsError as error:
        return [Removed(holding=one, gone=False, why=error.problems[0].got) for one in held]
    why: dict[Holding, str] = {}
    for name in kinds.ORDER:
        mine = [one for one in held if one.kind == name]
        for one in mine if name == "security group" else ():
            _trouble(one, lambda one=one: _open(ec2, one.id))  # what is in the way is said by its end
        for one in mine:
            why[one] = _attached(one, held) or _end(ec2, one, pause)
        for one in mine if name == "instance" else ():
            why[one] = why[one] or _trouble(one, lambda one=one: _wait(ec2, one.id, pause))
    return [_read_back(ec2, one, why[one], pause) for one in held]


def _attached(one: Holding, held: Sequence[Holding]) -> str:
    """Why a disk stays: its instance does. Others go with their instance, or are free when that has gone."""
    stays = one.part_of and one.part_of not in {other.id for other in held}
    return f"it is attached to {one.part_of}, which stays" if stays else ""


def _trouble(one: Holding, act: Callable[[], None]) -> str:
    """Why it did not work; empty: it did, or there was nothing any more."""
    try:
        with asking(f"the end of {one.kind} {one.id} in {one.region}", one.region):
            act()
    except AwsError as error:
        return "" if "NotFound" in error.aws_code else error.problems[0].got
    return ""


def _end(ec2: Any, one: Holding, pause: float) -> str:
    """Why it did not work. What something else still uses is tried again."""
    if one.kind == kinds.BUCKET:
        return ""
    why = ""
    for _ in range(TRIES):
        why = _trouble(one, lambda: ENDS[one.kind](ec2, one.id))
        if not why.startswith(STILL_USED):
            break
        time.sleep(pause)
    return why


def _wait(ec2: Any, name: str, pause: float) -> None:
    limits = {"Delay": pause, "MaxAttempts": INSTANCE_TRIES}
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[name], WaiterConfig=limits)


def _read_back(ec2: Any, one: Holding, why: str, pause: float) -> Removed:
    if one.kind == kinds.BUCKET:
        return Removed(
            holding=one, gone=False, why="a bucket may hold the state of machines: it is not removed here"
        )
    try:
        listed = False
        for _ in range(TRIES):  # a root disk goes a moment after its instance
            with asking(f"what {one.region} holds of kind {one.kind}", one.region):
                held = kinds.list_kind(ec2, kinds.BY_NAME[one.kind], one.region, one.uid)
            listed = one.id in {other.id for other in held}
            if not listed or why or not one.part_of:
                break
            time.sleep(pause)
    except AwsError as error:
        return Removed(holding=one, gone=False, why=f"it is not known: {error.problems[0].got}")
    return Removed(holding=one, gone=not listed, why=(why or "AWS still lists it") if listed else "")


def _open(ec2: Any, name: str) -> None:
    """A security group without rules: groups that name each other hold each other fast."""
    for found in ec2.describe_security_groups(GroupIds=[name])["SecurityGroups"]:
        for rules, revoke in (
            (found["IpPermissions"], ec2.revoke_security_group_ingress),
            (found["IpPermissionsEgress"], ec2.revoke_security_group_egress),
        ):
            if rules:
                revoke(GroupId=name, IpPermissions=rules)


def _instance(ec2: Any, name: str) -> None:
    ec2.terminate_instances(InstanceIds=[name])


def _volume(ec2: Any, name: str) -> None:
    ec2.delete_volume(VolumeId=name)


def _address(ec2: Any, name: str) -> None:
    for found in ec2.describe_addresses(AllocationIds=[name])["Addresses"]:
        if found.get("AssociationId"):
            ec2.disassociate_address(AssociationId=found["AssociationId"])
    ec2.release_address(AllocationId=name)


def _group(ec2: Any, name: str) -> None:
    ec2.delete_security_group(GroupId=name)


def _subnet(ec2: Any, name: str) -> None:
    ec2.delete_subnet(SubnetId=name)


def _route_table(ec2: Any, name: str) -> None:
    for found in ec2.describe_route_tables(RouteTableIds=[name])["RouteTables"]:
        for association in _loose(found.get("Associations", [])):
            ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=name)


def _loose(associations: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Not the main one, which goes with its network."""
    yield from (one["RouteTableAssociationId"] for one in associations if not one.get("Main"))


def _gateway(ec2: Any, name: str) -> None:
    for found in ec2.describe_internet_gateways(InternetGatewayIds=[name])["InternetGateways"]:
        for attached in found.get("Attachments", []):
            ec2.detach_internet_gateway(InternetGatewayId=name, VpcId=attached["VpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=name)


def _network(ec2: Any, name: str) -> None:
    ec2.delete_vpc(VpcId=name)


def _key_pair(ec2: Any, name: str) -> None:
    ec2.delete_key_pair(KeyName=name)


ENDS: dict[str, Callable[[Any, str], None]] = {
    "instance": _instance,
    "volume": _volume,
    "address": _address,
    "security group": _group,
    "subnet": _subnet,
    "route table": _route_table,
    "gateway": _gateway,
    "network": _network,
    "key pair": _key_pair,
}
