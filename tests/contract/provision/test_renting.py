"""Renting with the real CLI: from nothing to instances, what is changed by hand, what the cloud refuses, and the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.provision.aws import KEY, REGION, SECRET, Account, Rents, candidate, slot, tag
from contract.provision.scene import host
from hostler.cloud.types import RentResult
from hostler.errors import ProvisionError, UsageError
from hostler.provision import runner

A, B, C = candidate("a"), candidate("b"), candidate("c")
WEST = candidate("a", region="eu-west-1")
FULL = "InsufficientInstanceCapacity"


def refused(result: RentResult) -> list[tuple[str, str, str]]:
    return sorted((one.slot, one.candidate.zone, one.code) for one in result.refusals)


def machine(account: Account, name: str) -> dict[str, Any]:
    return next(one for one in account.living() if tag(one, "hostler:slot") == name)


def test_from_nothing_to_an_instance_and_no_difference(account: Account, rents: Rents) -> None:
    wish = slot("burst-0", candidate("b", "spot"), max_price=1.2)
    first = rents.lines(wish)
    assert first["create burst-0"] == ("g5.xlarge spot in eu-central-1b, 200 GiB",)
    assert first["create security group burst.eu-central-1"] == (
        "tcp 22 from 203.0.113.7/32",
        "tcp 8443 from 2001:db8::/64",
        "tcp 8443 from 203.0.113.8/32",
    )
    assert account.client("s3").list_buckets()["Buckets"] == []  # a look makes none
    result = rents.rent(wish)
    (rented,) = result.rented
    assert (result.refusals, result.unfilled) == ((), ())
    assert rents.fleet().rented() == result.rented
    assert (rented.slot, rented.pool, rented.uid, rented.state) == ("burst-0", "burst", "uid-1", "running")
    assert rented.candidate == wish.candidates[0]
    assert rents.lines(wish) == {}
    assert rents.lines(slot("burst-0", C, wish.candidates[0], user_data="another", disk_gib=300)) == {}
    _as_asked(account, rented.id, rented.public_ip)
    _keeps_its_secrets(account, rents)


def _as_asked(account: Account, name: str, address: str) -> None:
    ec2, found = account.client("ec2"), machine(account, "burst-0")
    assert (found["InstanceId"], found["PublicIpAddress"]) == (name, address)
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert found["InstanceLifecycle"] == "spot"
    asked = ec2.describe_instance_attribute(InstanceId=name, Attribute="instanceInitiatedShutdownBehavior")
    assert asked["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    (volume,) = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [name]}])[
        "Volumes"
    ]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (200, "gp3", True)
    tags = {"Name": "lab burst-0", "hostler:uid": "uid-1", "hostler:stack": "lab", "hostler:slot": "burst-0",
            "hostler:pool": "burst", "hostler:owner": "anna@desk", "hostler:lease": "1800000000"}  # fmt: skip
    for thing in (found, volume):
        assert {
            pair["Key"]: pair["Value"] for pair in thing["Tags"] if not pair["Key"].startswith("aws:")
        } == tags
    (key,) = ec2.describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
    assert key["PublicKey"].split()[:2] == KEY.split()[:2]


def test_what_its_shutdown_does_is_changed_on_one_that_stands(account: Account, rents: Rents) -> None:
    """A machine that was adopted keeps its disk; a stopped one is changed back, too."""
    ec2 = account.client("ec2")

    def behaviour() -> str:
        name = machine(account, "burst-0")["InstanceId"]
        asked = ec2.describe_instance_attribute(
            InstanceId=name, Attribute="instanceInitiatedShutdownBehavior"
        )
        return asked["InstanceInitiatedShutdownBehavior"]["Value"]

    rents.rent(slot("burst-0"))
    before = machine(account, "burst-0")["InstanceId"]
    assert rents.lines(slot("burst-0", shutdown="stop")) == {
        "update burst-0": ("what a shutdown does: terminate => stop",)
    }
    rents.rent(slot("burst-0", shutdown="stop"))
    assert behaviour() == "stop"
    assert rents.lines(slot("burst-0", shutdown="stop")) == {}
    ec2.stop_instances(InstanceIds=[before])
    rents.rent(slot("burst-0"))
    assert (behaviour(), machine(account, "burst-0")["InstanceId"]) == ("terminate", before)


def _keeps_its_secrets(account: Account, rents: Rents) -> None:
    """What the instance is told at its birth holds a private key: in no file here, in no object there."""
    s3 = account.client("s3")
    (bucket,) = s3.list_buckets()["Buckets"]
    objects = s3.list_objects_v2(Bucket=bucket["Name"])["Contents"]
    bodies = [s3.get_object(Bucket=bucket["Name"], Key=one["Key"])["Body"].read() for one in objects]
    files = [path.read_bytes() for path in rents.base.rglob("*") if path.is_file()]
    assert bodies
    assert not [text for text in (*bodies, *files) if SECRET.encode() in text]


def test_what_was_changed_by_hand_is_said_and_repaired(account: Account, rents: Rents) -> None:
    two = (slot("burst-0"), slot("burst-1", B))
    rents.rent(*two)
    ec2, first = account.client("ec2"), machine(account, "burst-0")
    ec2.create_tags(Resources=[first["InstanceId"]], Tags=[{"Key": "hostler:owner", "Value": "eve@x"}])
    door = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=first["SecurityGroups"][0]["GroupId"], IpPermissions=[door])
    ec2.stop_instances(InstanceIds=[first["InstanceId"]])
    ec2.terminate_instances(InstanceIds=[machine(account, "burst-1")["InstanceId"]])
    by_hand = {
        "update burst-0": (
            "stopped outside of hostler",
            "tags.hostler:owner: changed by hand to eve@x (wished: anna@desk)",
        ),
        "create burst-1": ("terminated outside of hostler", "g5.xlarge on-demand in eu-central-1b, 200 GiB"),
        "update security group burst.eu-central-1": ("tcp 22 from 0.0.0.0/0: opened by hand",),
    }
    assert rents.lines(*two) == by_hand
    assert not rents.fleet().preview(rents.hosts, rents.seen)  # without a wish nobody asks the cloud
    result = rents.rent(*two)
    assert account.slots() == {"burst-0": "eu-central-1a", "burst-1": "eu-central-1b"}
    assert [one.state for one in result.rented] == ["stopped", "running"]
    assert rents.lines(*two) == {"refresh burst-0": ("stopped outside of hostler",)}


@pytest.mark.soak
def test_past_two_full_zones_and_the_choice_stays(account: Account, rents: Rents) -> None:
    account.full("eu-central-1a", "eu-central-1b")
    three = [slot(f"burst-{number}", A, B, C) for number in range(2)] + [slot("burst-2", A, B)]
    result = rents.rent(*three)
    assert refused(result) == [
        (f"burst-{number}", f"eu-central-1{letter}", FULL) for number in range(3) for letter in "ab"
    ]
    assert account.slots() == {"burst-0": "eu-central-1c", "burst-1": "eu-central-1c"}
    assert result.unfilled == ("burst-2",)
    assert {one for one in rents.resources() if one.startswith("Subnet ")} == {"Subnet eu-central-1c"}
    account.faults.clear()
    assert rents.lines(*three[:2]) == {}


def test_an_answer_that_was_lost(account: Account, rents: Rents) -> None:
    """The instance was made, and nobody was told: it is taken over, not made twice."""
    account.fault("RunInstances", lost=True, times=3)
    result = rents.rent(slot("burst-0", A, B))
    assert [one.candidate for one in result.rented] == [A]
    assert len(account.living()) == 1
    assert "taking over" in " ".join(rents.said)
    assert rents.lines(slot("burst-0", A, B)) == {}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("UnauthorizedOperation", "expected to be permitted ec2:RunInstances"),
        ("InvalidAMIID.NotFound", "expected AWS to accept it; got InvalidAMIID.NotFound"),
    ],
)
def test_what_no_other_candidate_would_help(account: Account, rents: Rents, code: str, expected: str) -> None:
    account.fault("RunInstances", code=code, times=0)
    with pytest.raises(
        ProvisionError, match=rf"burst-0 \(g5.xlarge on-demand in eu-central-1a\): {expected}"
    ):
        rents.rent(slot("burst-0", A, B))
    assert account.faults.calls["ec2:RunInstances"] == 1


@pytest.mark.soak
def test_retired_alone_and_then_the_end(account: Account, rents: Rents) -> None:
    rents.rent(slot("burst-0"), slot("burst-1", B), slot("burst-2", WEST))
    assert rents.fleet().retire(["burst-0", "burst-9"]) == ("burst-0",)
    assert account.slots() == {"burst-1": "eu-central-1b"}
    assert {"Vpc eu-central-1", "Vpc eu-west-1", "Subnet eu-central-1a"} <= rents.resources()
    rents.rent(slot("burst-1", B))
    assert not {one for one in rents.resources() if "west" in one or one == "Subnet eu-central-1a"}
    with pytest.raises(ProvisionError, match="expected nothing left in Pulumi's state; got burst-1"):
        rents.fleet().forget()
    rents.fleet().destroy()
    assert (account.slots(), account.slots("eu-west-1"), rents.resources()) == ({}, {}, set())
    assert rents.fleet().forget() == ()
    assert account.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.soak
def test_another_machine_goes_on(
    account: Account, rents: Rents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the stack file and the passphrase alone."""
    rents.rent(slot("burst-0"))
    other = rents.elsewhere(tmp_path / "other")
    assert [one.slot for one in other.fleet().rented()] == ["burst-0"]
    with pytest.raises(ProvisionError, match="got neither") as caught:
        other.preview(slot("burst-0"))
    assert "set HOSTLER_PASSPHRASE" in caught.value.problems[0].next_step
    monkeypatch.setenv("HOSTLER_PASSPHRASE", rents.fleet().places.passphrase.read_text().strip())
    assert other.lines(slot("burst-0")) == {}
    other.rent(slot("burst-0"), slot("burst-1"))
    assert sorted(account.slots()) == ["burst-0", "burst-1"]


