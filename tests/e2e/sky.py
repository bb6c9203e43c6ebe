"""A lab of one's own with a cloud, for a file of tests that rents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import Desk
from lab.lab import Lab
from lab.machine import trouble
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

REGION = "eu-central-1"


@contextmanager
def rented_from(
    name: str, operator: str, wheel: Path, pulumi: Path, *hosts: HostSpec
) -> Iterator[tuple[Desk, Cloud]]:
    """An operator with an account in an empty cloud, and hosts at home; all of it ends with the block."""
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(name) as lab, lab.cloud() as cloud:
        if hosts:
            lab.hosts(*hosts)
        yield Desk(lab, cloud.admit(lab.operator(operator)), wheel, pulumi), cloud


def instances(cloud: Cloud, region: str = REGION) -> list[dict[str, Any]]:
    """Those that are not ended."""
    answers = cloud.ec2(region).describe_instances()["Reservations"]
    found = [one for answer in answers for one in answer["Instances"]]
    return [one for one in found if one["State"]["Name"] not in ("terminated", "shutting-down")]
