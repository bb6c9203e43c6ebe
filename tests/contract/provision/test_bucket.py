"""A state's bucket: made, found, locked, shared and removed. No CLI runs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from contract.provision.aws import REGION, Account, Rents, candidate, slot
from hostler.errors import LockedError, ProvisionError
from hostler.provision.bucket import Bucket
from hostler.provision.locations import Locations

OWN = "hostler-123456789012-lab"
HOLDER = {"pid": 4711, "username": "bob", "hostname": "elsewhere", "timestamp": "2026-11-29T12:00:00Z"}
LOCK = ".pulumi/locks/organization/hostler/lab/1f.json"


@pytest.fixture
def bucket(account: Account, tmp_path: Path) -> Bucket:
    return Bucket(Locations.of("lab", tmp_path), "s3://", uid="u1", region=REGION)


def put(account: Account, key: str, data: Any, bucket: str = OWN) -> None:
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(data).encode())


def buckets(account: Account) -> list[str]:
    return [one["Name"] for one in account.client("s3").list_buckets()["Buckets"]]


def test_reading_makes_nothing(account: Account, bucket: Bucket) -> None:
    assert (bucket.exists(), bucket.checkpoint(), bucket.locks(), bucket.document("x")) == (
        False,
        {},
        (),
        None,
    )
    assert buckets(account) == []


def test_made_private_versioned_and_ours(account: Account, bucket: Bucket) -> None:
    bucket.make()
    s3 = account.client("s3")
    assert s3.get_bucket_versioning(Bucket=OWN)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=OWN)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_encryption(Bucket=OWN)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    tags = {pair["Key"]: pair["Value"] for pair in s3.get_bucket_tagging(Bucket=OWN)["TagSet"]}
    assert tags == {"hostler:uid": "u1", "hostler:stack": "lab", "hostler:made": "yes"}
    assert s3.get_bucket_location(Bucket=OWN)["LocationConstraint"] == REGION


def test_another_machine_finds_it_by_the_stacks_name(
    account: Account, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.keep("hostkeys", {"burst-0": "ssh-ed25519 AAAA"})
    other = Bucket(Locations.of("lab", tmp_path / "other"), "s3://", region="us-east-1")
    assert other.document("hostkeys") == {"burst-0": "ssh-ed25519 AAAA"}
    assert (other.region, other.name) == (REGION, OWN)


def test_one_that_was_interrupted_is_finished(account: Account, bucket: Bucket) -> None:
    place = {"LocationConstraint": REGION}
    account.client("s3").create_bucket(Bucket=OWN, CreateBucketConfiguration=place)
    bucket.make()
    assert account.client("s3").get_bucket_versioning(Bucket=OWN)["Status"] == "Enabled"


def test_the_users_own_is_left_as_it_is(account: Account, tmp_path: Path) -> None:
    place = {"LocationConstraint": "eu-west-1"}
    account.client("s3", "eu-west-1").create_bucket(Bucket="office", CreateBucketConfiguration=place)
    bucket = Bucket(Locations.of("lab", tmp_path), "s3://office/team", region=REGION)
    bucket.keep("x", {})
    assert "region=eu-west-1" in bucket.url
    assert "Status" not in account.client("s3").get_bucket_versioning(Bucket="office")
    assert bucket.remove() == ("bucket office: not made by hostler",)
    assert account.client("s3").list_objects_v2(Bucket="office")["KeyCount"] == 0
    assert buckets(account) == ["office"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"action": "HEAD *", "code": "AccessDenied", "status": 403}, "got somebody else's, or no right to it"),
        ({"action": "PUT *", "code": "BucketAlreadyExists", "status": 409}, "got somebody else's, or no right to it"),
        ({"action": "PUT *", "code": "denied"}, "expected to be permitted CreateBucket"),
        ({"action": "GetCallerIdentity", "code": "ExpiredToken"}, "expected credentials that are valid now"),
    ],
)  # fmt: skip
def test_refused(account: Account, bucket: Bucket, fault: dict[str, Any], message: str) -> None:
    account.fault(times=0, **fault)
    with pytest.raises(ProvisionError, match=message):
        bucket.make()
    assert buckets(account) == []


def test_no_credentials(account: Account, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ProvisionError, match="expected AWS credentials") as caught:
        bucket.exists()
    assert "AWS_PROFILE" in caught.value.problems[0].next_step


def test_locks_of_whatever_host(account: Account, bucket: Bucket) -> None:
    bucket.make()
    put(account, LOCK, HOLDER)
    put(account, LOCK.replace("1f", "2f"), HOLDER | {"hostname": socket.gethostname(), "pid": os.getpid()})
    put(account, LOCK.replace("lab", "lab2"), HOLDER)
    theirs, mine = bucket.locks()
    assert str(theirs).startswith("bob@elsewhere, process 4711, since 2026-11-29T")
    assert (theirs.stale, mine.here) == (False, True)


def test_a_lock_of_another_host_is_shown_with_what_lifts_it(account: Account, rents: Rents) -> None:
    rents.fleet().keep("x", {})
    put(account, LOCK, HOLDER)
    for call in (lambda: rents.rent(slot("burst-0")), rents.fleet().forget):
        with pytest.raises(LockedError, match="bob@elsewhere, process 4711") as caught:
            call()
        assert "hostler pulumi -- cancel --yes" in caught.value.problems[0].next_step


def state_of(uid: str) -> dict[str, Any]:
    stack = {
        "urn": "urn:pulumi:lab::hostler::pulumi:pulumi:Stack::hostler-lab",
        "type": "pulumi:pulumi:Stack",
    }
    return {"version": 3, "checkpoint": {"latest": {"resources": [stack | {"outputs": {"uid": uid}}]}}}


def test_another_stacks_state_is_refused(account: Account, rents: Rents) -> None:
    rents.fleet().keep("x", {})
    put(account, ".pulumi/stacks/hostler/lab.json", state_of("uid-2"))
    fleet = rents.fleet()
    calls = (lambda: rents.preview(slot("burst-0")), lambda: rents.rent(slot("burst-0")), fleet.rented, fleet.destroy,
             fleet.forget, lambda: fleet.retire(["burst-0"]))  # fmt: skip
    for call in calls:
        with pytest.raises(LockedError, match="expected the state of uid-1; got that of uid-2"):
            call()
    assert account.slots() == {}


def test_an_empty_state_takes_nobodys_machines_for_strays(account: Account, rents: Rents) -> None:
    names = {"hostler:uid": "uid-1", "hostler:slot": "burst-0"}
    spec = {
        "ResourceType": "instance",
        "Tags": [{"Key": key, "Value": value} for key, value in names.items()],
    }
    account.client("ec2").run_instances(
        ImageId=candidate().ami, MinCount=1, MaxCount=1, TagSpecifications=[spec]
    )
    with pytest.raises(
        LockedError, match=r"burst-0 \(i-\w+ in eu-central-1\); got a state that knows of none"
    ):
        rents.rent(slot("burst-0"))
    assert list(account.slots()) == ["burst-0"]


def test_removed_with_all_versions(account: Account, bucket: Bucket) -> None:
    for number in range(3):
        bucket.keep("x", {"n": number})
    put(account, ".pulumi/stacks/hostler/lab.json", state_of("u1"))
    put(account, ".pulumi/meta.yaml", {})
    assert bucket.remove() == ()
    assert buckets(account) == []


def test_never_with_another_stacks_state_in_it(account: Account, bucket: Bucket) -> None:
    bucket.keep("x", {})
    put(account, ".pulumi/stacks/hostler/lab2.json", state_of("u2"))
    put(account, ".pulumi/meta.yaml", {})
    assert bucket.remove() == (f"bucket {OWN}: holds other things (.pulumi/stacks/hostler/lab2.json)",)
    found = account.client("s3").list_objects_v2(Bucket=OWN)["Contents"]
    assert [one["Key"] for one in found] == [".pulumi/meta.yaml", ".pulumi/stacks/hostler/lab2.json"]
