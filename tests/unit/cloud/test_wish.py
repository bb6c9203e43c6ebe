"""The wish: a machine that stands is kept, and a lease is renewed when half of it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.cloud import wish
from hostler.cloud.candidates import Choice
from hostler.cloud.offer import Offer
from hostler.cloud.slots import decide
from hostler.cloud.types import Candidate, Rented
from hostler.stackfile.fields import Range
from hostler.stackfile.saving import Idle
from hostler.stackfile.sections import Aws, Pool, Stack

AWS = Aws(
    regions=("eu-central-1",), instances=("g5.xlarge", "g6.xlarge"), ssh_from=("auto", "198.51.100.0/24")
)
STACK = Stack(stack="office", pools={"burst": Pool(aws=AWS, count=Range(1, 2))}, models={})
G5 = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="on-demand")
G6 = Candidate(region="eu-central-1", zone="eu-central-1b", instance="g6.xlarge", market="on-demand")
OFFERS = {"burst": Offer(choice=Choice(candidates=(G5, G6)), prices={}, images={})}
NOW = 1_800_000_000.0


def machine(has: Candidate, lease: float = NOW + wish.LEASE_S) -> dict[str, Rented]:
    there = Rented(
        slot="burst-0",
        pool="burst",
        id="i-1",
        candidate=has,
        public_ip="",
        private_ip="",
        uid="u",
        lease=lease,
    )
    return {"burst-0": there}


def wished(rented: dict[str, Rented], stack: Stack | None = None) -> wish.CloudWish:
    around = wish.Around(
        uid="u",
        owner="ada@desk",
        public_key="ssh-ed25519 A",
        ours=("203.0.113.7/32",),
        gateway_slots=(),
        now=NOW,
    )
    stack = stack or STACK
    decided = decide(stack, {}, rented)
    data = dict.fromkeys(decided.fill, "#cloud-config")
    return wish.wish(stack, decided, rented, {} if rented else OFFERS, data, around)


def test_an_empty_slot_has_all_ways_and_is_told_what_to_do() -> None:
    (slot,) = wished({}).slots
    assert (slot.candidates, slot.user_data, slot.disk_gib) == ((G5, G6), "#cloud-config", 200)
    assert slot.lease == NOW + wish.BIRTH_S


@pytest.mark.parametrize(
    ("idle", "shutdown"),
    [
        (None, "terminate"),
        (Idle(do="terminate"), "terminate"),
        (Idle(do="stop", shadow=True), "terminate"),
        (Idle(do="stop"), "stop"),
    ],
)
def test_only_who_was_met_keeps_its_disk(idle: Idle | None, shutdown: str) -> None:
    stack = replace(STACK, pools={"burst": replace(STACK.pools["burst"], idle=idle)})
    assert [slot.shutdown for slot in wished({}, stack).slots] == ["terminate"]
    assert [slot.shutdown for slot in wished(machine(G5), stack).slots] == [shutdown]
    spot = replace(stack.pools["burst"], aws=replace(AWS, spot="prefer"))
    on_spot = replace(stack, pools={"burst": spot})  # where AWS stops none
    there = machine(replace(G5, market="spot"))
    assert [slot.shutdown for slot in wished(there, on_spot).slots] == ["terminate"]


def test_a_machine_that_stands_is_its_own_first_candidate() -> None:
    (slot,) = wished(machine(G6)).slots
    assert (slot.candidates, slot.user_data) == ((G6,), "")


@pytest.mark.parametrize(
    ("left", "renewed"),
    [(wish.LEASE_S, False), (wish.LEASE_S / 2 + 1, False), (wish.LEASE_S / 2, True), (60, True)],
)
def test_a_lease_is_renewed_when_half_of_it_is_over(left: float, renewed: bool) -> None:
    (slot,) = wished(machine(G5, NOW + left)).slots
    assert slot.lease == NOW + (wish.LEASE_S if renewed else left)


def test_auto_is_this_machine_and_the_gateways() -> None:
    found = wished({})
    assert found.ssh_from == {"burst": ("203.0.113.7/32", "198.51.100.0/24")}
    assert found.edge_from == {"burst": ("203.0.113.7/32",)}
