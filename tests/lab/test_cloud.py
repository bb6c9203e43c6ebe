"""The lab's cloud: an instance's life, what EC2 refuses, and the faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from .cache import HERE, labs
from .cloud.catalog import DEEP_LEARNING, PARAMETERS, UBUNTU_24
from .operators import Operator
from .pki import pki
from .shell import Process, sh, wait_for

if TYPE_CHECKING:
    from .cloud.client import Cloud

METADATA = "http://169.254.169.254/latest"
TOKEN = f"curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {METADATA}/api/token"
AS_OPERATOR = """
import boto3, json, sys
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
for line in sys.stdin:
    service, action, region, words = json.loads(line)
    client = boto3.client(service, region_name=region, config=Config(retries={"total_max_attempts": 1}))
    try:
        answer = getattr(client, action)(**words)
    except ClientError as error:
        answer = {"code": error.response["Error"]["Code"]}
    except BotoCoreError as error:
        answer = {"code": type(error).__name__}
    print(json.dumps(answer, default=str), flush=True)
"""

type Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(cloud: Cloud, operator: Operator) -> Iterator[Ask]:
    """Calls AWS as the product does, from an operator's machine under the real names; `code` in the answer is an error's."""
    cloud.admit(operator)
    with operator.popen(["python", "-c", AS_OPERATOR], stdin=subprocess.PIPE, stderr=None) as asking:
        wire = asking.stdin, asking.stdout

        def call(service: str, action: str, region: str = "eu-central-1", **words: Any) -> dict[str, Any]:
            to, back = wire
            assert to
            assert back
            print(json.dumps([service, action, region, words]), file=to, flush=True)
            return json.loads(back.readline())

        yield call


def one(kind: str = "t3.micro", image: str = UBUNTU_24, **more: Any) -> dict[str, Any]:
    """RunInstances' words for one instance."""
    how = {"InstanceInitiatedShutdownBehavior": "terminate", "MetadataOptions": {"HttpTokens": "required"}}
    return how | {"ImageId": image, "InstanceType": kind, "MinCount": 1, "MaxCount": 1} | more


def launched(cloud: Cloud, *words: Any, **more: Any) -> dict[str, Any]:
    return cloud.ec2().run_instances(**one(*words, **more))["Instances"][0]


def user_data(folder: Path) -> tuple[str, str]:
    """With a host key made beforehand and the operator's own key; and the public host key."""
    key = folder / "hostkey"
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
    public, mine = (f.read_text().strip() for f in (folder / "hostkey.pub", pki() / "id_ed25519.pub"))
    private = textwrap.indent(key.read_text(), "    ")
    return (
        f"#cloud-config\nssh_keys:\n  ed25519_private: |\n{private}  ed25519_public: {public}\n"
        f"ssh_authorized_keys: ['{mine}']\nwrite_files:\n  - {{path: /etc/made, content: by user data}}\n"
        "runcmd:\n  - [systemd-run, --on-calendar=2099-01-01, --unit=lease, /bin/true]\n"
    ), public


def ssh(operator: Operator, address: str, key: str, *command: str, user: str = "ubuntu") -> Any:
    """Strict: only this host key, and no second try with another."""
    (operator.home / "known").write_text(f"{address} {key}\n")
    strict = ["-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=~/known", "-o", "BatchMode=yes"]
    return operator.run(["ssh", *strict, f"{user}@{address}", *command])


def test_an_instance_lives_and_ends_itself(cloud: Cloud, operator: Operator, tmp_path: Path) -> None:
    data, key = user_data(tmp_path)
    made = launched(cloud, "g5.12xlarge", DEEP_LEARNING, UserData=data)
    name, address = made["InstanceId"], made["PublicIpAddress"]
    assert made["State"]["Name"] == "pending"
    cloud.wait(name, "running")
    cloud.host(name).wait()
    assert ssh(operator, address, key, "cloud-init", "status", "--wait").stdout.split()[-1] == "done"
    look = (
        "cat /etc/made; sudo id -un; nvidia-smi -L | wc -l; sudo docker info -f '{{.Runtimes.nvidia.Path}}'"
    )
    seen = ssh(operator, address, key, look + "; systemctl is-active lease.timer").stdout.split("\n")
    assert seen[:5] == ["by user dataroot", "4", "nvidia-container-runtime", "active", ""]
    assert ssh(operator, address, key, "true", user="root").returncode != 0
    other = (pki() / "id_ed25519.pub").read_text().strip()
    assert "Host key verification failed" in ssh(operator, address, other, "true").stderr
    # at home, too, it is reached by its private address
    assert ssh(operator, made["PrivateIpAddress"], key, "hostname").stdout.startswith("ip-10-78-")
    ssh(operator, address, key, "sudo", "shutdown", "-h", "now")
    ended = cloud.wait(name, "terminated")
    assert ended["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert cloud.account() == {}


@pytest.mark.soak
def test_a_bare_image_has_cards_and_no_driver(cloud: Cloud) -> None:
    made = launched(
        cloud, "g6.xlarge", BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 30}}]
    )
    name = made["InstanceId"]
    cloud.wait(name, "running")
    host = cloud.host(name).wait()
    look = "command -v nvidia-smi docker; cat /sys/bus/pci/devices/0000:01:00.0/vendor; df --output=size -BG / | tail -1"
    assert host.run(["sh", "-c", look]).stdout.split() == ["0x10de", "30G"]
    asked = f'curl -so /dev/null -w "%{{http_code}} " {METADATA}/meta-data/'
    assert host.run(["sh", "-c", asked]).stdout == "401 "
    boot = host.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    host.run(["touch", "/root/kept"])
    cloud.ec2().stop_instances(InstanceIds=[name])
    cloud.wait(name, "stopped")
    cloud.ec2().start_instances(InstanceIds=[name])
    assert cloud.wait(name, "running")["PrivateIpAddress"] == made["PrivateIpAddress"]
    host.wait()
    assert host.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout != boot
    assert host.run(["ls", "/root/kept"]).stdout == "/root/kept\n"


