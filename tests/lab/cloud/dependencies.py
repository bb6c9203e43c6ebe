"""What EC2 does not delete because something else needs it; moto deletes it."""

from collections.abc import Iterator
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend


def _instances(backend: Any) -> Iterator[Any]:
    return (one for one in backend.all_instances() if one.state != "terminated")


def _groups(instance: Any) -> set[str]:
    every = [*instance.security_groups, *(group for nic in instance.nics.values() for group in nic.group_set)]
    return {group.id for group in every}


def _named(group: Any) -> set[str]:
    """Groups that its rules name."""
    rules = [*group.ingress_rules, *group.egress_rules]
    return {str(rule.source_group.get("GroupId")) for rule in rules if rule.source_group}


def _violation(id: str) -> EC2ClientError:
    return EC2ClientError("DependencyViolation", f"resource {id} has a dependent object")


class Dependencies:
    """Refuses, or lets moto delete."""

    def __init__(self) -> None:
        self.delete_group = SecurityGroupBackend.delete_security_group
        self.delete_subnet = SubnetBackend.delete_subnet

    def group(self, backend: Any, name: str | None = None, group_id: str | None = None) -> Any:
        others = (g for groups in backend.groups.values() for g in groups.values() if g.id != group_id)
        used = any(group_id in _groups(one) for one in _instances(backend))
        if group_id and (used or any(group_id in _named(other) for other in list(others))):
            raise _violation(group_id)
        return self.delete_group(backend, name, group_id)

    def subnet(self, backend: Any, subnet_id: str) -> Any:
        if any(one.subnet_id == subnet_id for one in _instances(backend)):
            raise _violation(subnet_id)
        return self.delete_subnet(backend, subnet_id)
