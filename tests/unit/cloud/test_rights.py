"""The policy for a controller that rents: bounded, small enough, and of all that the product asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from hostler.cloud import kinds, removal, rights, types
from hostler.provision.state import POOL_TAG

INFRA = Path(rights.__file__).parents[1]
UID = "0123456789abcdef"
GIVEN: dict[str, Any] = {"bucket": "team-state", "prefix": "gpu", "stack": "office", "regions": ["eu-central-1", "eu-west-1"],
                         "instances": ["g6.xlarge", "g5.xlarge"], "uid": UID}  # fmt: skip
# what is asked by boto3 where something is made, sealed or ended: by `up` of a person and `down`
NOT_BY_WAKE = {
    "s3:CreateBucket", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration",
    "s3:PutBucketTagging", "s3:DeleteBucket", "s3:ListBucketVersions", "s3:DeleteObjectVersion",  # the bucket's life
    "s3:ListAllMyBuckets", "s3:GetBucketLocation",  # what `down` lists
    "kms:Encrypt",  # another key
    "ec2:StopInstances",  # `hostler sleep` of a pool that stops: an idle machine shuts itself down
    "ec2:DisassociateAddress", "ec2:ReleaseAddress",  # hostler makes none, and none is a stray
}  # fmt: skip
OF_S3 = {
    "head_bucket": "s3:ListBucket", "list_objects_v2": "s3:ListBucket", "list_buckets": "s3:ListAllMyBuckets",
    "list_object_versions": "s3:ListBucketVersions", "delete_objects": "s3:DeleteObjectVersion",
    "put_public_access_block": "s3:PutBucketPublicAccessBlock", "put_bucket_encryption": "s3:PutEncryptionConfiguration",
}  # fmt: skip
SERVICES = ("sts", "ssm", "pricing", "kms", "s3", "ec2")
# what the AWS provider asks for each type that rented.py declares: to read, make, tag and end it
BY_PROVIDER = {
    "Vpc": "CreateVpc ModifyVpcAttribute DescribeVpcs DescribeVpcAttribute DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups DeleteVpc",
    "InternetGateway": "CreateInternetGateway AttachInternetGateway DescribeInternetGateways DetachInternetGateway DeleteInternetGateway",
    "RouteTable": "CreateRouteTable CreateRoute DescribeRouteTables DisassociateRouteTable DeleteRouteTable",
    "RouteTableAssociation": "AssociateRouteTable DescribeRouteTables DisassociateRouteTable",
    "Subnet": "CreateSubnet ModifySubnetAttribute DescribeSubnets DescribeNetworkInterfaces DeleteSubnet",
    "SecurityGroup": "CreateSecurityGroup AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress RevokeSecurityGroupEgress DescribeSecurityGroups DescribeNetworkInterfaces DeleteSecurityGroup",
    "KeyPair": "ImportKeyPair DescribeKeyPairs DeleteKeyPair",
    "Instance": "RunInstances CreateTags DescribeInstances DescribeInstanceTypes DescribeInstanceAttribute DescribeImages DescribeVolumes DescribeTags DescribeSpotInstanceRequests ModifyInstanceAttribute TerminateInstances",
    "get_subnet_output": "DescribeSubnets",
}


def document(**more: Any) -> dict[str, Any]:
    return rights.policy(**GIVEN | more)


def statement(policy: dict[str, Any], sid: str) -> dict[str, Any]:
    (found,) = (one for one in policy["Statement"] if one["Sid"] == sid)
    return found


def operations() -> dict[str, str]:
    """Service and operation by the name of boto3's method."""
    session = botocore.session.get_session()
    models: dict[str, Any] = {service: session.get_service_model(service) for service in SERVICES}
    names = {service: model.operation_names for service, model in models.items()}
    return {xform_name(name): f"{service}:{name}" for service, found in names.items() for name in found}


def asked() -> Iterator[str]:
    """The rights that all calls by boto3 in the product need."""
    text = "\n".join(p.read_text() for room in ("cloud", "provision") for p in (INFRA / room).glob("*.py"))
    found = set(re.findall(r"(?:\)|\w)\.([a-z]+_[a-z_0-9]+|encrypt|decrypt)\b", text))
    found |= set(re.findall(r"\"([a-z]+_[a-z_0-9]+)\"", text))  # in words: of pages, and of kinds.KINDS
    known = operations()
    for name in found & known.keys():
        yield OF_S3.get(name, known[name])


