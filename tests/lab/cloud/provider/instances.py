"""aws.ec2.Instance."""

import base64
from typing import Any

from botocore.exceptions import ClientError

from .types import TAGGED, Call, Cancelled, Partial, Type
from .values import Values, clean, from_tags, pascal, truth

GONE = ("terminated", "shutting-down")
DATA = {"userData", "userDataBase64"}
STOPPED_FOR = {"instanceType", "ebsOptimized", *DATA}  # AWS wants it stopped for these


def _profile(value: Any) -> Values | None:
    if isinstance(value, dict):
        return pascal(clean(arn=value.get("arn"), name=value.get("name"))) or None
    return {"Name": value} if value else None


def _disk(value: Values) -> Values:
    return clean(
        VolumeSize=value.get("volumeSize"),
        VolumeType=value.get("volumeType"),
        Iops=value.get("iops"),
        Throughput=value.get("throughput"),
        Encrypted=truth(value.get("encrypted")),
        KmsKeyId=value.get("kmsKeyId"),
        DeleteOnTermination=truth(value.get("deleteOnTermination", True)),
    )


def _market(value: Values | None) -> Values | None:
    if not value:
        return None
    spot = value.get("spotOptions") or {}
    options = clean(
        MaxPrice=spot.get("maxPrice"),
        SpotInstanceType=spot.get("spotInstanceType"),
        ValidUntil=spot.get("validUntil"),
        InstanceInterruptionBehavior=spot.get("instanceInterruptionBehavior"),
    )
    return clean(MarketType=value.get("marketType") or "spot", SpotOptions=options)


def _user_data(inputs: Values) -> str | None:
    if inputs.get("userDataBase64"):
        return base64.b64decode(inputs["userDataBase64"]).decode("utf-8", "surrogateescape")
    return inputs.get("userData")


def _blocks(call: Call, inputs: Values) -> list[Values]:
    blocks: list[Values] = []
    if inputs.get("rootBlockDevice"):
        image = call.ec2.describe_images(ImageIds=[inputs["ami"]])["Images"][0]
        blocks.append({"DeviceName": image["RootDeviceName"], "Ebs": _disk(inputs["rootBlockDevice"])})
    return blocks + [
        {"DeviceName": one["deviceName"], "Ebs": _disk(one)} for one in inputs.get("ebsBlockDevices") or []
    ]


def _words(call: Call, inputs: Values) -> Values:
    """RunInstances' words."""
    root = inputs.get("rootBlockDevice") or {}
    tags = call.spec("instance") + call.spec("volume", inputs.get("volumeTags") or root.get("tags") or {})
    placement = clean(AvailabilityZone=inputs.get("availabilityZone"), Tenancy=inputs.get("tenancy"))
    words = clean(
        ImageId=inputs.get("ami"),
        InstanceType=inputs.get("instanceType"),
        KeyName=inputs.get("keyName"),
        UserData=_user_data(inputs),
        SecurityGroups=inputs.get("securityGroups"),
        IamInstanceProfile=_profile(inputs.get("iamInstanceProfile")),
        Placement=placement,
        BlockDeviceMappings=_blocks(call, inputs),
        InstanceInitiatedShutdownBehavior=inputs.get("instanceInitiatedShutdownBehavior"),
        MetadataOptions=pascal(inputs.get("metadataOptions") or {}),
        EbsOptimized=inputs.get("ebsOptimized"),
        InstanceMarketOptions=_market(inputs.get("instanceMarketOptions")),
        PrivateIpAddress=inputs.get("privateIp"),
        DisableApiTermination=inputs.get("disableApiTermination"),
        Monitoring={"Enabled": True} if truth(inputs.get("monitoring")) else None,
        TagSpecifications=tags,
    )
    public = inputs.get("associatePublicIpAddress")
    subnet, groups = inputs.get("subnetId"), inputs.get("vpcSecurityGroupIds")
    if public is None:
        return words | clean(SubnetId=subnet, SecurityGroupIds=groups)
    nic = clean(DeviceIndex=0, SubnetId=subnet, Groups=groups)
    return words | {"NetworkInterfaces": [nic | {"DeviceIndex": 0, "AssociatePublicIpAddress": public}]}


