"""What goes wrong while something is rented. After each the next `up` converges, and the account holds exactly what
the state holds."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.desk import Desk, Done
from e2e.sky import REGION, Going, held, in_the_state, instances, rented_from
from lab.cloud.catalog import UBUNTU_24
from lab.shell import wait_for
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak]
HOME = HostSpec("gpu-1", suite="bookworm", gpus=("RTX 3090",))
FAR = "eu-west-1"
STACK = """
stack: faults
pools:
  rack: [gpu-1]
  burst:
    aws: {regions: [eu-central-1, eu-west-1], instances: [g5.xlarge], spot: prefer, disk: 100 GiB}
    count: 1
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    pool: [rack, burst]
    replicas: 2
    context: 2k
    args: ["--threads", "1"]
    smoke: {prompt: What is the capital of France? Answer in one short sentence., expect: Paris}
mirror: {toolkit_key: ~/.config/hostler/toolkit.asc}
"""


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-faults", "frank", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK)
        desk.first = desk.up()
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    """A stack with a host at home, which has the gateway, and a rented one."""
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


@pytest.fixture(autouse=True)
def clear(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.mend()


@pytest.fixture
def vacant(cloud: Cloud) -> None:
    """The rented host is gone, so that the next `up` rents another."""
    for region in (REGION, FAR):
        for machine in instances(cloud, region):
            cloud.ec2(region).terminate_instances(InstanceIds=[machine["InstanceId"]])
            cloud.wait(machine["InstanceId"], "terminated", region)


def converged(office: Desk, cloud: Cloud, *words: str) -> Done:
    """One `up`, a chat, no difference any more, and nothing in the account but what the state has."""
    done = office.up(*words)
    assert "Paris" in office.ask()
    assert office("plan", "--check").out == ""
    assert held(cloud) == in_the_state(office)
    assert len([*instances(cloud), *instances(cloud, FAR)]) == 1
    return done


def renting(office: Desk, cloud: Cloud) -> Going:
    """An `up` whose RunInstances waits for its answer."""
    cloud.fault("RunInstances", delay=4.0)
    before = cloud.calls().get("ec2:RunInstances", 0)
    going = Going(office, "up", "--yes")
    going.until("RunInstances", lambda: cloud.calls().get("ec2:RunInstances", 0) > before)
    return going


def by_hand(cloud: Cloud, like: str, slot: str, lease: float) -> str:
    """An instance in another region with the tags of one that is in the state."""
    tags = {tag["Key"]: tag["Value"] for tag in cloud.instance(like)["Tags"]}
    tags |= {"hostler:slot": slot, "hostler:lease": f"{lease:.0f}"}
    tagged = [{"Key": key, "Value": value} for key, value in tags.items() if not key.startswith("aws:")]
    made = cloud.ec2(FAR).run_instances(
        ImageId=UBUNTU_24, InstanceType="t3.micro", MinCount=1, MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tagged}],
    )  # fmt: skip
    return str(made["Instances"][0]["InstanceId"])


def test_doctor_finds_a_stray_in_a_region_of_before_and_ends_just_that(office: Desk, cloud: Cloud) -> None:
    (own,) = (machine["InstanceId"] for machine in instances(cloud))
    office.edit("[eu-central-1, eu-west-1]", "[eu-central-1]")
    stray = by_hand(cloud, own, "burst-7", time.time() - 60)
    young = by_hand(cloud, own, "burst-8", time.time() + 3600)
    rows = office("doctor", "--json", code=4).json
    (found,) = [row for row in rows if row["bad"]]
    assert stray in found["what"]
    assert (found["where"], found["next_step"]) == (FAR, "hostler doctor --remove-strays")
    assert {machine["InstanceId"] for machine in instances(cloud, FAR)} == {stray, young}  # it only looked
    assert f"ended stray instance {stray} (burst-7)" in office("doctor", "--remove-strays").out
    assert [machine["InstanceId"] for machine in instances(cloud, FAR)] == [young]
    assert [machine["InstanceId"] for machine in instances(cloud)] == [own]
    assert "no strays in" in office("doctor").out
    cloud.ec2(FAR).terminate_instances(InstanceIds=[young])
    cloud.wait(young, "terminated", FAR)
    office.edit("[eu-central-1]", "[eu-central-1, eu-west-1]")
    converged(office, cloud)


@pytest.mark.usefixtures("vacant")
def test_two_at_once_from_two_machines(office: Desk, cloud: Cloud) -> None:
    colleague = Desk(office.lab, cloud.admit(office.lab.operator("gina")), office.hostler, office.pulumi)
    colleague.write(STACK)
    phrase = next(office.operator.home.glob(".local/state/hostler/**/passphrase")).read_text().strip()
    colleague.environment["HOSTLER_PASSPHRASE"] = phrase
    colleague("plan")
    with renting(office, cloud) as going:
        pulumi = going.pulumi()
        os.kill(pulumi, signal.SIGSTOP)  # it takes as long as the other one needs
        refused = colleague("up", "--yes", code=8)
        os.kill(pulumi, signal.SIGCONT)
        assert "held by root on" in refused.err
        assert "next: wait for root to finish" in refused.err
        assert "answered" in going.end(0)
    assert held(cloud) == in_the_state(office)
    assert colleague("plan", "--check").out == ""
    converged(office, cloud)


@pytest.mark.usefixtures("vacant")
def test_ctrl_c_while_it_rents(office: Desk, cloud: Cloud) -> None:
    with renting(office, cloud) as going:
        os.killpg(going.process.pid, signal.SIGINT)
        said = going.end(130)
    assert "note: what was rented stays, and costs; `hostler up` goes on, `hostler down` ends it" in said
    assert "interrupted; the next `hostler up` goes on from here" in said
    assert len(instances(cloud)) == 1
    assert held(cloud) == in_the_state(office)  # what was in flight is known
    converged(office, cloud)


@pytest.mark.usefixtures("vacant")
def test_the_pulumi_cli_is_killed(office: Desk, cloud: Cloud) -> None:
    with renting(office, cloud) as going:
        os.kill(going.pulumi(), signal.SIGKILL)
        said = going.end(5)
    assert "killed by signal 9" in said
    assert "run the same command again" in said
    (made,) = wait_for("the instance that nobody was told of", lambda: instances(cloud))
    done = converged(office, cloud)
    assert f"taking over {made['InstanceId']}" in done.err


@pytest.mark.usefixtures("vacant")
def test_all_of_aws_is_throttled_and_then_only_some(office: Desk, cloud: Cloud) -> None:
    cloud.fault(code="throttled", times=0)
    done = office.up(code=5)
    assert "AWS limits how often this account may ask: try again in a minute" in done.err
    cloud.mend()
    cloud.fault("RunInstances", code="throttled", times=4)
    converged(office, cloud)


@pytest.mark.usefixtures("vacant")
def test_no_room_in_a_region_and_no_quota_for_spot(office: Desk, cloud: Cloud) -> None:
    cloud.no_capacity("*", f"{REGION}*")
    cloud.quota("L-3819A6DF", 0)
    done = converged(office, cloud)
    assert f"spot in {REGION}a: InsufficientInstanceCapacity" in done.err
    assert f"spot in {FAR}a: MaxSpotInstanceCountExceeded" in done.err
    (machine,) = instances(cloud, FAR)
    assert "InstanceLifecycle" not in machine


@pytest.mark.usefixtures("vacant")
def test_credentials_expire_in_the_middle(office: Desk, cloud: Cloud) -> None:
    with renting(office, cloud) as going:
        cloud.fault(code="expired", times=0)
        said = going.end(5)
    assert "expected credentials that are valid now" in said
    assert "aws sso login" in said
    cloud.mend()
    converged(office, cloud)


@pytest.mark.usefixtures("vacant")
def test_one_that_never_boots(office: Desk, cloud: Cloud) -> None:
    """Twice the same, then the next way: the run goes on by itself."""
    cloud.never_boots(times=2)
    done = converged(office, cloud)
    assert re.search(r"burst-0: g5.xlarge spot in eu-central-1\w: InternalError", done.err), str(done)


@pytest.mark.usefixtures("vacant")
def test_one_without_network(office: Desk, cloud: Cloud) -> None:
    cloud.boots_without_network()
    done = office.up(code=4)
    (silent,) = instances(cloud)
    assert f"({silent['InstanceId']}): expected an answer over SSH" in done.err
    assert "AWS's own checks do not reach it" in done.err
    assert "the next `hostler up` ends it" in done.err
    converged(office, cloud)
    assert instances(cloud)[0]["InstanceId"] != silent["InstanceId"]


@pytest.mark.usefixtures("vacant")
def test_taken_back_while_it_is_configured(office: Desk, cloud: Cloud) -> None:
    with Going(office, "up", "--yes") as going:
        going.until("its configuration", lambda: "changed  burst-0:" in going.said(), 300)
        (machine,) = instances(cloud)
        assert machine["InstanceLifecycle"] == "spot"
        cloud.interrupt(machine["InstanceId"], seconds=2)
        said = going.end(6)
    assert f"burst-0 ({machine['InstanceId']})" in said
    assert "SpotInstanceTermination" in said
    assert "Paris" in office.ask()  # by the host at home
    converged(office, cloud)


def test_one_that_does_not_end_when_it_is_given_back(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    cloud.fault("TerminateInstances", code="InternalError", times=0)
    done = office("sleep", "burst", "--yes", code=5)
    assert (
        f"burst-0 ({machine['InstanceId']} in eu-central-1): expected it to end; got InternalError"
        in done.err
    )
    assert "it costs until it is gone" in done.err
    assert instances(cloud)[0]["InstanceId"] == machine["InstanceId"]
    cloud.mend()
    office.up()
    assert instances(cloud) == []
    assert held(cloud) == in_the_state(office)
    converged(office, cloud, "--wake")


def test_one_that_does_not_end_at_the_end(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    cloud.fault("TerminateInstances", code="InternalError", times=0)
    done = office("down", "--yes", code=5)
    assert f"burst-0 ({machine['InstanceId']} in eu-central-1): expected gone; got still there" in done.err
    assert "run `hostler down` again; it costs until it is gone" in done.err
    assert len(instances(cloud)) == 1
    cloud.mend()
    assert "read back" in office("down", "--yes").err
    assert cloud.account() == {}