@pytest.mark.soak
def test_owned_hosts_beside_what_is_rented(
    account: Account, rents: Rents, capfd: pytest.CaptureFixture[str]
) -> None:
    rents.rent(slot("burst-0"))
    rents.hosts = (*rents.hosts, host("gpu-2"))
    changes = rents.fleet().up(rents.hosts, rents.seen).changes
    assert [(one.op, one.name, one.kind) for one in changes] == [("create", "gpu-2", "host")]
    assert list(account.slots()) == ["burst-0"]
    fleet = rents.fleet()
    with pytest.raises(UsageError, match="expected what is rented by the stack file"):
        fleet.passthrough(["preview"], rents.hosts, rents.seen)
    capfd.readouterr()
    assert (
        fleet.passthrough(
            ["preview", "--expect-no-changes"], rents.hosts, rents.seen, rents.wish(slot("burst-0"))
        )
        == 0
    )
    assert "unchanged" in capfd.readouterr().out


@pytest.mark.soak
def test_all_of_a_region_is_full(account: Account, rents: Rents) -> None:
    """Its network goes again, and other regions take their turn."""
    account.fault(
        "CreateVpc", code="VpcLimitExceeded", message="The maximum number of VPCs has been reached."
    )
    result = rents.rent(slot("burst-0", A, B, WEST), slot("burst-1", A))
    zones = [("burst-0", "eu-central-1a"), ("burst-0", "eu-central-1b"), ("burst-1", "eu-central-1a")]
    assert refused(result) == [(*one, "VpcLimitExceeded") for one in zones]
    assert (result.unfilled, account.slots("eu-west-1")) == (("burst-1",), {"burst-0": "eu-west-1a"})
    assert not {one for one in rents.resources() if REGION in one}
    assert rents.lines(slot("burst-0", A, B, WEST)) == {}