def _create(call: Call, inputs: Values) -> str:
    made = call.ec2.run_instances(MinCount=1, MaxCount=1, **_words(call, inputs))
    id: str = made["Instances"][0]["InstanceId"]
    try:
        state = call.wait(lambda: (found := _state(call, id)) != "pending" and found, f"{id} to run")
        if state != "running":
            raise ValueError(f"unexpected state '{state}', wanted target 'running'{_why(call, id)}")
    except (Cancelled, TimeoutError, ClientError, ValueError) as error:
        raise Partial(id, f"waiting for EC2 Instance ({id}) create: {error}") from error
    return id


def raw(call: Call, id: str) -> Values:
    found = call.ec2.describe_instances(InstanceIds=[id])["Reservations"]
    return found[0]["Instances"][0] if found else {"State": {"Name": "terminated"}}


def _state(call: Call, id: str) -> str:
    return raw(call, id)["State"]["Name"]


def _why(call: Call, id: str) -> str:
    said = (raw(call, id).get("StateReason") or {}).get("Message")
    return f". last error: {said}" if said else ""


def _root(call: Call, found: Values, state: Values) -> tuple[Values, Values]:
    """The root disk, and its tags."""
    disks = [
        d for d in found.get("BlockDeviceMappings", []) if d["DeviceName"] == found.get("RootDeviceName")
    ]
    root = dict(state.get("rootBlockDevice") or {})
    if not disks:
        return root, {}
    volume = call.ec2.describe_volumes(VolumeIds=[disks[0]["Ebs"]["VolumeId"]])["Volumes"][0]
    root |= clean(
        volumeId=volume["VolumeId"],
        deviceName=disks[0]["DeviceName"],
        volumeSize=volume["Size"],
        volumeType=volume["VolumeType"],
        iops=volume.get("Iops"),
        throughput=volume.get("Throughput"),
        encrypted=volume.get("Encrypted"),
    )
    return root, from_tags(volume.get("Tags"))


def _asked_one_by_one(call: Call, id: str, found: Values) -> Values:
    """What an import must know besides."""

    def one(name: str) -> Any:
        answer = call.ec2.describe_instance_attribute(InstanceId=id, Attribute=name)
        return (answer.get(name[:1].upper() + name[1:]) or {}).get("Value")

    data, spot = (
        one("userData"),
        {"spotInstanceType": "one-time", "instanceInterruptionBehavior": "terminate"},
    )
    return clean(
        userData=data and base64.b64decode(data).decode("utf-8", "replace"),
        instanceInitiatedShutdownBehavior=one("instanceInitiatedShutdownBehavior"),
        instanceMarketOptions=(
            found.get("InstanceLifecycle") == "spot" and {"marketType": "spot", "spotOptions": spot}
        )
        or None,
    )


def _as_known(groups: list[str], state: Values) -> list[str]:
    """A set: in the state's order where it is the same."""
    known: list[str] = state.get("vpcSecurityGroupIds") or []
    return known if set(known) == set(groups) else sorted(groups)


def _read(call: Call, id: str, state: Values) -> Values | None:
    found = raw(call, id)
    if found["State"]["Name"] in GONE:
        return None
    root, volume_tags = _root(call, found, state)
    told = clean(
        arn=call.arn("ec2", f"instance/{id}"),
        ami=found.get("ImageId"),
        instanceType=found["InstanceType"],
        instanceState=found["State"]["Name"],
        privateIp=found.get("PrivateIpAddress"),
        publicIp=found.get("PublicIpAddress"),
        privateDns=found.get("PrivateDnsName"),
        publicDns=found.get("PublicDnsName"),
        subnetId=found.get("SubnetId"),
        availabilityZone=found["Placement"]["AvailabilityZone"],
        keyName=found.get("KeyName"),
        rootBlockDevice=root,
        iamInstanceProfile=(found.get("IamInstanceProfile") or {}).get("Arn", "").rpartition("/")[2],
        instanceLifecycle=found.get("InstanceLifecycle"),
        spotInstanceRequestId=found.get("SpotInstanceRequestId"),
        vpcSecurityGroupIds=_as_known([group["GroupId"] for group in found.get("SecurityGroups", [])], state),
        primaryNetworkInterfaceId=(found.get("NetworkInterfaces") or [{}])[0].get("NetworkInterfaceId"),
        metadataOptions={
            key[:1].lower() + key[1:]: value
            for key, value in (found.get("MetadataOptions") or {}).items()
            if key != "State"
        },
    )
    volumes = {"volumeTags": volume_tags} if "volumeTags" in state else {}
    more = {} if state else _asked_one_by_one(call, id, found)
    return more | told | volumes | {"tagsAll": from_tags(found.get("Tags"))}


