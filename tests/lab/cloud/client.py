"""The cloud as tests see it: its faults, what is in it, and a plain client for what is done by hand."""

import json
import os
import shutil
import sys
import urllib.request
from base64 import b32encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from ..cache import HERE
from ..hosts import Host
from ..network import leave_cloud
from ..operators import Operator
from ..shell import LabError, Process, background, wait_for
from .account import Account, account
from .catalog import REGIONS, images
from .names import NAMES, certificate
from .releases import schema
from .roots import nvidia_root, plain_root
from .server import CONTROL

if TYPE_CHECKING:
    from ..lab import Lab

LOGIN = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "lab"}
MOTO = {"MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true", "MOTO_ENABLE_AMI_VALIDATION": "true"}


def access_key(name: str) -> str:
    """The operators' own without a name."""
    found = b32encode(sha256(name.encode()).digest()).decode()
    return f"AKIA{found[:16]}" if name else LOGIN["AWS_ACCESS_KEY_ID"]


class Cloud:
    """Made by Lab.cloud; empty at first. `with` ends it, and all of its hosts, at the end of the block."""

    def __init__(self, lab: "Lab") -> None:
        self.lab = lab
        self.directory = lab.directory / "cloud"
        self.address = f"10.77.{lab.number}.2"

    # -- life

    @classmethod
    def start(cls, lab: "Lab") -> "Cloud":
        """A new, empty cloud; a lab has one at a time."""
        plain_root()
        nvidia_root()
        certificate()
        schema()
        cloud = cls(lab)
        cloud.directory.mkdir()
        (cloud.directory / "images.json").write_text(json.dumps(images()))
        env = os.environ | MOTO | {"PYTHONPATH": str(HERE.parent)}
        env["MOTO_AMIS_PATH"] = str(cloud.directory / "images.json")
        command = [sys.executable, "-m", f"{__package__}.server", lab.directory]
        started = background(command, cloud.directory / "log", env)
        started.save(cloud.directory / "process.json")

        def up() -> bool:
            if not started.alive:
                raise LabError(f"the cloud does not start: {cloud.log[-1500:]}")
            return (cloud.directory / "up").exists()

        wait_for("the lab's cloud", up)
        (cloud.directory / "names.json").write_text(json.dumps(dict.fromkeys(NAMES, cloud.address)))
        lab.publish()
        return cloud

    def __enter__(self) -> "Cloud":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it with all of its hosts, at once."""
        process = Process.load(self.directory / "process.json")
        if process:
            process.kill(15, limit=60)
        leave_cloud(self.lab.number)
        shutil.rmtree(self.lab.directory / "instances", ignore_errors=True)
        shutil.rmtree(self.directory)
        self.lab.publish()

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def admit(self, operator: Operator) -> Operator:
        """Gives an operator an account here: the usual variables, and the lab's name service in place of this machine's."""
        bundle = operator.environment()["SSL_CERT_FILE"]
        operator.settle(LOGIN | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": bundle})
        operator.ask_the_lab()
        return operator

    def credentials(self, name: str, policy: Mapping[str, Any] | None = None) -> str:
        """Another access key of the account, as the text of a file for AWS_SHARED_CREDENTIALS_FILE. With a policy it may do
        nothing else."""
        if policy is not None:
            self._ask("permit", key=access_key(name), policy=policy)
        secret = LOGIN["AWS_SECRET_ACCESS_KEY"]
        return f"[default]\naws_access_key_id = {access_key(name)}\naws_secret_access_key = {secret}\n"

    # -- by hand

    def client(self, service: str, region: str = REGIONS[0]) -> Any:
        """A client past faults and counting: what a person does in AWS's console."""
        key, secret = LOGIN.values()
        return boto3.client(
            service,  # pyright: ignore[reportArgumentType, reportCallIssue]
            region_name=region,
            endpoint_url=f"http://{self.address}:{CONTROL}",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def ec2(self, region: str = REGIONS[0]) -> Any:
        return self.client("ec2", region)

    def instance(self, id: str, region: str = REGIONS[0]) -> dict[str, Any]:
        """DescribeInstances' words for this one."""
        return self.ec2(region).describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]

    def wait(self, id: str, state: str, region: str = REGIONS[0], limit: float = 60) -> dict[str, Any]:
        """Until the instance is in this state."""

        def there() -> dict[str, Any] | None:
            found = self.instance(id, region)
            return found if found["State"]["Name"] == state else None

        return wait_for(f"{id} to be {state}", there, limit, every=0.1) or {}

    def host(self, id: str) -> Host:
        """The lab's host behind an instance, past its network."""
        return Host(Path(self._ask("state")["instances"][id]))

    def account(self) -> Account:
        """What is in the account: region -> kind -> ids. Empty for an empty one."""
        return account(self.client, REGIONS)

    # -- what goes wrong

    def fault(self, action: str = "*", **fault: Any) -> None:
        """Calls of this name (a glob) meet a fault; its other fields are those of faults.Fault.

        fault("Describe*", code="throttled", times=2), fault("RunInstances", lost=True), fault("*", delay=2, times=0)
        """
        self._ask("fault", action=action, **fault)

    def expire(self) -> None:
        """From now on all credentials have expired."""
        self.fault(code="expired", times=0)

    def deny(self, action: str) -> None:
        """From now on nobody may do this."""
        self.fault(action, code="denied", times=0)

    def no_capacity(self, type: str = "*", zone: str = "*") -> None:
        """There is none left of types in zones (globs)."""
        self._ask("capacity", type=type, zone=zone)

    def quota(self, code: str, value: float) -> None:
        """Another limit of vCPUs: see catalog.QUOTAS."""
        self._ask("quota", code=code, value=value)

    def spot_price(self, price: float, type: str = "*", zone: str = "*") -> None:
        """USD an hour for types in zones (globs), from now on."""
        self._ask("price", price=price, type=type, zone=zone)

    def never_boots(self, times: int = 1) -> None:
        """The next instances are terminated two seconds after their launch, as when EC2 has an internal error."""
        self._ask("birth", how="never", times=times)

    def boots_without_network(self, times: int = 1) -> None:
        """The next instances run, and nothing reaches them."""
        self._ask("birth", how="cut", times=times)

    def interrupt(self, id: str, seconds: float = 120) -> None:
        """A spot interruption: announced now in the instance's metadata, terminated after so many seconds."""
        self._ask("interrupt", instance=id, seconds=seconds)

    def hang(self, id: str, on: bool = True) -> None:
        """The instance's end is accepted and does not come, until `on=False` or `mend`."""
        self._ask("stuck", instance=id, on=on)

    def mend(self) -> None:
        """No faults any more; prices, quotas and capacity as at first."""
        self._ask("clear")

    def empty(self) -> None:
        """As new: no hosts, nothing in the account, no faults, no calls."""
        self._ask("empty")

    def calls(self) -> dict[str, int]:
        """How often each call came from operators, as SERVICE:ACTION; S3's by method."""
        return self._ask("state")["calls"]

    def called(self, name: str = "") -> frozenset[str]:
        """The rights, as IAM names them, that all calls with the credentials of this name needed; of the operators' own
        without one. S3's reading of what it copies is part of it, and the tagging of what EC2 makes."""
        return frozenset(self._ask("state")["called"].get(access_key(name), ()))

    def refused(self) -> list[str]:
        """`ACTION on resource: ARN`, of calls that a policy did not permit."""
        return self._ask("state")["refused"]

    def _ask(self, verb: str, **words: Any) -> Any:
        url = f"http://{self.address}:{CONTROL}/_lab/{verb}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(urllib.request.Request(url, json.dumps(words).encode()), timeout=60) as answer:
            return json.load(answer)
