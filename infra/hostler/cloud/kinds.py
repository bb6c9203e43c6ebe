"""The kinds of things that an account may hold of ours: how each is listed. Removal is in the order of KINDS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hostler.cloud.session import asking, client, pages
from hostler.cloud.types import TAG, Holding

Said = Mapping[str, Any]  # one thing, as AWS describes it


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKind:
    """`operation` and `items`: EC2's Describe call and where its answer has the things; `id`: what removes one."""

    name: str
    operation: str
    items: str
    id: str
    made: str = ""
    state: Callable[[Said], str] = lambda said: str(said.get("State", ""))
    gone: frozenset[str] = frozenset()  # states of what only lingers in the list
    part_of: Callable[[Said], str] = lambda said: ""  # noqa: ARG005 - most are part of nothing
    what: Callable[[Said], str] = lambda said: ""  # noqa: ARG005 - most cost nothing
    market: Callable[[Said], str] = lambda said: ""  # noqa: ARG005


def _disk_of(said: Said) -> str:
    """The instance to which a volume is attached."""
    return next((one["InstanceId"] for one in said.get("Attachments", ())), "")


KINDS = (
    HeldKind(
        name="instance",
        operation="describe_instances",
        items="Reservations",
        id="InstanceId",
        made="LaunchTime",
        state=lambda said: str(said["State"]["Name"]),
        gone=frozenset({"terminated"}),
        what=lambda said: str(said.get("InstanceType", "")),
        market=lambda said: "spot" if said.get("InstanceLifecycle") == "spot" else "on-demand",
    ),
    HeldKind(
        name="volume",
        operation="describe_volumes",
        items="Volumes",
        id="VolumeId",
        made="CreateTime",
        gone=frozenset({"deleting", "deleted"}),
        part_of=_disk_of,
        what=lambda said: str(said.get("Size", "")),
    ),
    HeldKind(name="address", operation="describe_addresses", items="Addresses", id="AllocationId"),
    HeldKind(name="security group", operation="describe_security_groups", items="SecurityGroups", id="GroupId"),
    HeldKind(name="subnet", operation="describe_subnets", items="Subnets", id="SubnetId"),
    HeldKind(name="route table", operation="describe_route_tables", items="RouteTables", id="RouteTableId"),
    HeldKind(
        name="gateway", operation="describe_internet_gateways", items="InternetGateways", id="InternetGatewayId"
    ),
    HeldKind(name="network", operation="describe_vpcs", items="Vpcs", id="VpcId"),
    HeldKind(name="key pair", operation="describe_key_pairs", items="KeyPairs", id="KeyName", made="CreateTime"),
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}
BUCKET = "bucket"
BUCKETS = "hostler-"  # how the names of the account's own begin
ORDER = (*BY_NAME, BUCKET)


def list_kind(ec2: Any, kind: HeldKind, region: str, uid: str | None) -> list[Holding]:
    """Those with our tags; of one stack where a uid is given. Raises botocore's errors."""
    wanted = (
        {"Name": f"tag:{TAG}uid", "Values": [uid]} if uid else {"Name": "tag-key", "Values": [f"{TAG}uid"]}
    )
    found: list[Said] = pages(ec2, kind.operation, kind.items, Filters=[wanted])
    if kind.name == "instance":
        found = [one for reservation in found for one in reservation["Instances"]]
    held = [_holding(kind, one, region) for one in found]
    return [one for one in held if one.state not in kind.gone]


def _holding(kind: HeldKind, said: Said, region: str) -> Holding:
    made = said.get(kind.made) if kind.made else None
    return of_tags(
        said.get("Tags", ()),
        region=region,
        kind=kind.name,
        id=said[kind.id],
        state=kind.state(said),
        since=made.timestamp() if made else None,
        part_of=kind.part_of(said),
        what=kind.what(said),
        market=kind.market(said),
    )


def of_tags(tags: Iterable[Mapping[str, str]], **known: Any) -> Holding:
    """What our tags say, with what else is known."""
    said = {tag["Key"].removeprefix(TAG): tag["Value"] for tag in tags if tag["Key"].startswith(TAG)}
    return Holding(
        uid=said.get("uid", ""),
        stack=said.get("stack", ""),
        slot=said.get("slot", ""),
        owner=said.get("owner", ""),
        lease=seconds(said.get("lease", "")),
        **known,
    )


def seconds(text: str) -> float | None:
    """A lease's tag; None: none, or nonsense. 0 is how a tag says that there is none."""
    return float(text) if text.isascii() and text.isdigit() and int(text) else None


def buckets(uid: str | None) -> list[Holding]:
    """The account's buckets with our tags. Raises ProvisionError."""
    with asking("buckets of the account"):
        s3 = client("s3")
        named = pages(s3, "list_buckets", "Buckets", Prefix=BUCKETS)
    found = [_bucket(one) for one in named if one["Name"].startswith(BUCKETS)]
    return [one for one in found if one and (one.uid == uid if uid else one.uid)]


def _bucket(said: Said) -> Holding | None:
    """None: it has no tags, or is gone meanwhile."""
    name, none = said["Name"], ("NoSuchTagSet", "NoSuchBucket")
    with asking(f"tags of the bucket {name}"):
        s3 = client("s3")
        try:
            tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
            region = s3.get_bucket_location(Bucket=name).get("LocationConstraint") or "us-east-1"
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in none:
                return None
            raise
    made = said.get("CreationDate")
    return of_tags(tags, region=region, kind=BUCKET, id=name, since=made.timestamp() if made else None)