def test_all_that_the_product_asks() -> None:
    policy = document(kms="alias/hostler", bucket="hostler-123456789012-office", prefix="")
    needed = set(asked())
    assert {
        "ec2:DescribeSpotPriceHistory",
        "ec2:RevokeSecurityGroupEgress",
        "kms:Decrypt",
        "s3:PutObject",
    } <= needed
    assert needed - rights.actions(policy) - rights.FREE == NOT_BY_WAKE
    assert not NOT_BY_WAKE & rights.actions(policy)


def test_all_that_the_provider_asks() -> None:
    """And of each type that the program declares it is said what that is."""
    program = (INFRA / "provision/rented.py").read_text()
    declared = {name for name in re.findall(r"\b(?:ec2\.)?(\w+)\(", program) if f"ec2.{name}(" in program}
    types = {name for name in declared if not name.endswith("Args")} | {"Instance"}
    assert types == BY_PROVIDER.keys()
    needed = {f"ec2:{name}" for words in BY_PROVIDER.values() for name in words.split()}
    assert needed <= rights.actions(document())


def test_nothing_else() -> None:
    """Each right is asked for by the product or by the provider."""
    needed = {f"ec2:{name}" for words in BY_PROVIDER.values() for name in words.split()} | set(asked())
    by_pulumi = {"s3:DeleteObject"}  # the lock
    assert (
        rights.actions(document(kms="alias/hostler", bucket="hostler-1-x", prefix="")) <= needed | by_pulumi
    )


def test_what_ends_strays_is_in_it() -> None:
    """Strays are things with a lease or an age: instances, disks and keys."""
    with_age = {kind.name for kind in kinds.KINDS if kind.made}
    assert with_age == {"instance", "volume", "key pair"} <= removal.ENDS.keys()
    ends = {"ec2:TerminateInstances", "ec2:DeleteVolume", "ec2:DeleteKeyPair"}
    assert ends <= rights.actions(document())


@pytest.mark.parametrize("more", [{}, {"kms": "alias/hostler", "subnets": ["subnet-0a1b2c3d"]}])
def test_each_statement_is_bounded(more: dict[str, Any]) -> None:
    for one in document(**more)["Statement"]:
        assert one["Effect"] == "Allow"
        assert re.fullmatch(r"[A-Za-z0-9]+", one["Sid"])
        assert not any("*" in action or action.startswith(("iam:", "sts:")) for action in one["Action"])
        keys = {key for keys in one.get("Condition", {}).values() for key in keys}
        public = one["Action"] == ["pricing:GetProducts"]
        bounded = keys & {"aws:RequestedRegion", "aws:ResourceTag/hostler:uid", "aws:RequestTag/hostler:uid"}
        assert public or bounded or "*" not in one["Resource"]


def test_sids_are_each_once() -> None:
    found = [one["Sid"] for one in document(kms="alias/a", subnets=["subnet-1"])["Statement"]]
    assert len(found) == len(set(found))


def test_only_its_own_machines_end() -> None:
    ours = {"aws:ResourceTag/hostler:uid": UID}
    ends = re.compile(r"ec2:(Terminate|Start|Modify|Delete|Detach|Revoke|DescribeInstanceAttribute)")
    for one in document()["Statement"]:
        if any(ends.match(action) for action in one["Action"]):
            assert one["Condition"] == {"StringEquals": ours}


def test_only_types_of_its_pools_in_its_regions() -> None:
    found = statement(document(), "RentMachinesOfItsTypes")
    assert found["Resource"] == ["arn:aws:ec2:*:*:instance/*"]
    assert found["Condition"]["StringEquals"] == {
        "aws:RequestedRegion": ["eu-central-1", "eu-west-1"],
        "aws:RequestTag/hostler:uid": UID,
        "ec2:InstanceType": ["g5.xlarge", "g6.xlarge"],
    }
    launch = [one for one in document()["Statement"] if "ec2:RunInstances" in one["Action"]]
    whole = [one for one in launch if any("instance/" in arn for arn in one["Resource"])]
    assert whole == [found]  # AWS asks of each thing that is made or used


