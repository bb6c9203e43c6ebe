"""The rights that the controller gets: for this stack, shown in the plan that gives them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.cloud.slots import Slots
from hostler.configure.types import Change
from hostler.errors import ProvisionError, RefusedError
from hostler.hosts.types import Slot
from hostler.manifest.items import Part
from hostler.rollout import rented, rights
from hostler.rollout.rented import Cloud
from hostler.stackfile.sections import StackFile
from worlds import configure_world

STACK = """
stack: office
pools:
  rack: [{address: gpu1.lan, name: gpu-1}]
  burst: {aws: {regions: [eu-central-1, eu-west-1], instances: [g5.xlarge]}, count: 0-1}
  deep: {aws: {regions: [eu-west-1], instances: [g6.xlarge], subnet: subnet-0123456789abcdef0}, count: 0-1}
models: {chat: {source: "hf:a/b-GGUF:Q4_K_M", pool: [rack, burst]}}
state: {bucket: "s3://shelf/llm", kms: alias/office}
controller: {rents: AWS}
secrets: {AWS: {file: aws}}
"""
UID = "0123456789abcdef"


class Store:
    url = "s3://shelf/llm?region=eu-central-1"


class Fleet:
    store = Store()


def cloud(uid: str = UID, **more: Any) -> Cloud:
    found: dict[str, Any] = {
        "home": "", "dead": (), "stood": (), "rented": {}, "hosts": {}, "documents": {}, "regions": ("us-east-1",),
    }  # fmt: skip
    return Cloud(uid=uid, **found, **more)


class Looked:
    """What a plan is made from."""

    def __init__(self, file: StackFile, known: Cloud | None) -> None:
        self.file, self.cloud = file, known


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rented, "fleet_of", lambda _: Fleet())
    monkeypatch.setattr(rented, "known", lambda _: cloud())


def change(item: str) -> Change:
    return Change(host="gpu-1", part=Part.CONTROLLER, item=item, action="add", now="", then="", why="")


GIVEN = change("path:/etc/hostler/controller/secrets/AWS")


def said(*changes: Change, text: str = STACK, known: Cloud | None = None) -> list[str]:
    looked: Any = Looked(configure_world.stack(text), known or cloud())
    return [notice.text for notice in rights.notices(looked, changes)]


def test_they_are_this_stacks() -> None:
    made = str(rights.document(configure_world.stack(STACK)))
    for words in ("arn:aws:s3:::shelf", "llm/.pulumi", "office", UID, "eu-west-1", "us-east-1", "g5.xlarge", "g6.xlarge",
                  "alias/office", "subnet-0123456789abcdef0"):  # fmt: skip
        assert words in made, words


def test_who_rents_nothing_needs_none() -> None:
    with pytest.raises(RefusedError, match="a rented pool"):
        rights.document(configure_world.stack("pools: {rack: [gpu1]}\nmodels: {chat: 'hf:a/b-GGUF'}\n"))


def test_before_the_first_up_they_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rented, "known", lambda _: cloud(""))
    with pytest.raises(ProvisionError, match="got none yet"):
        rights.document(configure_world.stack(STACK))
    assert said(GIVEN, known=cloud("")) == [
        "which rights it needs is known when the stack is there: `hostler rights` shows them then"
    ]


def test_the_plan_that_gives_them_shows_each() -> None:
    lines = said(change("path:/etc/hostler/controller/stack.yaml"), GIVEN)
    assert lines[0].startswith("the controller may spend money")
    assert len(lines) == 1 + len(rights.document(configure_world.stack(STACK))["Statement"])
    assert any("ec2:RunInstances" in line and "g5.xlarge or g6.xlarge" in line for line in lines)


def test_a_plan_that_gives_none_says_nothing() -> None:
    assert said(change("path:/etc/hostler/controller/stack.yaml")) == []
    assert said(GIVEN, text=STACK.replace("controller: {rents: AWS}", "controller: {}")) == []


@pytest.mark.parametrize(
    ("state", "pool", "said_"),
    [("parked", "burst", True), ("retiring", "burst", False), ("parked", "deep", False)],
)
def test_who_parks_by_hand_is_told_that_a_request_rents_it_again(state: Any, pool: str, said_: bool) -> None:
    text = STACK.replace("count: 0-1}\nmodels", "count: 0-1, idle: never}\nmodels")
    slot = Slot(name=f"{pool}-0", pool=pool, state=state)
    parks = replace(cloud(), slots=Slots(slots={slot.name: slot}, retire=(slot.name,)))
    assert bool(said(text=text, known=parks)) is said_
