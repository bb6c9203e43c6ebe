"""VPCs, subnets, gateways, route tables and elastic addresses."""

from typing import Any

from .types import TAGGED, Call, Type, retags
from .values import Values, clean, from_tags, truth


def _tagged(call: Call, kind: str, id: str, found: Values) -> Values:
    return {"arn": call.arn("ec2", f"{kind}/{id}"), "tagsAll": from_tags(found.get("Tags"))}


# -- VPC

DNS = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


def _set_dns(call: Call, id: str, inputs: Values) -> None:
    for key, word in DNS.items():
        if inputs.get(key) is not None:
            call.ec2.modify_vpc_attribute(VpcId=id, **{word: {"Value": truth(inputs[key])}})


def _create_vpc(call: Call, inputs: Values) -> str:
    tags = clean(TagSpecifications=call.spec("vpc"))
    id: str = call.ec2.create_vpc(CidrBlock=inputs["cidrBlock"], **tags)["Vpc"]["VpcId"]
    _set_dns(call, id, inputs)
    return id


def _read_vpc(call: Call, id: str, state: Values) -> Values | None:
    found = call.ec2.describe_vpcs(VpcIds=[id])["Vpcs"][0]
    own = [{"Name": "vpc-id", "Values": [id]}]
    tables = call.ec2.describe_route_tables(Filters=own)["RouteTables"]
    main = [t for t in tables if any(a.get("Main") for a in t.get("Associations", []))]
    more = clean(mainRouteTableId=main[0]["RouteTableId"] if main else None)
    return (
        _tagged(call, "vpc", id, found)
        | more
        | {"cidrBlock": found["CidrBlock"], "ownerId": found["OwnerId"]}
    )


def _update_vpc(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    retags(call, id, old, new, changed)
    _set_dns(call, id, {key: new.get(key) for key in DNS if key in changed})


VPC = Type(
    "EC2 VPC",
    _create_vpc,
    _read_vpc,
    lambda call, id, _: call.ec2.delete_vpc(VpcId=id),
    _update_vpc,
    replace=("cidrBlock",),
    drift=("tags",),
    computed=(*TAGGED, "ownerId", "mainRouteTableId"),
)

# -- subnet


def _set_public(call: Call, id: str, inputs: Values) -> None:
    if inputs.get("mapPublicIpOnLaunch") is not None:
        on = {"Value": truth(inputs["mapPublicIpOnLaunch"])}
        call.ec2.modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch=on)


def _create_subnet(call: Call, inputs: Values) -> str:
    words = clean(
        CidrBlock=inputs.get("cidrBlock"),
        AvailabilityZone=inputs.get("availabilityZone"),
        TagSpecifications=call.spec("subnet"),
    )
    id: str = call.ec2.create_subnet(VpcId=inputs["vpcId"], **words)["Subnet"]["SubnetId"]
    _set_public(call, id, inputs)
    return id


def _read_subnet(call: Call, id: str, state: Values) -> Values | None:
    found = call.ec2.describe_subnets(SubnetIds=[id])["Subnets"][0]
    return _tagged(call, "subnet", id, found) | {
        "availabilityZone": found["AvailabilityZone"],
        "availabilityZoneId": found.get("AvailabilityZoneId"),
        "cidrBlock": found["CidrBlock"],
        "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
        "ownerId": found["OwnerId"],
        "vpcId": found["VpcId"],
    }


def _update_subnet(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    retags(call, id, old, new, changed)
    if "mapPublicIpOnLaunch" in changed:
        _set_public(call, id, new)


SUBNET = Type(
    "EC2 Subnet",
    _create_subnet,
    _read_subnet,
    lambda call, id, _: call.ec2.delete_subnet(SubnetId=id),
    _update_subnet,
    required=("vpcId",),
    replace=("availabilityZone", "cidrBlock", "vpcId"),
    drift=("mapPublicIpOnLaunch", "tags"),
    computed=(*TAGGED, "availabilityZone", "availabilityZoneId", "ownerId"),
)

# -- internet gateway


def _create_gateway(call: Call, inputs: Values) -> str:
    tags = clean(TagSpecifications=call.spec("internet-gateway"))
    id: str = call.ec2.create_internet_gateway(**tags)["InternetGateway"]["InternetGatewayId"]
    if inputs.get("vpcId"):
        call.ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=inputs["vpcId"])
    return id


def _read_gateway(call: Call, id: str, state: Values) -> Values | None:
    found = call.ec2.describe_internet_gateways(InternetGatewayIds=[id])["InternetGateways"][0]
    at = [one["VpcId"] for one in found.get("Attachments", [])]
    return _tagged(call, "internet-gateway", id, found) | {"vpcId": at[0] if at else "", "ownerId": ""}


def _update_gateway(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    retags(call, id, old, new, changed)
    if "vpcId" in changed:
        _detach(call, id, old)
        if new.get("vpcId"):
            call.ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=new["vpcId"])


