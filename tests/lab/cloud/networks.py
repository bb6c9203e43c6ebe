"""Addresses: default VPCs within the lab's networks, and public addresses at which a lab's host answers."""

import ipaddress
from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend
from moto.ec2.models.vpcs import VPCBackend

from .catalog import REGIONS, ZONES
from .machines import LIVE, Machines


class Networks:
    """`cidr` is shared out to the default VPCs of all regions."""

    def __init__(self, machines: Machines, cidr: str) -> None:
        self.machines = machines
        halves = ipaddress.ip_network(cidr).subnets(prefixlen_diff=1)
        self.networks = dict(zip(REGIONS, halves, strict=True))
        self.default_vpc_elsewhere = VPCBackend.create_default_vpc
        self.new_elastic = ElasticAddress.__init__
        self.associate = ElasticAddressBackend.associate_address
        self.disassociate = ElasticAddressBackend.disassociate_address

    def public_address(self, nic: Any) -> None:
        """moto's are random and outside the lab. Until its host is there a new one has none to show."""
        if str(nic.public_ip_auto_assign).lower() == "true":
            known = self.machines.known.get(nic.instance.id) if getattr(nic, "instance", None) else None
            nic.public_ip = known.host.address if known else "0.0.0.0"

    def default_vpc(self, backend: Any) -> Any:
        """A piece of the lab's cloud network with a subnet a zone, all of which give public addresses."""
        mine = self.networks.get(backend.region_name)
        if not mine:
            return self.default_vpc_elsewhere(backend)
        vpc = backend.create_vpc(str(mine), is_default=True)
        for letter, cidr in zip(ZONES, mine.subnets(new_prefix=mine.prefixlen + 2), strict=False):
            backend.create_subnet(vpc.id, str(cidr), availability_zone=f"{backend.region_name}{letter}")
        gateway = backend.create_internet_gateway()
        backend.attach_internet_gateway(gateway.id, vpc.id)
        return vpc

    def associate_address(self, backend: Any, *words: Any, **named: Any) -> Any:
        made = self.associate(backend, *words, **named)
        instance = made.eni.instance if made.eni else made.instance
        if instance:
            self.machines.known[instance.id].add_address(made.public_ip)
        return made

    def disassociate_address(self, backend: Any, address: Any = None, association_id: Any = None) -> None:
        where = [address] if address else []
        found = (
            backend.address_by_ip(where, False) if where else backend.address_by_association([association_id])
        )
        for one in found:
            instance = one.eni.instance if one.eni else None
            if instance and instance.state in LIVE:
                self.machines.known[instance.id].drop_address(one.public_ip)
        self.disassociate(backend, address, association_id)

    def elastic_address(
        self, made: Any, backend: Any, domain: str, address: Any = None, tags: Any = None
    ) -> None:
        self.new_elastic(made, backend, domain, address or self.machines.take_elastic(), tags)
