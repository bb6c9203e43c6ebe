"""Parked machines rented back with the rights of cloud.rights alone: the real CLI, and an account that refuses all else."""

from __future__ import annotations

from typing import Any

import pytest

from contract.provision.aws import AMI, REGION, Account, Rents, candidate, slot
from hostler.cloud import account as accounts
from hostler.cloud import live, offers, rights
from hostler.cloud.trouble import AwsError
from hostler.provision import kms, locations
from lab.cloud.rights import Permit, tags_in_moto

KEY = "AKIACONTROLLER"
WEST = "eu-west-1"
ALIAS = "alias/hostler"


def permit(account: Account, monkeypatch: pytest.MonkeyPatch, bucket: str, **more: Any) -> dict[str, Any]:
    """From now on the calls are those of the controller."""
    given: dict[str, Any] = {"bucket": bucket, "prefix": "", "stack": "lab", "regions": [REGION], "instances": ["g5.xlarge"],
                             "uid": "uid-1"}  # fmt: skip
    policy = rights.policy(**given | more)
    account.faults.permits[KEY] = Permit(policy, tags_in_moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    return policy


def parked(rents: Rents, **more: Any) -> str:
    """The name of its bucket."""
    rents.rent(slot("burst-0", **more))
    rents.rent()
    assert rents.fleet().rented() == ()
    store: Any = rents.fleet().store
    return str(store.name)


def test_back_and_parked_again(account: Account, rents: Rents, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = permit(account, monkeypatch, parked(rents))
    wish = slot("burst-0", candidate("a"), candidate("b"))
    assert "create burst-0" in rents.lines(wish)
    account.full("eu-central-1a")
    (machine,) = rents.rent(wish).rented
    rents.fleet().keep("hosts", {"burst-0": {}})
    kept = slot("burst-0", candidate("b"), lease=1_900_000_000.0)
    rents.rent(kept, owner="hostler@gateway")
    assert rents.lines(kept, owner="hostler@gateway") == {}
    assert accounts.holdings([REGION], "uid-1", buckets=False)
    assert live.look([machine]).there
    assert not live.impaired(machine)
    assert offers.offered([REGION], ["g5.xlarge"])
    assert rents.fleet().retire(["burst-0"]) == ("burst-0",)
    rents.rent()
    assert account.faults.refused == []
    assert account.faults.called[KEY] - rights.FREE <= rights.actions(policy)


def test_a_run_whose_answer_was_lost(account: Account, rents: Rents, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance is there, and the state has not got it."""
    permit(account, monkeypatch, parked(rents))
    account.fault("RunInstances", lost=True, times=3)
    rents.rent(slot("burst-0"))
    assert set(account.slots()) == {"burst-0"}
    assert account.faults.refused == []


def test_secrets_under_a_key(account: Account, rents: Rents, monkeypatch: pytest.MonkeyPatch) -> None:
    client = account.client("kms")
    key = client.create_key()["KeyMetadata"]["KeyId"]
    client.create_alias(AliasName=ALIAS, TargetKeyId=key)
    rents.key = ALIAS
    policy = permit(account, monkeypatch, parked(rents), kms=ALIAS)
    assert kms.provider_of(rents.fleet().export()).startswith(kms.SCHEME)
    rents.rent(slot("burst-0"))
    assert account.faults.refused == []
    assert {"kms:Decrypt"} == {one for one in account.faults.called[KEY] if one.startswith("kms:")}
    assert account.faults.called[KEY] - rights.FREE <= rights.actions(policy)


def test_in_the_users_own_subnet(account: Account, rents: Rents, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [{"Name": "availability-zone", "Values": ["eu-central-1a"]}]
    (subnet,) = account.client("ec2").describe_subnets(Filters=asked)["Subnets"]
    mine = {"subnet": subnet["SubnetId"]}
    permit(account, monkeypatch, parked(rents, **mine), subnets=[subnet["SubnetId"]])
    rents.rent(slot("burst-0", **mine))
    assert account.faults.refused == []


def test_nothing_of_others(account: Account, rents: Rents, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another's machine, another type, another region, another stack's objects."""
    bucket = parked(rents)
    ec2 = account.client("ec2")
    other = ec2.run_instances(ImageId=AMI, MinCount=1, MaxCount=1, InstanceType="g5.xlarge")
    name = other["Instances"][0]["InstanceId"]
    permit(account, monkeypatch, bucket)
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "hostler:uid", "Value": "uid-1"}]}]
    ours = ec2.run_instances(
        ImageId=AMI, MinCount=1, MaxCount=1, InstanceType="g5.xlarge", TagSpecifications=tags
    )
    own, away = ours["Instances"][0]["InstanceId"], [{"Key": "hostler:uid", "Value": "uid-2"}]
    asked: dict[str, Any] = {"ImageId": AMI, "MinCount": 1, "MaxCount": 1, "TagSpecifications": tags}
    tries = {
        "ec2:TerminateInstances": lambda: _client("ec2").terminate_instances(InstanceIds=[name]),
        "ec2:CreateTags": lambda: _client("ec2").create_tags(Resources=[name], Tags=tags[0]["Tags"]),
        "ec2:RunInstances": lambda: _client("ec2").run_instances(**asked, InstanceType="p5.48xlarge"),
        "ec2:DescribeInstances": lambda: _client("ec2", WEST).describe_instances(),
        "ec2:DescribeInstanceAttribute": lambda: _client("ec2").describe_instance_attribute(
            InstanceId=name, Attribute="userData"
        ),
        "s3:GetObject": lambda: _client("s3").get_object(
            Bucket=bucket, Key=".pulumi/stacks/hostler/other.json"
        ),
        "s3:DeleteObject": lambda: _client("s3").delete_object(
            Bucket=bucket, Key=".pulumi/stacks/hostler/lab.json"
        ),
        "s3:ListAllMyBuckets": lambda: _client("s3").list_buckets(),
        "s3:DeleteBucket": lambda: _client("s3").delete_bucket(Bucket=bucket),
        "iam:ListUsers": lambda: _client("iam").list_users(),
    }
    tries |= {"ec2:CreateTags ": lambda: _client("ec2").create_tags(Resources=[own], Tags=away)}
    for action, attempt in tries.items():
        account.faults.refused.clear()
        with pytest.raises(AwsError) as raised, accounts.asking("it"):
            attempt()
        assert raised.value.kind == "forbidden"
        assert action.strip() in {one.split()[0] for one in account.faults.refused}


def _client(service: str, region: str = REGION) -> Any:
    return accounts.client(service, region)


def test_the_keys_are_those_of_the_state() -> None:
    assert rights.PROJECT == locations.PROJECT
