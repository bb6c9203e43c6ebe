"""The least rights with which a parked pool is rented back (`hostler wake`): a policy document of AWS, pure.

What is there besides for `up` by a person: making the bucket, sealing with another key, and mending what somebody changed
by hand on a machine that stands (its type, its groups, foreign tags). Nothing of IAM: instances have no role. Where the
account encrypts disks or the bucket with a key of its own, that key has to be given, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hostler.cloud.amis import PARAMETERS
from hostler.cloud.kinds import BUCKETS
from hostler.cloud.types import TAG
from hostler.stackfile.kmskeys import plain

LIMIT = 6144  # characters of a managed policy, without white space
FREE = frozenset({"sts:GetCallerIdentity"})  # is asked, and needs no right
PROJECT = "hostler"  # Pulumi's, in the keys of the state

type Statement = dict[str, Any]

# asked by Hostler itself, and by the AWS provider when it reads what it made; AWS limits these to regions only
SEEN = (
    "DescribeAddresses", "DescribeAvailabilityZones", "DescribeImages", "DescribeInstanceStatus",
    "DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribeInstances", "DescribeInternetGateways",
    "DescribeKeyPairs", "DescribeNetworkAcls", "DescribeNetworkInterfaces", "DescribeRouteTables",
    "DescribeSecurityGroups", "DescribeSpotInstanceRequests", "DescribeSpotPriceHistory", "DescribeSubnets",
    "DescribeTags", "DescribeVolumes", "DescribeVpcs",
)  # fmt: skip
ALONE = ("CreateVpc", "CreateInternetGateway", "ImportKeyPair")
IN_A_NETWORK = ("CreateSubnet", "CreateRouteTable", "CreateSecurityGroup")
NETWORK = (
    "AssociateRouteTable", "AttachInternetGateway", "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress",
    "CreateRoute", "DescribeVpcAttribute", "DetachInternetGateway", "DisassociateRouteTable", "ModifySubnetAttribute",
    "ModifyVpcAttribute", "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress", "DeleteInternetGateway",
    "DeleteKeyPair", "DeleteRouteTable", "DeleteSecurityGroup", "DeleteSubnet", "DeleteVpc",
)  # fmt: skip
# its shutdown ends it: the provider sets that once more after the launch
MACHINES = (
    "DeleteVolume",
    "DescribeInstanceAttribute",
    "ModifyInstanceAttribute",
    "StartInstances",
    "TerminateInstances",
)
EVERY = ["*"]  # with a condition that says which: of the tag, or of the region
RENEWED = ("Name", *(f"{TAG}{name}" for name in ("lease", "owner", "pool", "slot", "stack", "uid")))


def policy(
    *,
    bucket: str,
    prefix: str,
    stack: str,
    regions: Sequence[str],
    instances: Sequence[str],
    uid: str,
    kms: str = "",
    images: Sequence[str] = tuple(PARAMETERS),
    subnets: Sequence[str] = (),
) -> dict[str, Any]:
    """For a stack whose state is s3://bucket/prefix. `regions`: its pools', and those that it ever used; `kms`: the key of
    its state, as in the stack file, in the first region where it names none; `images`: of its pools; `subnets`: the
    user's own, of pools that name one. Raises ValueError where it would permit for everybody or everywhere, or is no key."""
    if not (bucket and stack and uid and regions and instances):
        raise ValueError("a policy needs a bucket, a stack, a uid, regions and instance types")
    where = _Where(regions, uid)
    parameters = [where.arn("ssm", f":parameter{PARAMETERS[one]}") for one in images if one in PARAMETERS]
    made = ["RunInstances", *ALONE, *IN_A_NETWORK]
    found = [
        *_state(where, bucket, prefix.strip("/"), stack),
        *([_key(where, plain(kms))] if kms else []),
        _allow("LookAtWhatThereIs", ec2(*SEEN), EVERY, where.here),
        *([_allow("ReadTheIdsOfPublicImages", ["ssm:GetParameter"], parameters)] if parameters else []),
        _allow("AskForPrices", ["pricing:GetProducts"], EVERY),
        *_launch(where, sorted(set(instances)), subnets),
        *_network(where, subnets),
        _allow("ChangeAndEndItsMachines", ec2(*MACHINES), EVERY, where.ours),
        _allow("TagWhatItMakes", ec2("CreateTags"), EVERY, where.tagged | {"ec2:CreateAction": made}),
        _renew(where),
    ]
    return {"Version": "2012-10-17", "Statement": found}


def actions(document: Mapping[str, Any]) -> frozenset[str]:
    """All that a policy permits: `ec2:RunInstances`."""
    return frozenset(action for one in document["Statement"] for action in one["Action"])


def rows(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """For people, a statement each: what it is for, and which actions on what."""
    for one in document["Statement"]:
        what_for = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f" {found[1].lower()}", one["Sid"])
        limits = [
            f"{key} = {' or '.join(_list(value))}"
            for keys in one.get("Condition", {}).values()
            for key, value in keys.items()
        ]
        only = f", only where {' and '.join(limits)}" if limits else ""
        yield what_for, f"{', '.join(one['Action'])}; on {', '.join(one['Resource'])}{only}"


def size(document: Mapping[str, Any]) -> int:
    """In characters, as AWS counts against LIMIT."""
    import json

    return len(re.sub(r"\s", "", json.dumps(document)))


def ec2(*names: str) -> list[str]:
    return [f"ec2:{name}" for name in names]


