"""A bucket's beginning and end: made private, versioned and encrypted; taken away only when nothing else is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hostler.cloud.session import asking, pages
from hostler.cloud.trouble import AwsError
from hostler.cloud.types import TAG
from hostler.provision.locations import PROJECT

if TYPE_CHECKING:
    from hostler.provision.bucket import Bucket

MADE = f"{TAG}made"  # on a bucket that we made, once it is finished
SHARED = ".pulumi/meta.yaml"  # the backend's own, of all stacks
AT_ONCE = 1000  # keys that one request deletes
TAKEN = frozenset({"BucketAlreadyExists", "OperationAborted"})


def make(bucket: Bucket) -> None:
    """Makes it where it is not there, and finishes one that an interrupted run of ours began. A bucket that the
    user made stays as it is. Raises ProvisionError where it is somebody else's or a right is missing."""
    if not bucket.there:
        _create(bucket)
        bucket.came()
    elif not bucket.own or MADE in tags(bucket):
        return
    with asking(f"settings of {bucket.where}"):
        _settle(bucket)


def _create(bucket: Bucket) -> None:
    region = bucket.region
    place: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        with asking(bucket.where):
            bucket.s3.create_bucket(
                Bucket=bucket.name,
                ObjectOwnership="BucketOwnerEnforced",
                **({} if region == "us-east-1" else place),
            )
    except AwsError as error:
        if error.aws_code in TAKEN:
            raise bucket.not_ours(error) from error
        if error.aws_code != "BucketAlreadyOwnedByYou":  # another of ours was quicker
            raise


def _settle(bucket: Bucket) -> None:
    """The tag comes last: it says that all the rest is done."""
    s3, name = bucket.s3, bucket.name
    closed = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=closed)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    said = {f"{TAG}uid": bucket.uid, f"{TAG}stack": bucket.places.stack, MADE: "yes"}
    pairs = [{"Key": key, "Value": value} for key, value in said.items() if value]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs})


def tags(bucket: Bucket) -> dict[str, str]:
    try:
        with asking(f"tags of {bucket.where}"):
            found = bucket.s3.get_bucket_tagging(Bucket=bucket.name)["TagSet"]
    except AwsError as error:
        if error.aws_code == "NoSuchTagSet":
            return {}
        raise
    return {pair["Key"]: pair["Value"] for pair in found}


def remove(bucket: Bucket) -> tuple[str, ...]:
    """This stack's objects with all versions; the bucket, where we made it and nothing else is in it. What stays, in
    words."""
    ours = ours_in(bucket)
    versions = list(_versions(bucket, bucket.key("")))
    _delete(bucket, [one for one in versions if ours(one["Key"])])
    if MADE not in tags(bucket):
        return (f"bucket {bucket.name}: not made by hostler",)
    rest = list(_versions(bucket, ""))
    shared = bucket.key(SHARED)
    if others := sorted({one["Key"] for one in rest if one["Key"] != shared}):
        return (f"bucket {bucket.name}: holds other things ({', '.join(others[:3])})",)
    _delete(bucket, rest)
    with asking(bucket.where):
        bucket.s3.delete_bucket(Bucket=bucket.name)
    return ()


def ours_in(bucket: Bucket) -> Any:
    """Whether a key is of this stack: never a prefix that another stack's name begins with."""
    stack, full = re.escape(bucket.places.stack), re.escape(bucket.places.full_name)
    base = re.escape(bucket.key(""))
    files = rf"stacks/{PROJECT}/{stack}\.json(\.gz)?(\.bak)?(\.attrs)?"
    folders = rf"(history|backups)/{PROJECT}/{stack}/.*|locks/{full}/.*"
    return re.compile(rf"{base}(\.pulumi/({files}|{folders})|\.hostler/{stack}/.*)").fullmatch


def _versions(bucket: Bucket, prefix: str) -> Iterator[dict[str, str]]:
    with asking(bucket.where):
        for kind in ("Versions", "DeleteMarkers"):
            for one in pages(bucket.s3, "list_object_versions", kind, Bucket=bucket.name, Prefix=prefix):
                yield {"Key": one["Key"], "VersionId": one["VersionId"]}


def _delete(bucket: Bucket, versions: Sequence[dict[str, str]]) -> None:
    for start in range(0, len(versions), AT_ONCE):
        some = {"Objects": list(versions[start : start + AT_ONCE]), "Quiet": True}
        with asking(bucket.where):
            answer = bucket.s3.delete_objects(Bucket=bucket.name, Delete=some)
        if failed := answer.get("Errors"):
            one = failed[0]
            raise AwsError.of(
                bucket.where, expected="to delete this stack's objects", got=f"{one['Code']}: {one['Key']}",
                next_step="let the account's administrator permit s3:DeleteObjectVersion",
            )  # fmt: skip
