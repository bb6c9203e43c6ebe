"""A lab of one's own with a cloud, for a file of tests that rents."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import UP_S, Desk, Done
from lab.lab import Lab
from lab.machine import trouble
from lab.shell import children, wait_for
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


def slot_of(instance: dict[str, Any]) -> str:
    """The slot that it is in."""
    return next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "hostler:slot")


def shown(desk: Desk) -> Done:
    """`status`, once all hosts answer in the short time that it gives them."""

    def whole() -> Done | None:
        done = desk("status", "--json", code=(0, 4))
        return done if done.code == 0 else None

    found = wait_for("an answer of all hosts", whole, 120, every=1)
    assert found
    return found


def held(cloud: Cloud) -> set[str]:
    """All that the account holds but the disks, which are parts of instances, and the bucket of the state."""
    kinds = [kinds for region, kinds in cloud.account().items() if region != "global"]
    return {one for found in kinds for kind, ids in found.items() if kind != "volumes" for one in ids}


def in_the_state(desk: Desk) -> set[str]:
    """What AWS calls the things that Pulumi's state has."""
    resources = desk("pulumi", "--", "stack", "export").json["deployment"].get("resources", ())
    own = [one for one in resources if one["type"].startswith("aws:") and one.get("id")]
    return {one["id"] for one in own if "RouteTableAssociation" not in one["type"]}


class Going:
    """A `hostler` that goes on, with what it says in a file."""

    def __init__(self, desk: Desk, *words: str) -> None:
        self.words, self.err = words, desk.operator.directory / "going.err"
        with self.err.open("w") as err:
            self.process = desk.start(*words, stdout=subprocess.DEVNULL, stderr=err, start_new_session=True)

    def __enter__(self) -> Going:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def until(self, what: str, sign: Callable[[], Any], limit: float = 180) -> Any:
        """The sign's first answer; a run that ends before never gives it."""

        def reached() -> Any:
            found = sign()
            assert found or self.process.poll() is None, f"it ended before {what}:\n{self.said()}"
            return found

        return wait_for(what, reached, limit)

    def said(self) -> str:
        return self.err.read_text()

    def end(self, code: int, limit: float = UP_S) -> str:
        """What it said until it ended, with this code."""
        found = self.process.wait(limit)
        assert found == code, f"expected exit {code}, got {found}\n{self.said()[-6000:]}"
        return self.said()

    def pulumi(self) -> int:
        """The process of the CLI that it runs now; 0: none."""
        return next((pid for pid in children(self.process.pid) if _name(pid) == "pulumi"), 0)


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