def _update(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    modify = call.ec2.modify_instance_attribute
    if "tags" in changed:
        call.retag(id, old)
    if "volumeTags" in changed:
        volume = old["rootBlockDevice"]["volumeId"]
        call.set_tags(volume, old.get("volumeTags") or {}, new.get("volumeTags") or {})
    if "vpcSecurityGroupIds" in changed:
        modify(InstanceId=id, Groups=new.get("vpcSecurityGroupIds") or [])
    if "instanceInitiatedShutdownBehavior" in changed:
        name = "instanceInitiatedShutdownBehavior"  # in the older of AWS's two forms: moto hears no other
        modify(InstanceId=id, Attribute=name, Value=new.get(name) or "stop")
    if "disableApiTermination" in changed:
        modify(InstanceId=id, DisableApiTermination={"Value": bool(new.get("disableApiTermination"))})
    if "metadataOptions" in changed and new.get("metadataOptions"):
        call.ec2.modify_instance_metadata_options(InstanceId=id, **pascal(new["metadataOptions"]))
    if "rootBlockDevice" in changed:
        disk = _disk(new["rootBlockDevice"])
        size = clean(Size=disk.get("VolumeSize"), VolumeType=disk.get("VolumeType"), Iops=disk.get("Iops"))
        call.ec2.modify_volume(VolumeId=old["rootBlockDevice"]["volumeId"], **size)
    if changed & STOPPED_FOR:
        _while_stopped(call, id, new, changed)


def _while_stopped(call: Call, id: str, new: Values, changed: set[str]) -> None:
    runs = _state(call, id) == "running"
    if runs:
        call.ec2.stop_instances(InstanceIds=[id])
        call.wait(lambda: _state(call, id) == "stopped", f"{id} to stop")
    if "instanceType" in changed:
        call.ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": new["instanceType"]})
    if changed & DATA:  # moto fails on UserData={...}
        data = base64.b64encode((_user_data(new) or "").encode()).decode()
        call.ec2.modify_instance_attribute(InstanceId=id, Attribute="userData", Value=data)
    if runs:
        call.ec2.start_instances(InstanceIds=[id])
        call.wait(lambda: _state(call, id) == "running", f"{id} to run")


def _delete(call: Call, id: str, state: Values) -> None:
    call.ec2.terminate_instances(InstanceIds=[id])
    call.wait(lambda: _state(call, id) == "terminated", f"{id} to terminate")


INSTANCE = Type(
    "EC2 Instance",
    _create,
    _read,
    _delete,
    _update,
    replace=(
        "ami",
        "associatePublicIpAddress",
        "availabilityZone",
        "ebsBlockDevices",
        "instanceMarketOptions",
        "keyName",
        "placementGroup",
        "privateIp",
        "rootBlockDevice.encrypted",
        "rootBlockDevice.kmsKeyId",
        "securityGroups",
        "subnetId",
        "tenancy",
    ),
    drift=("instanceType", "vpcSecurityGroupIds", "volumeTags", "tags"),
    enums={
        "metadataOptions.httpTokens": ("optional", "required"),
        "metadataOptions.httpEndpoint": ("enabled", "disabled"),
        "instanceInitiatedShutdownBehavior": ("stop", "terminate"),
        "rootBlockDevice.volumeType": ("standard", "io1", "io2", "gp2", "gp3", "sc1", "st1"),
        "instanceMarketOptions.marketType": ("spot", "capacity-block"),
    },
    computed=(
        *TAGGED,
        "availabilityZone",
        "iamInstanceProfile",
        "instanceLifecycle",
        "instanceState",
        "keyName",
        "metadataOptions",
        "primaryNetworkInterfaceId",
        "privateDns",
        "privateIp",
        "publicDns",
        "publicIp",
        "spotInstanceRequestId",
        "subnetId",
        "vpcSecurityGroupIds",
    ),
)