def _detach(call: Call, id: str, state: Values) -> None:
    if state.get("vpcId"):
        call.ec2.detach_internet_gateway(InternetGatewayId=id, VpcId=state["vpcId"])


def _delete_gateway(call: Call, id: str, state: Values) -> None:
    _detach(call, id, state)
    call.ec2.delete_internet_gateway(InternetGatewayId=id)


GATEWAY = Type(
    "EC2 Internet Gateway",
    _create_gateway,
    _read_gateway,
    _delete_gateway,
    _update_gateway,
    drift=("vpcId", "tags"),
    computed=(*TAGGED, "ownerId", "vpcId"),
)

# -- route table


def _route(rule: Values) -> Values:
    return clean(
        DestinationCidrBlock=rule.get("cidrBlock"),
        DestinationIpv6CidrBlock=rule.get("ipv6CidrBlock"),
        GatewayId=rule.get("gatewayId"),
        NatGatewayId=rule.get("natGatewayId"),
    )


def _create_table(call: Call, inputs: Values) -> str:
    tags = clean(TagSpecifications=call.spec("route-table"))
    id: str = call.ec2.create_route_table(VpcId=inputs["vpcId"], **tags)["RouteTable"]["RouteTableId"]
    for rule in inputs.get("routes") or []:
        call.ec2.create_route(RouteTableId=id, **_route(rule))
    return id


def _read_table(call: Call, id: str, state: Values) -> Values | None:
    found = call.ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"][0]
    routes = [
        clean(cidrBlock=r.get("DestinationCidrBlock"), gatewayId=r.get("GatewayId"))
        for r in found["Routes"]
        if r.get("GatewayId") != "local"
    ]
    told = {"vpcId": found["VpcId"], "ownerId": found.get("OwnerId", ""), "routes": routes}
    return _tagged(call, "route-table", id, found) | told


def _update_table(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    retags(call, id, old, new, changed)
    if "routes" in changed:
        before, after = old.get("routes") or [], new.get("routes") or []
        for rule in before:
            if rule not in after:
                call.ec2.delete_route(RouteTableId=id, DestinationCidrBlock=rule["cidrBlock"])
        for rule in after:
            if rule not in before:
                call.ec2.create_route(RouteTableId=id, **_route(rule))


TABLE = Type(
    "EC2 Route Table",
    _create_table,
    _read_table,
    lambda call, id, _: call.ec2.delete_route_table(RouteTableId=id),
    _update_table,
    required=("vpcId",),
    replace=("vpcId",),
    drift=("routes", "tags"),
    computed=(*TAGGED, "ownerId", "routes"),
)


def _associations(call: Call, table: str) -> list[Any]:
    return call.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Associations"]


def _associate(call: Call, inputs: Values) -> str:
    words = clean(SubnetId=inputs.get("subnetId"), GatewayId=inputs.get("gatewayId"))
    return call.ec2.associate_route_table(RouteTableId=inputs["routeTableId"], **words)["AssociationId"]


def _read_association(call: Call, id: str, state: Values) -> Values | None:
    there = [a for a in _associations(call, state["routeTableId"]) if a["RouteTableAssociationId"] == id]
    return {"subnetId": there[0]["SubnetId"], "routeTableId": state["routeTableId"]} if there else None


ASSOCIATION = Type(
    "EC2 Route Table Association",
    _associate,
    _read_association,
    lambda call, id, _: call.ec2.disassociate_route_table(AssociationId=id),
    required=("routeTableId",),
    replace=("subnetId", "gatewayId", "routeTableId"),
    computed=(),
)

# -- elastic address


def _create_address(call: Call, inputs: Values) -> str:
    tags = clean(TagSpecifications=call.spec("elastic-ip"))
    id: str = call.ec2.allocate_address(Domain="vpc", **tags)["AllocationId"]
    if inputs.get("instance"):
        call.ec2.associate_address(AllocationId=id, InstanceId=inputs["instance"])
    return id


def _read_address(call: Call, id: str, state: Values) -> Values | None:
    found = call.ec2.describe_addresses(AllocationIds=[id])["Addresses"][0]
    told = clean(
        allocationId=id,
        publicIp=found["PublicIp"],
        associationId=found.get("AssociationId"),
        instance=found.get("InstanceId"),
    )
    return _tagged(call, "elastic-ip", id, found) | told


def _update_address(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    retags(call, id, old, new, changed)
    if "instance" in changed:
        if old.get("associationId"):
            call.ec2.disassociate_address(AssociationId=old["associationId"])
        if new.get("instance"):
            call.ec2.associate_address(AllocationId=id, InstanceId=new["instance"])


def _delete_address(call: Call, id: str, state: Values) -> None:
    if state.get("associationId"):
        call.ec2.disassociate_address(AssociationId=state["associationId"])
    call.ec2.release_address(AllocationId=id)


ADDRESS = Type(
    "EC2 EIP",
    _create_address,
    _read_address,
    _delete_address,
    _update_address,
    replace=("domain",),
    drift=("tags",),
    computed=(*TAGGED, "publicIp", "allocationId", "associationId"),
)
