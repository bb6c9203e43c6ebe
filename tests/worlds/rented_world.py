"""A rack at home and a rented pool, and an AWS that answers until its credentials expire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.cloud.trouble import AwsError
from hostler.cloud.types import Candidate, Rented
from hostler.errors import Problem, ProvisionError
from hostler.hosts.types import Host, Seen, Slot, Ssh
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import observe, rented
from hostler.rollout.observe import Observation
from hostler.rollout.rented import Cloud, Turn
from hostler.stackfile.sections import StackFile
from worlds import configure_world as world

BURST = "  burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge], spot: never, disk: 100 GiB}, count: 0-2}\n"
HYBRID = world.STACK.replace("models:", BURST + "models:").replace(
    "replicas: 2", "replicas: 2, pool: [rack, burst]"
)
ALL_RENTED = (
    f"stack: office\npools:\n{BURST.replace('0-2', '1')}models:\n  chat: {{source: 'hf:acme/tiny:Q4_1'}}\n"
)
HAS = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="on-demand")
EXPIRED = Problem(
    where="account of the AWS credentials",
    expected="credentials that are valid now",
    got="ExpiredToken: it is expired",
    next_step="aws sso login",
)
SLOTS = {
    "burst-0": Slot(name="burst-0", pool="burst"),
    "burst-1": Slot(name="burst-1", pool="burst", state="parked"),
}


def host(address: str, key: str = "ssh-ed25519 ONE") -> Host:
    ssh = Ssh(address=address, user="ubuntu", port=22, key="/elsewhere/id", host_key=key)
    return Host(name="burst-0", pool="burst", ssh=ssh, owned=False)


def cloud(**changes: Any) -> Cloud:
    machine = Rented(
        slot="burst-0", pool="burst", id="i-1", candidate=HAS, public_ip="203.0.113.9", private_ip="", uid=world.UID,
        state="running",
    )  # fmt: skip
    found = Cloud(
        uid=world.UID,
        home="",
        dead=(),
        stood=("burst-0",),
        rented={"burst-0": machine},
        hosts={"burst-0": host("203.0.113.9")},
        documents={"burst-0": {"met": 1}},
        regions=("eu-central-1",),
    )
    return replace(found, **changes)


def at_home(**changes: Any) -> Record:
    there = {**{one.name: one for one in world.hosts()}, "burst-0": host("203.0.113.9")}
    placed = world.placement("gpu-1", "burst-0").replicas
    return world.record(**{"slots": SLOTS, "hosts": there, "replicas": placed, **changes})


class Sky:
    """What AWS and the hosts answer; which hosts were asked, and where."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aws: Cloud | ProvisionError = cloud()
        self.seen = {
            "gpu-1": world.bare(1, uid=world.UID, record=store.dump(at_home())),
            "gpu-2": world.bare(2, uid=world.UID),
        }
        self.asked: list[tuple[str, str]] = []
        self.said: list[str] = []
        monkeypatch.setattr(rented, "known", self._known)
        monkeypatch.setattr(observe, "look", self._look)

    def _known(self, _file: StackFile) -> Cloud:
        if isinstance(self.aws, Cloud):
            return self.aws
        raise self.aws

    def _look(self, hosts: tuple[Host, ...], *_: Any, **__: Any) -> dict[str, Seen]:
        self.asked += [(one.name, one.ssh.address) for one in hosts]
        off = Seen(
            host="", at=1.0, seconds=1.0, error="expected SSH; got no route to host", error_kind="dead"
        )
        return {one.name: self.seen.get(one.name, replace(off, host=one.name)) for one in hosts}

    def answers(self, name: str, **changes: Any) -> None:
        self.seen[name] = world.bare(3, host=name, **changes)

    def expire(self) -> None:
        self.aws = AwsError(EXPIRED)
        self.asked.clear()

    def look(self, text: str = HYBRID, turn: Turn | None = None) -> Observation:
        return observe.observe(world.stack(text), pulumi=False, without=self.said.append, turn=turn)