def test_tags_whose_it_is_only_where_it_is_made() -> None:
    made = statement(document(), "TagWhatItMakes")["Condition"]["StringEquals"]
    assert made["aws:RequestTag/hostler:uid"] == UID
    assert "RunInstances" in made["ec2:CreateAction"]
    renewed = statement(document(), "RenewItsTags")["Condition"]
    assert renewed["StringEquals"] == {"aws:ResourceTag/hostler:uid": UID}
    keys = renewed["ForAllValues:StringEquals"]["aws:TagKeys"]
    assert renewed["StringEqualsIfExists"] == {"aws:RequestTag/hostler:uid": UID}
    assert {POOL_TAG, f"{types.TAG}uid"} < set(keys)


def test_only_objects_of_its_stack() -> None:
    found = statement(document(), "ReadAndWriteTheState")
    assert found["Resource"] == [
        "arn:aws:s3:::team-state/gpu/.pulumi/stacks/hostler/office.json*",
        "arn:aws:s3:::team-state/gpu/.pulumi/*/hostler/office/*",
        "arn:aws:s3:::team-state/gpu/.hostler/office/*",
    ]
    assert statement(document(), "LiftItsOwnLock")["Resource"] == [
        "arn:aws:s3:::team-state/gpu/.pulumi/locks/organization/hostler/office/*"
    ]
    assert statement(document(), "FindTheState")["Action"] == ["s3:ListBucket"]
    assert statement(document(prefix="a*b/"), "LiftItsOwnLock")["Resource"][0].startswith(
        "arn:aws:s3:::team-state/a${*}b/.pulumi/"
    )


@pytest.mark.parametrize(
    ("kms", "resource", "alias"),
    [
        ("alias/hostler", "arn:aws:kms:eu-central-1:*:key/*", "alias/hostler"),
        ("alias/hostler?region=eu-west-1", "arn:aws:kms:eu-west-1:*:key/*", "alias/hostler"),
        ("awskms://alias/hostler?region=eu-west-1", "arn:aws:kms:eu-west-1:*:key/*", "alias/hostler"),
        ("arn:aws:kms:us-east-1:123456789012:alias/h", "arn:aws:kms:us-east-1:123456789012:key/*", "alias/h"),
        ("arn:aws:kms:us-east-1:123456789012:key/1-2", "arn:aws:kms:us-east-1:123456789012:key/1-2", ""),
        ("mrk-0123", "arn:aws:kms:eu-central-1:*:key/mrk-0123", ""),
    ],
)
def test_a_key(kms: str, resource: str, alias: str) -> None:
    found = statement(document(kms=kms), "OpenTheSecretsOfTheState")
    assert (found["Action"], found["Resource"]) == (["kms:Decrypt"], [resource])
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [alias]}}
    assert found.get("Condition") == (condition if alias else None)
    assert not any(action.startswith("kms:") for action in rights.actions(document()))


def test_other_partitions_and_images() -> None:
    policy = document(regions=["cn-north-1"], images=["ami-1", "ubuntu-24.04"])
    arns = [arn for one in policy["Statement"] for arn in one["Resource"] if arn != "*"]
    assert all(arn.startswith("arn:aws-cn:") for arn in arns)
    (parameter,) = statement(policy, "ReadTheIdsOfPublicImages")["Resource"]
    assert parameter.startswith("arn:aws-cn:ssm:*::parameter/aws/service/canonical/")
    assert "ssm:GetParameter" not in rights.actions(document(images=["ami-1"]))


def test_fits_into_a_managed_policy() -> None:
    policy = document(
        bucket="hostler-123456789012-a-longish-name", prefix="", stack="a-longish-name", kms="alias/hostler",
        regions=[f"ap-southeast-{number}" for number in range(1, 7)], subnets=["subnet-0a1b2c3d4e5f67890"],
        instances=[f"g{number}.12xlarge" for number in range(8)],
    )  # fmt: skip
    assert rights.size(policy) < rights.LIMIT


@pytest.mark.parametrize("empty", ["bucket", "stack", "regions", "instances", "uid"])
def test_never_for_everybody(empty: str) -> None:
    with pytest.raises(ValueError, match="a policy needs"):
        document(**{empty: ""})


def test_rows_for_people() -> None:
    found = dict(rights.rows(document()))
    assert found["Change and end its machines"].endswith(
        f"; on *, only where aws:ResourceTag/hostler:uid = {UID}"
    )
    assert "ec2:InstanceType = g5.xlarge or g6.xlarge" in found["Rent machines of its types"]
    assert found["Find the state"] == "s3:ListBucket; on arn:aws:s3:::team-state"
    assert len(found) == len(document()["Statement"])
