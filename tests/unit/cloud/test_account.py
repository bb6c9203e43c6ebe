"""What an account holds of ours, what is stray, and its end; moto is the account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from hostler.cloud import account, kinds, removal
from hostler.cloud.identity import identity
from hostler.cloud.trouble import AwsError
from hostler.cloud.types import Holding

REGION = "eu-central-1"
NOW = 2_000_000_000.0
TAGS = {"hostler:uid": "u1", "hostler:stack": "office", "hostler:owner": "ann@desk"}
KINDS = (
    "instance", "volume", "volume", "address", "security group", "security group", "subnet", "route table", "gateway",
    "network", "key pair", "bucket",
)  # fmt: skip


def tags(kind: str, **more: str) -> list[dict[str, Any]]:
    said = {**TAGS, **{f"hostler:{name}": value for name, value in more.items()}}
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in said.items()]}]


def made(ec2: Any, uid: str = "u1") -> None:
    """A stack with everything that there can be, in knots: groups that name each other, a gateway that is attached."""
    own = {"uid": uid}
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=tags("vpc", **own))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24", TagSpecifications=tags("subnet", **own))
    subnet = subnet["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway(TagSpecifications=tags("internet-gateway", **own))
    gateway = gateway["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tags("route-table", **own))
    table = table["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    groups = [
        ec2.create_security_group(
            GroupName=name, Description=name, VpcId=vpc, TagSpecifications=tags("security-group", **own)
        )["GroupId"]
        for name in ("a", "b")
    ]
    for one, other in (groups, groups[::-1]):
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": other}]}
        ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=[rule])
    ec2.create_key_pair(KeyName=f"office-{uid}", TagSpecifications=tags("key-pair", **own))
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip", **own))["AllocationId"]
    zone = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailabilityZone"]
    ec2.create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=tags("volume", **own))
    run = ec2.run_instances(
        ImageId=ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"],
        InstanceType="g5.2xlarge",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        SecurityGroupIds=groups,
        TagSpecifications=[
            *tags("instance", slot="burst-0", lease="1999999999", **own),
            *tags("volume", slot="burst-0", **own),
        ],
    )
    ec2.associate_address(AllocationId=address, InstanceId=run["Instances"][0]["InstanceId"])


def bucket(name: str, uid: str) -> None:
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if uid:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags("bucket", uid=uid)[0]["Tags"]})


@pytest.fixture
def ec2(aws: None) -> Any:
    client = boto3.client("ec2", REGION)
    made(client)
    made(client, uid="u2")
    bucket("hostler-1-office", "u1")
    bucket("hostler-1-other", "u2")
    bucket("hostler-untagged", "")
    bucket("somebodys", "")
    return client


def test_everything_with_our_tags(ec2: Any) -> None:
    held = account.holdings((REGION, "us-east-1"), "u1")
    assert tuple(one.kind for one in held) == KINDS
    assert {(one.uid, one.stack, one.owner, one.region) for one in held} == {
        ("u1", "office", "ann@desk", REGION)
    }
    machine = held[0]
    assert (machine.slot, machine.lease, machine.state) == ("burst-0", 1999999999.0, "running")
    assert machine.since is not None
    assert sorted(one.part_of for one in held if one.kind == "volume") == ["", machine.id]


def test_of_all_stacks_and_without_buckets(ec2: Any) -> None:
    held = account.holdings((REGION,), buckets=False)
    assert {one.uid for one in held} == {"u1", "u2"}
    assert "bucket" not in {one.kind for one in held}
    assert account.regions_used(held) == (REGION,)


@pytest.mark.parametrize("service", ["ec2", "s3"])
def test_what_cannot_be_listed_is_not_absent(ec2: Any, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    operation = {"ec2": "describe_vpcs", "s3": "list_buckets"}[service]
    real = kinds.pages

    def pages(client: Any, name: str, key: str, **question: Any) -> list[Any]:
        if name == operation:
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, name)
        return real(client, name, key, **question)

    monkeypatch.setattr(kinds, "pages", pages)
    with pytest.raises(AwsError) as caught:
        account.holdings((REGION,), "u1")
    assert caught.value.kind == "forbidden"


def test_all_of_a_stack_goes_and_nothing_of_another(ec2: Any) -> None:
    before = account.holdings((REGION,), "u2")
    done = removal.remove(account.holdings((REGION,), "u1"), pause=0)
    assert {one.holding.kind: one.why for one in done if not one.gone} == {
        "bucket": "a bucket may hold the state of machines: it is not removed here"
    }
    assert {one.kind for one in account.holdings((REGION,), "u1")} == {"bucket"}
    assert account.holdings((REGION,), "u2") == before


def test_groups_that_name_each_other(monkeypatch: pytest.MonkeyPatch, ec2: Any) -> None:
    """moto ends a group that others name; EC2 does not."""
    real = removal.ENDS["security group"]

    def end(client: Any, name: str) -> None:
        named = [{"Name": "ip-permission.group-id", "Values": [name]}]
        if client.describe_security_groups(Filters=named)["SecurityGroups"]:
            raise ClientError({"Error": {"Code": "DependencyViolation", "Message": "is named"}}, "x")
        real(client, name)

    monkeypatch.setitem(removal.ENDS, "security group", end)
    groups = [one for one in account.holdings((REGION,), "u1", buckets=False) if one.kind == "security group"]
    assert all(one.gone for one in removal.remove(groups, pause=0))


def test_what_is_gone_already_is_gone(ec2: Any) -> None:
    held = account.holdings((REGION,), "u1", buckets=False)
    removal.remove(held, pause=0)
    assert all(one.gone and not one.why for one in removal.remove(held, pause=0))


def test_what_aws_refuses_to_end_is_not_gone(ec2: Any) -> None:
    held = account.holdings((REGION,), "u1", buckets=False)
    (machine,) = (one for one in held if one.kind == "instance")
    ec2.modify_instance_attribute(InstanceId=machine.id, DisableApiTermination={"Value": True})
    (done,) = removal.remove((machine,), pause=0)
    assert not done.gone
    assert "OperationNotPermitted" in done.why


def test_the_disk_of_a_machine_that_stays(ec2: Any) -> None:
    held = account.holdings((REGION,), "u1", buckets=False)
    (disk,) = (one for one in held if one.part_of)
    (done,) = removal.remove((disk,), pause=0)
    assert (done.gone, done.why) == (False, f"it is attached to {disk.part_of}, which stays")


def test_what_is_still_used_is_tried_again(monkeypatch: pytest.MonkeyPatch, ec2: Any) -> None:
    real, tries = removal.ENDS["network"], iter(range(2))

    def end(client: Any, name: str) -> None:
        if next(tries, None) is not None:
            raise ClientError(
                {"Error": {"Code": "DependencyViolation", "Message": "has dependencies"}}, "DeleteVpc"
            )
        real(client, name)

    monkeypatch.setitem(removal.ENDS, "network", end)
    done = removal.remove(account.holdings((REGION,), "u1", buckets=False), pause=0)
    assert all(one.gone for one in done)


def test_who_i_am(aws: None) -> None:
    assert identity(REGION).account == "123456789012"
    assert identity(REGION).arn.startswith("arn:aws:")


# -- strays

LATE, YOUNG, OLD = NOW - 1, NOW - 60, NOW - 1801
THING = Holding(region=REGION, kind="instance", id="i-1", uid="u1", state="running", since=OLD)
CASES = [
    ("no lease, and old", THING, True),
    ("its lease is over", replace(THING, lease=LATE, since=YOUNG), True),
    ("its lease goes on", replace(THING, lease=NOW + 1), False),
    ("its lease goes on, of unknown age", replace(THING, lease=NOW + 1, since=None), False),
    ("no lease, and young", replace(THING, since=YOUNG), False),
    ("of the future", replace(THING, since=NOW + 99999), False),
    ("neither lease nor age", replace(THING, kind="network", since=None), False),
    ("another stack's", replace(THING, uid="u2"), False),
    ("in the state", replace(THING, id="i-known"), False),
    ("a root disk of one in the state", replace(THING, kind="volume", part_of="i-known"), False),
    ("a root disk of a stray", replace(THING, kind="volume", part_of="i-1"), True),
    ("a bucket", replace(THING, kind="bucket"), False),
]


@pytest.mark.parametrize(("one", "stray"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_stray(one: Holding, stray: bool) -> None:
    assert account.strays((one,), "u1", {"i-known"}, NOW) == ((one,) if stray else ())


def test_what_down_also_removes() -> None:
    young, network = replace(THING, since=NOW), replace(THING, kind="network", since=None)
    held = (
        young,
        network,
        replace(THING, id="i-known"),
        replace(THING, kind="bucket"),
        replace(THING, uid="u2"),
    )
    assert account.leftovers(held, "u1", {"i-known"}) == (young, network)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1999999999", 1999999999.0), ("", None), ("0", None), ("soon", None), ("-5", None), ("²", None)],
)
def test_a_lease_that_is_nonsense_is_none(text: str, value: float | None) -> None:
    assert kinds.seconds(text) == value


def test_what_a_thing_is_says_what_it_costs(aws: None) -> None:
    ec2 = boto3.client("ec2", region_name=REGION)
    tags = [{"Key": "hostler:uid", "Value": "u1"}]
    ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"], InstanceType="g5.xlarge", MinCount=1, MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )  # fmt: skip
    ec2.create_volume(
        AvailabilityZone=f"{REGION}a", Size=100, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )
    found = {one.kind: (one.what, one.market) for one in account.holdings([REGION], "u1", buckets=False)}
    assert found == {"instance": ("g5.xlarge", "on-demand"), "volume": ("100", "")}