class Watchdog:
    """Its time is up when RunInstances waits for its answer, however slow this machine is; once."""

    limit = 600.0

    def __init__(self, account: Account) -> None:
        self.account, self.bitten, self.daemon = account, False, True
        self.over = threading.Event()

    def __call__(self, seconds: float, act: Callable[[], object]) -> Watchdog:
        if seconds == self.limit and not self.bitten:
            threading.Thread(target=self._watch, args=(act,), daemon=True).start()
        return self

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        self.over.set()

    def _watch(self, act: Callable[[], object]) -> None:
        while not self.over.wait(0.05):
            if self.account.faults.calls["ec2:RunInstances"]:
                self.bitten = True
                act()
                return


@pytest.mark.soak
def test_an_attempt_that_takes_too_long(
    account: Account, rents: Rents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One SIGINT lets what is in flight finish; what it made is kept."""
    account.fault("RunInstances", delay=3.0)
    watchdog = Watchdog(account)
    monkeypatch.setattr(runner, "Timer", watchdog)
    result = rents.rent(slot("burst-0", A, B), limit=watchdog.limit)
    assert watchdog.bitten
    assert (refused(result), [one.candidate for one in result.rented]) == ([], [A])
    assert len(account.living()) == 1
    assert rents.lines(slot("burst-0", A, B)) == {}


@pytest.mark.soak
def test_a_gateway_and_who_may_reach_it(account: Account, rents: Rents) -> None:
    """Clients reach the gateway, and its public address all edges of the other slots."""
    wish = {"gateway_slots": ("front-0",), "clients_from": ("203.0.113.0/24",), "gateway_port": 8000}
    two = (slot("burst-0", B), slot("front-0"))
    rents.rent(*two, **wish)
    front, burst = machine(account, "front-0"), machine(account, "burst-0")
    assert rules(account, front) == {(8000, "203.0.113.0/24")}
    edges = {(8443, f"{front['PublicIpAddress']}/32"), (8443, "203.0.113.8/32"), (22, "203.0.113.7/32")}
    assert rules(account, burst) == edges
    assert rents.lines(*two, **wish) == {}


def rules(account: Account, machine: dict[str, Any]) -> set[tuple[int, str]]:
    names = [group["GroupId"] for group in machine["SecurityGroups"]]
    groups = account.client("ec2").describe_security_groups(GroupIds=names)["SecurityGroups"]
    found = [rule for group in groups for rule in group["IpPermissions"]]
    return {(rule["FromPort"], source["CidrIp"]) for rule in found for source in rule["IpRanges"]}


@pytest.mark.soak
def test_in_the_users_own_subnet(account: Account, rents: Rents) -> None:
    """No network of ours, and the groups in theirs."""
    ec2 = account.client("ec2")
    (subnet,) = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["eu-central-1a"]}])[
        "Subnets"
    ]
    rents.rent(slot("burst-0", subnet=subnet["SubnetId"]))
    assert machine(account, "burst-0")["VpcId"] == subnet["VpcId"]
    assert not {one for one in rents.resources() if one.startswith(("Vpc ", "Subnet "))}
    assert rents.lines(slot("burst-0", subnet=subnet["SubnetId"])) == {}