def test_what_ec2_refuses(cloud: Cloud, ask: Ask) -> None:
    def run(**more: Any) -> Any:
        return ask("ec2", "run_instances", **one("g5.xlarge", **more)).get("code", "launched")

    cloud.no_capacity("g5.*", "*-1a")
    cloud.never_boots(times=0)
    assert run(Placement={"AvailabilityZone": "eu-central-1a"}) == "InsufficientInstanceCapacity"
    assert run(Placement={"AvailabilityZone": "eu-central-1b"}) == "launched"
    assert run() == "launched"
    cloud.quota("L-DB2E81BA", 3)
    cloud.quota("L-3819A6DF", 0)
    assert run() == "VcpuLimitExceeded"
    assert run(InstanceMarketOptions={"MarketType": "spot"}) == "MaxSpotInstanceCountExceeded"
    cloud.mend()
    assert run(ImageId="ami-0123456789abcdef0") == "InvalidAMIID.NotFound"
    assert run(KeyName="nobodys") == "InvalidKeyPair.NotFound"
    assert run(UserData="x" * 16385) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("code", "answers"),
    [
        ("expired", ["RequestExpired", "ExpiredToken", "ExpiredToken", "ExpiredTokenException"]),
        ("denied", ["UnauthorizedOperation", "AccessDenied", "AccessDenied", "AccessDeniedException"]),
        ("throttled", ["RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException"]),
    ],
)
def test_each_service_has_its_own_word(cloud: Cloud, ask: Ask, code: str, answers: list[str]) -> None:
    cloud.fault(code=code, times=0)
    calls = [("ec2", "describe_instances"), ("s3", "list_buckets"), ("sts", "get_caller_identity")]
    assert [ask(*call)["code"] for call in [*calls, ("ssm", "describe_parameters")]] == answers
    cloud.mend()
    assert "code" not in ask("ec2", "describe_instances")
    assert cloud.calls()["ec2:DescribeInstances"] == 2


def test_a_lost_answer_and_its_token(cloud: Cloud, ask: Ask) -> None:
    cloud.fault("RunInstances", lost=True)
    words = one(ClientToken="once")
    assert ask("ec2", "run_instances", **words)["code"] == "ConnectionClosedError"
    (there,) = cloud.account()["eu-central-1"]["instances"]
    assert ask("ec2", "run_instances", **words)["Instances"][0]["InstanceId"] == there
    other = ask("ec2", "run_instances", **words | {"InstanceType": "t3.medium"})
    assert other["code"] == "IdempotentParameterMismatch"


@pytest.mark.soak
def test_an_end_that_does_not_come(cloud: Cloud) -> None:
    name = launched(cloud)["InstanceId"]
    cloud.wait(name, "running")
    cloud.hang(name)
    cloud.ec2().terminate_instances(InstanceIds=[name])
    assert cloud.instance(name)["State"]["Name"] == "shutting-down"
    assert cloud.host(name).running
    cloud.hang(name, on=False)
    cloud.wait(name, "terminated")


@pytest.mark.soak
def test_births_that_fail(cloud: Cloud) -> None:
    cloud.never_boots()
    name = launched(cloud)["InstanceId"]
    assert cloud.wait(name, "terminated")["StateReason"]["Code"] == "Server.InternalError"
    cloud.boots_without_network()
    name = launched(cloud)["InstanceId"]
    cloud.wait(name, "running")
    host = cloud.host(name)
    assert host.run(["ping", "-c1", "-W1", cloud.address], check=False).returncode
    status = cloud.ec2().describe_instance_status(InstanceIds=[name])["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "impaired"


@pytest.mark.soak
def test_a_spot_interruption(cloud: Cloud) -> None:
    spot = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}}
    name = launched(cloud, InstanceMarketOptions=spot)["InstanceId"]
    assert cloud.wait(name, "running")["InstanceLifecycle"] == "spot"
    host = cloud.host(name).wait()
    look = f'curl -s -w " %{{http_code}}" -H "X-aws-ec2-metadata-token: $({TOKEN})" {METADATA}/meta-data/spot/instance-action'
    assert host.run(["sh", "-c", look]).stdout == " 404"
    cloud.interrupt(name, seconds=3)
    seen = host.run(["sh", "-c", look]).stdout
    assert (json.loads(seen[:-4])["action"], seen[-4:]) == ("terminate", " 200")
    ended = cloud.wait(name, "terminated")
    assert ended["StateReason"]["Code"] == "Server.SpotInstanceTermination"


