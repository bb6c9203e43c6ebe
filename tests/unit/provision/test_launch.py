"""Which slot is launched how, what a region needs for it, and what it is tagged with."""

from __future__ import annotations

import ipaddress

import pytest

from hostler.cloud.types import Candidate, CloudWish, Holding, Rented, SlotWish
from hostler.provision.launch import Launch, Launches, first_launches, pinned, slot_tags, subnet_cidr
from hostler.provision.orphans import living, sort


def way(zone: str = "eu-central-1a", instance: str = "g5.xlarge", ami: str = "ami-1") -> Candidate:
    return Candidate(region=zone[:-1], zone=zone, instance=instance, market="spot", ami=ami)


def slot(name: str = "burst-0", *ways: Candidate, subnet: str = "") -> SlotWish:
    candidates = ways or (way(),)
    return SlotWish(
        slot=name, pool="burst", candidates=candidates, disk_gib=200, user_data="x", subnet=subnet, lease=7.6
    )


def machine(candidate: Candidate) -> Rented:
    return Rented(
        slot="burst-0", pool="burst", id="i-1", candidate=candidate, public_ip="", private_ip="", uid="u1"
    )


def test_a_slot_that_stands_keeps_what_it_has() -> None:
    has = way("eu-central-1c", ami="ami-old")
    assert pinned(slot(), machine(has)).candidates == (has, way())
    assert pinned(slot("burst-0", way(), has), machine(has)).candidates == (has, way())
    assert pinned(slot(), None) == slot()


WISH = CloudWish(uid="u1", stack="lab", owner="anna@desk", slots=(slot(), slot("burst-1", way("eu-west-1b"))))


def test_what_each_region_needs() -> None:
    found = first_launches(WISH, [machine(way("eu-central-1b"))], "eu-central-1")
    assert found.zones == {"eu-central-1b": "eu-central-1", "eu-west-1b": "eu-west-1"}
    assert found.regions == found.keys == ["eu-central-1", "eu-west-1"]


def test_a_subnet_of_the_users_own_needs_no_network_of_ours() -> None:
    launch = Launch(slot=slot(subnet="subnet-1"), candidate=way())
    found = Launches(wish=WISH, region="eu-central-1", slots=(launch,))
    assert (found.zones, found.regions, found.keys) == ({}, [], ["eu-central-1"])
    assert launch.network == "subnet-1"


def test_a_network_that_shall_stay() -> None:
    found = Launches(wish=WISH, region="eu-central-1", keep=frozenset({"eu-west-1"}))
    assert (found.zones, found.regions, found.keys) == ({}, ["eu-west-1"], ["eu-west-1"])


def test_tags() -> None:
    assert slot_tags(WISH, slot()) == {
        "Name": "lab burst-0", "hostler:uid": "u1", "hostler:stack": "lab", "hostler:owner": "anna@desk",
        "hostler:slot": "burst-0", "hostler:pool": "burst", "hostler:lease": "8",
    }  # fmt: skip


def test_subnets_lie_side_by_side_in_the_network() -> None:
    zones = [f"us-east-1{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    found = [ipaddress.ip_network(subnet_cidr(zone)) for zone in [*zones, "us-west-2-lax-1a"]]
    assert len(set(found)) == len(found)
    assert all(one.subnet_of(ipaddress.IPv4Network("10.77.0.0/16")) for one in found)  # pyright: ignore[reportArgumentType]
    assert subnet_cidr("us-east-1b") == subnet_cidr("eu-west-3b") == "10.77.4.0/22"


def holding(name: str, slot: str, state: str = "running", uid: str = "u1", kind: str = "instance") -> Holding:
    return Holding(region="eu-central-1", kind=kind, id=name, uid=uid, slot=slot, state=state)


def test_what_the_state_does_not_know() -> None:
    held = [
        holding("i-known", "burst-0"), holding("i-lost", "burst-1"), holding("i-theirs", "burst-1", uid="u2"),
        holding("i-dead", "burst-1", "terminated"), holding("vol-1", "burst-1", kind="volume"),
    ]  # fmt: skip
    assert [one.id for one in living(held, "u1", {"i-known"})] == ["i-lost"]


@pytest.mark.parametrize(
    ("found", "adopt", "end"),
    [
        ([("i-2", "burst-1", "running")], {"burst-1": "i-2"}, []),
        ([("i-2", "burst-1", "pending"), ("i-3", "burst-1", "running")], {"burst-1": "i-3"}, ["i-2"]),
        ([("i-2", "burst-0", "running")], {}, ["i-2"]),  # its slot has another
        ([("i-2", "burst-1", "stopped")], {}, ["i-2"]),
        ([("i-2", "burst-7", "running")], {}, []),  # nobody's wish: its lease ends it
    ],
)
def test_taken_over_or_ended(
    found: list[tuple[str, str, str]], adopt: dict[str, str], end: list[str]
) -> None:
    result = sort([holding(*one) for one in found], empty={"burst-1"}, filled={"burst-0"})
    assert {slot: one.id for slot, one in result.adopt.items()} == adopt
    assert [one.id for one in result.end] == end
