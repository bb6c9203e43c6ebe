"""Puts the lab's answers in place of moto's own, once for a process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.general import General
from moto.ec2.responses.spot_instances import SpotInstances
from moto.ssm.models import Parameter, ssm_backends

from .catalog import ACCOUNT, PARAMETERS, REGIONS, ROOT_SIZE, SPOT, hourly, matches
from .compute import Compute
from .dependencies import Dependencies
from .faults import Faults
from .machines import Machines
from .networks import Networks
from .steady import each_its_own_table


class Told:
    """What is told of instances and prices."""

    def __init__(self, machines: Machines, faults: Faults) -> None:
        self.machines, self.faults = machines, faults
        self.prices = SpotInstances.describe_spot_price_history
        self.disks: Callable[[Any], list[dict[str, Any]]] = Ami.block_device_mappings.fget  # pyright: ignore[reportAttributeAccessIssue]

    def disks_of_image(self, image: Any) -> list[dict[str, Any]]:
        """moto's are of 15 GiB."""
        found = self.disks(image)
        for one in found:
            one["Ebs"]["VolumeSize"] = ROOT_SIZE[image.id]
        return found

    def console(self, response: Any) -> ActionResult:
        """The host's own console, as GetConsoleOutput gives it."""
        instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
        log: Path = self.machines.known[instance.id].host.directory / "console.log"
        text = log.read_text(errors="replace")[-65536:] if log.exists() else ""
        output = Base64EncodedString.from_raw_string(text)
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

    def spot_prices(self, response: Any) -> ActionResult:
        """By the rules of the test, else a part of the price on demand. moto's are 0.00001 and of 2006."""
        answer = self.prices(response)
        kept: list[dict[str, Any]] = []
        for one in answer.result["SpotPriceHistory"]:  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
            kind, zone = one["InstanceType"], one["AvailabilityZone"]
            rules = [rule for rule in self.faults.prices if matches(rule, kind, zone)]
            price = rules[-1]["price"] if rules else (hourly(kind, zone[:-1]) or 0) * SPOT
            if price:
                text = f"{float(price):.6f}"
                kept.append(
                    one | {"ProductDescription": "Linux/UNIX", "Timestamp": utcnow(), "SpotPrice": text}
                )
        return ActionResult({"SpotPriceHistory": kept})


def _method(call: Callable[..., Any]) -> Any:
    """A bound method of Compute as a method of moto's class: its instance is the first argument."""
    return lambda *words, **named: call(*words, **named)


def put_in_place(machines: Machines, faults: Faults, cidr: str) -> None:
    """Changes moto's classes."""
    each_its_own_table()
    compute, networks, told = Compute(machines, faults), Networks(machines, cidr), Told(machines, faults)
    needed = Dependencies()
    places: dict[tuple[type, str], Callable[..., Any]] = {
        (InstanceBackend, "run_instances"): compute.launch,
        (Instance, "stop"): compute.stop,
        (Instance, "start"): compute.start,
        (Instance, "terminate"): compute.terminate,
        (Instance, "reboot"): compute.reboot,
        (NetworkInterface, "check_auto_public_ip"): networks.public_address,
        (VPCBackend, "create_default_vpc"): networks.default_vpc,
        (ElasticAddress, "__init__"): networks.elastic_address,
        (ElasticAddressBackend, "associate_address"): networks.associate_address,
        (ElasticAddressBackend, "disassociate_address"): networks.disassociate_address,
        (SecurityGroupBackend, "delete_security_group"): needed.group,
        (SubnetBackend, "delete_subnet"): needed.subnet,
        (General, "get_console_output"): told.console,
        (SpotInstances, "describe_spot_price_history"): told.spot_prices,
    }
    for (where, name), call in places.items():
        setattr(where, name, _method(call))
    for name in ("instance_status", "system_status"):
        setattr(Instance, name, property(compute.status))
    setattr(Ami, "block_device_mappings", property(told.disks_of_image))  # noqa: B010


def write_parameters() -> None:
    """The images' public parameters. PutParameter refuses names below /aws/."""
    for region in (*REGIONS, "us-east-1"):
        for name, image in PARAMETERS.items():
            one = Parameter(
                account_id=ACCOUNT, name=name, value=image, parameter_type="String", description=None,
                allowed_pattern=None, keyid=None, last_modified_date=utcnow(), version=1, data_type="aws:ec2:image",
            )  # fmt: skip
            ssm_backends[ACCOUNT][region]._parameters[name].append(one)  # pyright: ignore[reportArgumentType]