def test_what_it_sells(cloud: Cloud, ask: Ask) -> None:
    for parameter, image in PARAMETERS.items():
        assert ask("ssm", "get_parameter", Name=parameter)["Parameter"]["Value"] == image
    (image,) = ask("ec2", "describe_images", ImageIds=[DEEP_LEARNING])["Images"]
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 75
    kinds = ask("ec2", "describe_instance_types", InstanceTypes=["g5.12xlarge"])["InstanceTypes"]
    assert kinds[0]["GpuInfo"]["Gpus"][0]["Count"] == 4
    cloud.spot_price(0.31, "g5.*", "eu-west-1b")
    prices = ask("ec2", "describe_spot_price_history", "eu-west-1", InstanceTypes=["g5.xlarge"])
    found = {p["AvailabilityZone"]: float(p["SpotPrice"]) for p in prices["SpotPriceHistory"]}
    assert (found["eu-west-1b"], found["eu-west-1a"]) == (0.31, 0.45288)
    wanted = {
        "instanceType": "g5.xlarge",
        "regionCode": "eu-west-1",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
    }
    filters = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in wanted.items()]
    (product,) = ask("pricing", "get_products", ServiceCode="AmazonEC2", Filters=filters)["PriceList"]
    (term,) = json.loads(product)["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert float(dimension["pricePerUnit"]["USD"]) == 1.1322
    quotas = ask("service-quotas", "list_service_quotas", ServiceCode="ec2")
    assert (len(quotas["Quotas"]), "NextToken" in quotas) == (2, True)


def test_the_account_says_what_is_there(cloud: Cloud, ask: Ask, operator: Operator) -> None:
    assert cloud.account() == {}
    ec2 = cloud.ec2("eu-west-1")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")
    where = {"LocationConstraint": "eu-west-1"}
    ask("s3", "create_bucket", "eu-west-1", Bucket="office-hostler", CreateBucketConfiguration=where)
    assert cloud.account() == {
        "eu-west-1": {"addresses": [address["AllocationId"]], "subnets": [subnet], "vpcs": [vpc]},
        "global": {"buckets": ["office-hostler"]},
    }
    instance = ec2.run_instances(**one(SubnetId=subnet))["Instances"][0]["InstanceId"]
    cloud.wait(instance, "running", "eu-west-1")
    cloud.host(instance).wait()
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)
    probe = ["curl", "-sm2", f"telnet://{address['PublicIp']}:22"]
    assert operator.run(probe).stdout.startswith("SSH-2.0")


@pytest.mark.soak
def test_what_is_needed_stays(cloud: Cloud) -> None:
    ec2 = cloud.ec2()
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    used, named, free = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for name in ("used", "named", "free")
    )
    other = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": named}]}
    ec2.authorize_security_group_ingress(GroupId=used, IpPermissions=[other])
    cloud.never_boots()
    name = launched(cloud, SubnetId=subnet, SecurityGroupIds=[used])["InstanceId"]
    ec2.delete_security_group(GroupId=free)
    for call, words in (
        (ec2.delete_security_group, {"GroupId": used}),
        (ec2.delete_security_group, {"GroupId": named}),
        (ec2.delete_subnet, {"SubnetId": subnet}),
        (ec2.delete_vpc, {"VpcId": vpc}),
    ):
        with pytest.raises(ClientError, match="DependencyViolation"):
            call(**words)
    cloud.wait(name, "terminated")
    for group in (used, named):
        ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    assert cloud.account() == {}


def test_what_a_person_does_by_hand(cloud: Cloud) -> None:
    cloud.expire()
    with pytest.raises((ClientError, HTTPClientError)):
        cloud.client("ec2").describe_vpcs(VpcIds=["vpc-none"])
    name = launched(cloud)["InstanceId"]
    cloud.ec2().create_tags(Resources=[name], Tags=[{"Key": "hostler:stack", "Value": "other"}])
    assert cloud.instance(name)["Tags"] == [{"Key": "hostler:stack", "Value": "other"}]


@pytest.mark.soak
def test_a_cloud_ends_with_its_owner() -> None:
    name = f"cloud-{os.getpid()}"
    code = f"from lab import Lab; c = Lab.start({name!r}).cloud(); from lab.test_cloud import launched; "
    code += "i = launched(c)['InstanceId']; c.wait(i, 'running'); print('number', c.lab.number, flush=True); input()"
    command, env = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": str(HERE.parent)}
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        said = next(line for line in owner.stdout if line.startswith("number"))
        supervisor = Process.load(next((labs() / name).glob("instances/*/supervisor.json")))
        assert supervisor
        assert supervisor.alive
        owner.send_signal(signal.SIGKILL)
    wait_for("the orphan to be gone", lambda: not (labs() / name).exists(), 20)
    assert not supervisor.alive
    assert f"hostler_lab_{said.split()[1]}_cloud" not in sh("nft", "list", "tables")
