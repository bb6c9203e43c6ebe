"""A rack at home and a pool that is rented: woken, given back, exchanged, mended, and never lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e import nights
from e2e.desk import Desk, Done
from e2e.load import Load
from e2e.sky import instances, rented_from, shown, slot_of
from lab.shell import wait_for
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak]
HOME = HostSpec("gpu-1", suite="bookworm", gpus=("RTX 3090",))
STACK = """
stack: hybrid
pools:
  rack: [gpu-1]
  burst:
    aws: {regions: [eu-central-1, eu-west-1], instances: [g5.xlarge, g6.xlarge], spot: prefer, disk: 100 GiB}
    count: 0-1
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
    with rented_from("e2e-hybrid", "dave", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK)
        desk.first = desk.up()
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    """A stack whose rack is up, with a parked pool."""
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


@pytest.fixture(autouse=True)
def clear(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.mend()


def ready(desk: Desk) -> int:
    return shown(desk).json["models"][0]["ready"]


def parked(done: Done) -> bool:
    return "parked, and no drift: burst-" in done.err


def test_what_is_parked_costs_nothing_and_is_no_drift(office: Desk, cloud: Cloud) -> None:
    assert office.first
    assert parked(office.first)
    assert instances(cloud) == []
    assert "i-" not in office("plan", "--check").out


def test_nothing_is_to_be_had(office: Desk, cloud: Cloud) -> None:
    cloud.no_capacity()
    done = office("wake", "burst", "--yes", code=5)
    assert "g5.xlarge spot in eu-central-1a: InsufficientInstanceCapacity" in done.err
    assert "g6.xlarge on-demand in eu-central-1c: InsufficientInstanceCapacity" in done.err
    assert "g6.xlarge in eu-west-1" in done.err  # it is not offered there
    assert "--partial" in done.err
    assert instances(cloud) == []
    assert office("plan", "--check").out == ""


def test_a_killed_wake_leaves_one_machine_and_goes_on(office: Desk, cloud: Cloud) -> None:
    cloud.no_capacity("g5.*")
    with office.start("wake", "burst", "--yes") as running:
        wait_for("an instance", lambda: instances(cloud), 300)
        running.send_signal(signal.SIGKILL)
    done = office("wake", "burst", "--yes")
    assert "answered" in done.err
    (machine,) = instances(cloud)
    assert machine["InstanceType"] == "g6.xlarge"
    assert ready(office) == 2
    assert office("plan", "--check").out == ""


@pytest.mark.usefixtures("controller_world")
def test_updates_without_anyone_beside_a_rented_machine(office: Desk) -> None:
    """The controller has no rights in the cloud: it logs in there, takes what is newer, and leaves what is rented."""
    gateway = office.lab.hosts()[0]
    before = office.file.read_text()
    said = nights.switched_on(office)
    assert "the controller on gpu-1 reaches burst-0, gpu-1" in said
    assert nights.turn(gateway)["text"] == "nothing newer"
    office.lab.move_tag("ghcr.io/ggml-org/llama.cpp:server-cuda", "server-b2")
    with Load(office) as load:
        found = nights.turn(gateway)
        _, broken = load.end()
    assert found["last"]["ended"] == "good", found
    assert broken == ""
    assert ready(office) == 2
    office.lab.clear_faults()
    office.write(before)
    office.up()
    assert office("plan", "--check").out == ""


def test_without_aws_the_rack_goes_on_and_nothing_is_changed(office: Desk, cloud: Cloud) -> None:
    cloud.expire()
    done = shown(office)  # burst-0 where it was last, by its own key
    (slot,) = done.json["slots"]
    assert (slot["slot"], slot["state"]) == ("burst-0", "wanted, unknown")
    assert [host["name"] for host in done.json["hosts"]] == ["gpu-1", "burst-0"]
    assert done.json["models"][0]["ready"] == 2
    assert done.err.count("warning: AWS could not be asked") == 1
    assert "aws sso login" in done.json["cloud"]["next"]
    made = office("key", "add", "guest").out.strip()
    assert made in office("connect", "--key", "guest", "--json").out
    office("key", "revoke", "guest")
    assert made not in office("connect", "--key", "guest", "--json").out
    assert "Paris" in office.ask()
    for verb in ("plan", "roll chat", "sleep burst --yes"):
        assert "credentials that are valid now" in office(*verb.split(), code=5).err


def test_what_was_changed_by_hand_is_shown_and_mended(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    ec2, group = cloud.ec2(), machine["SecurityGroups"][0]["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    ec2.create_tags(Resources=[machine["InstanceId"]], Tags=[{"Key": "hostler:owner", "Value": "nobody"}])
    plan = office("plan")
    assert "hostler:owner" in plan.out
    assert "0.0.0.0/0" in plan.out
    office.up()
    opened = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert "0.0.0.0/0" not in str(opened)
    assert office("plan", "--check").out == ""


def test_one_that_was_ended_by_hand_is_replaced(office: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    cloud.ec2().terminate_instances(InstanceIds=[machine["InstanceId"]])
    cloud.wait(machine["InstanceId"], "terminated")
    assert "ended outside of hostler" in office("plan").err
    office.up()
    (another,) = instances(cloud)
    assert another["InstanceId"] != machine["InstanceId"]
    assert ready(office) == 2


def test_another_type_comes_beside_the_old_one_and_cuts_nothing(office: Desk, cloud: Cloud) -> None:
    (old,) = instances(cloud)
    kept = "g6.xlarge" if old["InstanceType"] == "g5.xlarge" else "g5.xlarge"
    office.edit("instances: [g5.xlarge, g6.xlarge]", f"instances: [{kept}]")
    assert f"{old['InstanceType']} is no longer among {kept}" in office("plan").out
    with Load(office) as load:
        done = office.up()
        whole, broken = load.end()
    assert (broken, whole > 0) == ("", True)
    assert "gone: burst-0" in done.err
    (new,) = instances(cloud)
    assert (new["InstanceType"], slot_of(new)) == (kept, "burst-1")
    assert ready(office) == 2
    assert office("plan", "--check").out == ""


def test_asleep_it_is_given_back_and_cuts_nothing(office: Desk, cloud: Cloud) -> None:
    with Load(office) as load:
        done = office("sleep", "burst", "--yes")
        whole, broken = load.end()
    assert (broken, whole > 0) == ("", True)
    assert "gone: burst-1" in done.err
    assert instances(cloud) == []
    assert "Paris" in office.ask()
    again = office.up("--json")
    assert again.json["changes"] == []
    assert parked(office("plan"))


def test_down_leaves_the_rack_as_found_and_the_account_empty(office: Desk, cloud: Cloud) -> None:
    office("down", "--yes")
    assert cloud.account() == {}
