"""The Pulumi program of what is rented: one instance a slot, and in each used region a network, a key and groups.

Imports pulumi_aws (0.9 s): only imported where a command is about to run.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pulumi

from hostler.provision.launch import Launch, Launches, slot_tags, subnet_cidr, tags
from hostler.provision.refusals import NOT_AGAIN

with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of types that nobody asked for
    from pulumi_aws import Provider, ec2
    from pulumi_aws.ec2 import Instance  # loads what is lazy until it is used

PROVIDER = "aws"
RETRIES = 2  # the provider's own, for each call; its default of 25 waits half an hour for capacity
NETWORK = "10.77.0.0/16"
ANYWHERE = "0.0.0.0/0"
# what is used at the launch only: on an instance that stands another one would end it and make a new one
AT_LAUNCH = ["userData", "subnetId", "keyName", "instanceMarketOptions", "rootBlockDevice"]
# an instance is taken over as it is; the next run gives it these
LATER = [
    "tags",
    "tagsAll",
    "volumeTags",
    "metadataOptions",
    "vpcSecurityGroupIds",
    "instanceInitiatedShutdownBehavior",
    "monitoring",
]


class Cloud:
    """Declares it all."""

    def __init__(self, launches: Launches) -> None:
        self.launches, self.wish = launches, launches.wish
        self.provider = Provider(PROVIDER, region=launches.region, max_retries=RETRIES)
        self.opts = pulumi.ResourceOptions(provider=self.provider)
        self.keys = {region: self._key(region) for region in launches.keys}
        self.vpcs = {region: self._vpc(region) for region in launches.regions}
        self.tables = {region: self._routes(region) for region in launches.regions}
        self.subnets = {zone: self._subnet(zone, region) for zone, region in launches.zones.items()}
        self.groups: dict[str, ec2.SecurityGroup] = {}
        self.instances: dict[str, Instance] = {}
        for launch in sorted(launches.slots, key=self._turn):
            self.instances[launch.slot.slot] = self._instance(launch)

    # -- once a region --------------------------------------------------------------------------------------

    def _key(self, region: str) -> ec2.KeyPair:
        return ec2.KeyPair(
            region,
            region=region,
            public_key=self.wish.public_key,
            tags=tags(self.wish, region),
            opts=self.opts,
        )

    def _vpc(self, region: str) -> ec2.Vpc:
        return ec2.Vpc(
            region, region=region, cidr_block=NETWORK, enable_dns_support=True, enable_dns_hostnames=True,
            tags=tags(self.wish, region), opts=self.opts,
        )  # fmt: skip

    def _routes(self, region: str) -> ec2.RouteTable:
        vpc, named = self.vpcs[region].id, tags(self.wish, region)
        gateway = ec2.InternetGateway(region, region=region, vpc_id=vpc, tags=named, opts=self.opts)
        out = ec2.RouteTableRouteArgs(cidr_block=ANYWHERE, gateway_id=gateway.id)
        return ec2.RouteTable(region, region=region, vpc_id=vpc, routes=[out], tags=named, opts=self.opts)

    def _subnet(self, zone: str, region: str) -> ec2.Subnet:
        """Gives public addresses by itself: as an argument of the instance a stopped one would be replaced."""
        subnet = ec2.Subnet(
            zone, region=region, vpc_id=self.vpcs[region].id, cidr_block=subnet_cidr(zone), availability_zone=zone,
            map_public_ip_on_launch=True, tags=tags(self.wish, zone), opts=self.opts,
        )  # fmt: skip
        ec2.RouteTableAssociation(
            zone, region=region, subnet_id=subnet.id, route_table_id=self.tables[region].id, opts=self.opts
        )
        return subnet

    # -- who may come in ------------------------------------------------------------------------------------

    def _groups(self, launch: Launch) -> list[pulumi.Output[str]]:
        pool, wish = launch.slot.pool, self.wish
        doors = [
            *door("SSH", 22, wish.ssh_from.get(pool, ())),
            *door("edge", wish.edge_port, wish.edge_from.get(pool, ())),
        ]
        found = [self._group(f"{pool}.{launch.network}", launch, doors)]
        if self._is_gateway(launch):
            doors = door("gateway", wish.gateway_port, wish.clients_from)
            found.append(self._group(f"gateway.{launch.network}", launch, doors))
            if successor := self._gateways():  # its replicas serve until they are drained
                doors = door("edge", wish.edge_port, successor)
                found.append(self._group(f"successor.{launch.network}", launch, doors))
            return found
        if gateways := self._gateways():
            doors = door("edge", wish.edge_port, gateways)
            found.append(self._group(f"edges.{launch.network}", launch, doors))
        return found

    def _gateways(self) -> list[pulumi.Output[str]]:
        """The networks of those that are declared already."""
        there = [found for slot in self.wish.gateway_slots if (found := self.instances.get(slot))]
        return [pulumi.Output.concat(instance.public_ip, "/32") for instance in there]

    def _group(
        self, name: str, launch: Launch, doors: Sequence[ec2.SecurityGroupIngressArgs]
    ) -> pulumi.Output[str]:
        if name not in self.groups:
            out = ec2.SecurityGroupEgressArgs(
                description="everything", protocol="-1", from_port=0, to_port=0, cidr_blocks=[ANYWHERE]
            )
            self.groups[name] = ec2.SecurityGroup(
                name, region=launch.candidate.region, vpc_id=self._network(launch), ingress=doors, egress=[out],
                description=f"hostler stack {self.wish.stack}", tags=tags(self.wish, name), opts=self.opts,
            )  # fmt: skip
        return self.groups[name].id

    def _network(self, launch: Launch) -> pulumi.Input[str]:
        region = launch.candidate.region
        if not launch.slot.subnet:
            return self.vpcs[region].id
        found = ec2.get_subnet_output(
            id=launch.slot.subnet, region=region, opts=pulumi.InvokeOutputOptions(provider=self.provider)
        )
        return found.vpc_id

    def _is_gateway(self, launch: Launch) -> bool:
        return launch.slot.slot in self.wish.gateway_slots

    def _turn(self, launch: Launch) -> int:
        """Gateways first, in their order: others name their addresses."""
        order = self.wish.gateway_slots
        return order.index(launch.slot.slot) if self._is_gateway(launch) else len(order)

    # -- a slot ---------------------------------------------------------------------------------------------

    def _instance(self, launch: Launch) -> Instance:
        slot, candidate = launch.slot, launch.candidate
        named = slot_tags(self.wish, slot)
        return Instance(
            slot.slot,
            region=candidate.region,
            availability_zone=candidate.zone,
            instance_type=candidate.instance,
            ami=candidate.ami,
            subnet_id=slot.subnet or self.subnets[candidate.zone].id,
            vpc_security_group_ids=self._groups(launch),
            key_name=self.keys[candidate.region].key_name,
            user_data=pulumi.Output.secret(slot.user_data),
            instance_market_options=spot(slot.max_price) if candidate.market == "spot" else None,
            instance_initiated_shutdown_behavior=slot.shutdown,
            metadata_options=ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=slot.disk_gib, encrypted=True, delete_on_termination=True
            ),
            volume_tags=named,  # and none in root_block_device: the provider would undo one with the other
            monitoring=False,
            tags=named,
            opts=pulumi.ResourceOptions(
                provider=self.provider,
                ignore_changes=[*AT_LAUNCH, *(LATER if launch.adopt else ())],
                import_=self._import(launch),
                additional_secret_outputs=["userData", "userDataBase64"],
                hooks=self._standing(launch),
            ),
        )

    def _standing(self, launch: Launch) -> pulumi.ResourceHookBinding | None:
        """One that stood when it was looked at, and has ended since, is not made again: it would be told nothing at its
        birth, so that nobody could reach it, and it would not end itself."""
        if launch.slot.user_data or launch.adopt:
            return None

        def refuse(_: pulumi.ResourceHookArgs) -> None:
            raise RuntimeError(NOT_AGAIN)

        return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook(launch.slot.slot, refuse)])

    def _import(self, launch: Launch) -> str | None:
        """The AWS provider takes the id alone for its own region."""
        if launch.adopt and launch.candidate.region != self.launches.region:
            return f"{launch.adopt}@{launch.candidate.region}"
        return launch.adopt or None


def door(what: str, port: int, sources: Sequence[pulumi.Input[str]]) -> list[ec2.SecurityGroupIngressArgs]:
    """One rule; none where nobody may come."""
    four = [source for source in sources if not (isinstance(source, str) and ":" in source)]
    six = [source for source in sources if isinstance(source, str) and ":" in source]
    if not sources:
        return []
    rule = ec2.SecurityGroupIngressArgs(
        description=what, protocol="tcp", from_port=port, to_port=port, cidr_blocks=four or None,
        ipv6_cidr_blocks=six or None,
    )  # fmt: skip
    return [rule]


def spot(max_price: float | None) -> ec2.InstanceInstanceMarketOptionsArgs:
    """Once, and ended when it is taken back. Without a limit the price is at most that of on-demand."""
    limit = None if max_price is None else f"{max_price:.4f}"
    return ec2.InstanceInstanceMarketOptionsArgs(
        market_type="spot",
        spot_options=ec2.InstanceInstanceMarketOptionsSpotOptionsArgs(
            spot_instance_type="one-time", instance_interruption_behavior="terminate", max_price=limit
        ),
    )


def declare(launches: Launches) -> None:
    """Nothing, not even the provider, where nothing is rented."""
    if launches.slots or launches.keep:
        Cloud(launches)
