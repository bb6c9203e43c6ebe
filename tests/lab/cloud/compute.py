"""RunInstances and an instance's life, with a host behind each: what moto calls in place of its own."""

import base64
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceBackend
from werkzeug.exceptions import HTTPException

from .catalog import IMAGES, QUOTAS, ROOT_DEVICE, ROOT_SIZE, matches, quota_of
from .faults import Faults
from .machines import ENDED, LIVE, Machine, Machines, set_state


class Refused(HTTPException):
    """An error that is not of status 400, as all of moto's own are."""

    def __init__(self, status: int, code: str, message: str) -> None:
        inner = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        body = f"<Response><Errors>{inner}</Errors><RequestID>lab</RequestID></Response>"
        super().__init__(body)  # moto answers with an exception's description
        self.code = status


class Compute:
    """The answers that differ from moto's own. One of these for a process: see patches.py."""

    def __init__(self, machines: Machines, faults: Faults) -> None:
        self.machines, self.faults = machines, faults
        self.run = InstanceBackend.run_instances
        ENDED.update(stop=Instance.stop, terminate=Instance.terminate)

    # -- launching

    def launch(self, backend: Any, image: str, count: int, data: Any, groups: list[str], **how: Any) -> Any:
        """RunInstances: refuses what EC2 would, chooses a zone, lets moto make the instances and boots their hosts."""
        kind, spot = how["instance_type"], bool(how.get("instance_market_options"))
        if image not in IMAGES:
            raise EC2ClientError("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
        if len(base64.b64decode(str(data or ""))) > 16384:
            raise EC2ClientError("InvalidParameterValue", "User data is limited to 16384 bytes")
        key = how.get("key_name")
        if key and key not in backend.key_pairs:
            raise EC2ClientError("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
        zone = self._place(backend, kind, how)
        self._refuse(backend, kind, zone, spot, count)
        self._root_volume(image, how)
        made = self.run(backend, image, count, data, groups, **how)
        for instance in made.instances:
            self.machines.add(instance, self.faults.birth())
        return made

    def _place(self, backend: Any, kind: str, how: dict[str, Any]) -> str:
        """The zone, also of the subnet asked for. moto would choose a random address where no subnet is asked for."""
        nics = how.get("nics") or []
        subnet = how.get("subnet_id") or next((n["SubnetId"] for n in nics if n.get("SubnetId")), None)
        if not subnet:
            mine = {z: s for z, ss in backend.subnets.items() for s in ss.values() if s.default_for_az}
            free = [z for z in mine if not self._full(kind, z)]
            zone = how.get("placement") or next(iter(free or mine), "")
            if zone not in mine:
                raise EC2ClientError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
            subnet = how["subnet_id"] = mine[zone].id
        zone = str(backend.get_subnet(subnet).availability_zone)
        if how.get("placement") not in (None, zone):
            raise EC2ClientError(
                "InvalidParameterValue", f"The subnet {subnet} is not in {how['placement']}."
            )
        return zone

    def _full(self, kind: str, zone: str) -> bool:
        return any(matches(rule, kind, zone) for rule in self.faults.capacity)

    def _refuse(self, backend: Any, kind: str, zone: str, spot: bool, count: int) -> None:
        """For want of capacity or quota."""
        if self._full(kind, zone):
            text = f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone})."
            if spot:
                text = "There is no Spot capacity available that matches your request."
            raise Refused(500, "InsufficientInstanceCapacity", text)
        code = quota_of(kind, spot)
        if not code or kind not in INSTANCE_TYPES:
            return
        limit = self.faults.quotas.get(code, float(QUOTAS[code][3]))
        running = [
            i.instance_type
            for i in backend.all_instances()
            if i.state in LIVE and quota_of(i.instance_type, bool(i.lifecycle)) == code
        ]
        wanted = sum(_cpus(one) for one in [*running, *[kind] * count])
        if wanted > limit:
            if spot:
                raise EC2ClientError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
            text = f"You have requested more vCPU capacity than your current vCPU limit of {limit:g} allows"
            raise EC2ClientError("VcpuLimitExceeded", f"{text} for the instance bucket of {kind}.")

    @staticmethod
    def _root_volume(image: str, how: dict[str, Any]) -> None:
        """moto's own is 8 GiB whatever the image; an image's disk is not made smaller."""
        least = ROOT_SIZE[image]
        blocks = how.setdefault("block_device_mappings", [])
        root = next((b for b in blocks if b["DeviceName"] == ROOT_DEVICE), None)
        if root is None:
            root = {"DeviceName": ROOT_DEVICE, "Ebs": {"VolumeType": "gp2"}}
            blocks.append(root)
        disk = root["Ebs"]
        disk["DeleteOnTermination"] = str(disk.get("DeleteOnTermination", True)).lower() != "false"
        size = int(disk.setdefault("VolumeSize", least))
        if size < least:
            text = f"Volume of size {size}GB is smaller than snapshot, expect size >= {least}GB"
            raise EC2ClientError("InvalidBlockDeviceMapping", text)

    # -- life

    def machine(self, instance: Any) -> Machine:
        return self.machines.known[instance.id]

    def stop(self, instance: Any) -> Any:
        before = instance._state
        if before.name not in ("stopping", "stopped"):
            _need(instance, "running")
            if instance.lifecycle == "spot":
                text = f"You can't stop the Spot Instance '{instance.id}' because it is associated with a one-time Spot Instance request."
                raise EC2ClientError("UnsupportedOperation", text)
            self.machine(instance).end("stop")
        return before

    def terminate(self, instance: Any) -> Any:
        before = instance._state
        if before.name not in ("shutting-down", "terminated"):
            self.machine(instance).end("terminate")
        return before

    def start(self, instance: Any) -> Any:
        before = instance._state
        if before.name in ("pending", "running"):
            return before
        _need(instance, "stopped")
        self._refuse(instance.ec2_backend, instance.instance_type, str(instance.availability_zone), False, 1)
        for nic in instance.nics.values():
            nic.start()
        set_state(instance, "pending")
        self.machine(instance).boot()
        return before

    def reboot(self, instance: Any) -> None:
        _need(instance, "running")
        self.machine(instance).button(2)  # ctrl-alt-del

    def status(self, instance: Any) -> dict[str, Any]:
        if instance.state != "running":
            return {"Status": "not-applicable"}
        machine = self.machine(instance)
        word = ("ok", "passed") if machine.ssh else ("initializing", "initializing")
        if machine.birth == "cut":
            word = ("impaired", "failed")
        return {"Status": word[0], "Details": [{"Name": "reachability", "Status": word[1]}]}


def _cpus(kind: str) -> int:
    return int(INSTANCE_TYPES[kind]["VCpuInfo"]["DefaultVCpus"])


def _need(instance: Any, *states: str) -> None:
    if instance.state not in states:
        text = f"The instance '{instance.id}' is not in a state from which it can do that: it is {instance.state}."
        raise EC2ClientError("IncorrectInstanceState", text)