class _Where:
    """ARNs and conditions of one stack."""

    def __init__(self, regions: Sequence[str], uid: str) -> None:
        self.regions = list(dict.fromkeys(regions))
        head = self.regions[0].partition("-")[0]
        self.partition = "aws-cn" if head == "cn" else "aws-us-gov" if "-gov-" in self.regions[0] else "aws"
        self.here: dict[str, Any] = {"aws:RequestedRegion": self.regions}
        self.ours: dict[str, Any] = {f"aws:ResourceTag/{TAG}uid": uid}
        self.tagged: dict[str, Any] = {f"aws:RequestTag/{TAG}uid": uid}

    def arn(self, service: str, tail: str, region: str = "*") -> str:
        return f"arn:{self.partition}:{service}:{region}:{tail}"

    def kinds(self, *names: str) -> list[str]:
        """Of EC2, all there are in the account."""
        return [self.arn("ec2", f"*:{name}/*") for name in names]


def _allow(
    sid: str, actions: list[str], resources: list[str], equal: Mapping[str, Any] | None = None
) -> Statement:
    found: Statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return found | ({"Condition": {"StringEquals": dict(equal)}} if equal else {})


def _state(where: _Where, bucket: str, prefix: str, stack: str) -> Iterator[Statement]:
    """The bucket's keys are those of provision.bucket. To ask whether it is there (HeadBucket) is to list it, without a
    prefix that could be a condition."""
    whole = f"arn:{where.partition}:s3:::{_literal(bucket)}"
    base = f"{whole}/{_literal(prefix)}/" if prefix else f"{whole}/"
    name, state = _literal(stack), f"{base}.pulumi/stacks/{PROJECT}/{_literal(stack)}"
    beside = f"{base}.pulumi/*/{PROJECT}/{name}/*"  # its history, backups and locks
    own = ["s3:GetBucketTagging"] if bucket.startswith(BUCKETS) and not prefix else []
    yield _allow("FindTheState", ["s3:ListBucket", *own], [whole])
    every = [f"{state}.json*", beside, f"{base}.hostler/{name}/*"]
    yield _allow("ReadAndWriteTheState", ["s3:GetObject", "s3:PutObject"], every)
    yield _allow(
        "ReadWhichVersionItHas", ["s3:GetObject"], [f"{base}.pulumi/meta.yaml", f"{state}.pulumi-tags"]
    )
    locks = f"{base}.pulumi/locks/organization/{PROJECT}/{name}/*"
    yield _allow("LiftItsOwnLock", ["s3:DeleteObject"], [locks])


def _key(where: _Where, key: str) -> Statement:
    """An alias is a condition: AWS knows keys by their ids alone."""
    name, _, query = key.partition("?")
    region, account = query.removeprefix("region=") or where.regions[0], "*"
    if name.startswith("arn:"):
        _, _, _, region, account, name = name.split(":")
    sid, used = "OpenTheSecretsOfTheState", ["kms:Decrypt"]
    if not name.startswith("alias/"):
        return _allow(sid, used, [where.arn("kms", f"{account}:key/{name.removeprefix('key/')}", region)])
    found = _allow(sid, used, [where.arn("kms", f"{account}:key/*", region)])
    return found | {"Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [name]}}}


def _launch(where: _Where, instances: list[str], subnets: Sequence[str]) -> Iterator[Statement]:
    """One launch needs all of these together: AWS asks of each thing that it makes or uses."""
    run, kind = ec2("RunInstances"), {"ec2:InstanceType": instances}
    yield _allow("RentMachinesOfItsTypes", run, where.kinds("instance"), where.here | where.tagged | kind)
    yield _allow("RentTheirDisks", run, where.kinds("volume"), where.tagged)
    others = [where.arn("ec2", ":image/*"), *where.kinds("network-interface", "spot-instances-request")]
    named = [where.arn("ec2", f"*:subnet/{one}") for one in dict.fromkeys(subnets)]
    yield _allow("RentFromImages", run, [*others, *named])


def _network(where: _Where, subnets: Sequence[str]) -> Iterator[Statement]:
    """With a subnet of the user's its groups are made in the user's network, which nothing here names."""
    alone = where.kinds("vpc", "internet-gateway", "key-pair")
    within = where.kinds("subnet", "route-table", "security-group")
    yield _allow("MakeItsNetwork", ec2(*ALONE), alone, where.here | where.tagged)
    yield _allow("MakeWhatIsInIt", ec2(*IN_A_NETWORK), within, where.tagged)
    if subnets:
        yield _allow("MakeGroupsInYourNetwork", ec2("CreateSecurityGroup"), where.kinds("vpc"), where.here)
    yield _allow("UseItsOwnNetwork", ec2("RunInstances", *IN_A_NETWORK, *NETWORK), EVERY, where.ours)


def _renew(where: _Where) -> Statement:
    """Of what is ours already; whose it is stays: the disk of an instance that is taken over gets all of its tags again."""
    found = _allow("RenewItsTags", ec2("CreateTags"), EVERY, where.ours)
    found["Condition"]["StringEqualsIfExists"] = where.tagged
    found["Condition"]["ForAllValues:StringEquals"] = {"aws:TagKeys": list(RENEWED)}
    return found


def _literal(text: str) -> str:
    """In an ARN of a policy, where some characters stand for others."""
    return re.sub(r"[$*?]", lambda found: f"${{{found[0]}}}", text)


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
