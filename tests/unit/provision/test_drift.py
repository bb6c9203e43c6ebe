"""Differences of what is rented in people's words."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.provision import drift
from hostler.provision.state import INSTANCE, SECRET

Sides = dict[str, Any]
WISH: Sides = {
    "instanceType": "g5.xlarge",
    "tags": {"hostler:owner": "anna@desk"},
    "metadataOptions": {"httpTokens": "required"},
}


def rule(port: int, *sources: str, last: int = 0) -> Sides:
    return {"protocol": "tcp", "fromPort": port, "toPort": last or port, "cidrBlocks": list(sources)}


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (
            {"tags": {"hostler:owner": "eve@x"}},
            "tags.hostler:owner: changed by hand to eve@x (wished: anna@desk)",
        ),
        ({"tags": {}}, "tags.hostler:owner: removed by hand (was anna@desk)"),
        ({"tags": WISH["tags"] | {"cost": "7"}}, "tags.cost: added by hand (7)"),
        ({"instanceType": "g5.2xlarge"}, "instance type: changed by hand to g5.2xlarge (wished: g5.xlarge)"),
        (
            {"metadataOptions": {"httpTokens": "optional"}},
            "metadata service.httpTokens: changed by hand to optional (wished: required)",
        ),
    ],
)
def test_by_hand(now: Sides, line: str) -> None:
    assert drift.changed(WISH, WISH | now, WISH) == (line,)


def test_another_wish_is_no_change_by_hand() -> None:
    wish = WISH | {"tags": {"hostler:owner": "bob@desk"}}
    assert drift.changed(WISH, WISH, wish) == ("tags.hostler:owner: anna@desk => bob@desk",)
    both = WISH | {"volumeTags": WISH["tags"]}
    assert drift.changed(both, both, both | wish | {"volumeTags": wish["tags"]}) == (
        "tags.hostler:owner: anna@desk => bob@desk",
    )
    assert drift.changed(WISH, WISH, WISH) == ()


@pytest.mark.parametrize(
    ("stored", "now", "wished", "lines"),
    [
        ([], [rule(22, "0.0.0.0/0")], [], ("tcp 22 from 0.0.0.0/0: opened by hand",)),
        ([rule(22, "a")], [], [rule(22, "a")], ("tcp 22 from a: closed by hand",)),
        ([rule(22, "a")], [rule(22, "a")], [], ("tcp 22 from a: no longer wished",)),
        ([], [], [rule(8443, "a", "b")], ("tcp 8443 from a: new", "tcp 8443 from b: new")),
        ([rule(22, "a", "b")], [rule(22, "b"), rule(22, "a")], [rule(22, "a", "b")], ()),  # only in other words
        ([], [rule(1, "a", last=99) | {"ipv6CidrBlocks": ["::/0"]}], [],
         ("tcp 1-99 from ::/0: opened by hand", "tcp 1-99 from a: opened by hand")),
        ([], [{"protocol": "-1", "cidrBlocks": ["a"]}], [], ("all from a: opened by hand",)),
    ],
)  # fmt: skip
def test_doors(stored: list[Sides], now: list[Sides], wished: list[Sides], lines: tuple[str, ...]) -> None:
    assert drift.changed({"ingress": stored}, {"ingress": now}, {"ingress": wished}) == lines


def test_no_secret_is_shown() -> None:
    hidden = {SECRET: "1b47061264138c4ac30d75fd1eb44270", "value": "hidden"}
    assert drift.changed({"userData": "a"}, {"userData": "the key"}, {"userData": "b"}) == ()
    found = drift.changed({"publicKey": hidden}, {"publicKey": hidden}, {"publicKey": "b"})
    assert found == ("public key: changed",)


@pytest.mark.parametrize(
    ("kind", "gone", "lines"),
    [
        (INSTANCE, False, ("g5.xlarge spot in eu-central-1a, 200 GiB",)),
        (INSTANCE, True, ("terminated outside of hostler", "g5.xlarge spot in eu-central-1a, 200 GiB")),
        ("aws:ec2/securityGroup:SecurityGroup", True, ("removed outside of hostler", "tcp 22 from a")),
    ],
)
def test_created(kind: str, gone: bool, lines: tuple[str, ...]) -> None:
    wished = {
        "instanceType": "g5.xlarge", "availabilityZone": "eu-central-1a", "instanceMarketOptions": {"marketType": "spot"},
        "rootBlockDevice": {"volumeSize": 200}, "ingress": [rule(22, "a")],
    }  # fmt: skip
    assert drift.created(kind, wished, gone=gone) == lines


@pytest.mark.parametrize(
    ("found", "lines"), [("running", ()), ("pending", ()), ("stopped", ("stopped outside of hostler",))]
)
def test_stopped(found: str, lines: tuple[str, ...]) -> None:
    assert drift.stopped({"instanceState": found}) == lines


def test_titles() -> None:
    assert drift.title(INSTANCE, "burst-0") == "burst-0"
    assert drift.title("aws:ec2/vpc:Vpc", "eu-central-1") == "network eu-central-1"
