"""Why every replica is where it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hostler.models.rooms import Room
from hostler.models.types import Replica, Wanted
from hostler.placement.place import place

from .test_bridges import linked, mixed, tensor
from .test_placement import model, room


def why(wanted: Sequence[Wanted], rooms: Sequence[Room], previous: Sequence[Replica] = ()) -> dict[str, str]:
    placed = place(wanted, rooms, previous)
    assert {r.id for r in placed.replicas} == set(placed.reasons)
    return dict(placed.reasons)


def test_the_only_host() -> None:
    rooms = [room("a", 24_000), room("b", 8_000, gone=""), room("c", gone="dead")]
    assert why([model("m", 18_637)], rooms) == {"m-0": "only host with 18.2 GiB free on one card"}
    assert why([model("m", 40_000)], [room("a", 24_000, 24_000)]) == {
        "m-0": "only host with 19.5 GiB free on each of 2 cards"
    }
    assert why([model("m", 6_144, in_memory=True)], [room("a", memory=8_000)]) == {
        "m-0": "only host with 6.0 GiB of free main memory"
    }


def test_what_decided_among_several() -> None:
    two = [room("a", 24_000), room("b", 24_000)]
    assert why([model("m", 6_000, 2)], two) == {
        "m-0": "first by name of 2 hosts that are as good",
        "m-1": "fewest replicas of m",
    }
    assert why([model("m", 6_000)], [room("a", 24_000), room("b", 7_000)]) == {
        "m-0": "least memory left over: 1.0 GiB"
    }
    fewer = [room("a", 15_000, 15_000), room("b", 24_000)]
    assert why([model("m", 20_000)], fewer) == {"m-0": "fewest cards: 1"}


def test_bridges_are_named() -> None:
    rooms = [room("a", 24_000, 24_000), linked(room("b", 24_000, 24_000), {(0, 1): "NV4"})]
    assert why([tensor(40_000)], rooms) == {"m-0": "fastest links between its cards; bridged pair NV4"}
    assert why([tensor(40_000)], rooms[1:])["m-0"].endswith("; bridged pair NV4")
    plain = linked(room("a", 24_000, 24_000), {(0, 1): "PHB"})
    assert why([tensor(40_000)], [plain])["m-0"].endswith("; its cards are linked by PHB")
    words = {(0, 1): "NV4", (2, 3): "NV4"}
    four = linked(room("a", *[24_000] * 4), words, "SYS")
    assert why([tensor(80_000)], [four])["m-0"].endswith("; its cards are linked by NV4 and SYS")


def test_shared_cards_are_named() -> None:
    found = why([model("a", 6_000), model("b", 7_000)], [room("x", 24_000)])
    assert found["a-0"].endswith("; shares its card with b-0")
    assert found["b-0"] == "only host with 6.8 GiB free on one card"


def test_main_memory_of_hosts_without_cards_first() -> None:
    rooms = [room("a", 24_000, memory=8_000), room("b", memory=9_000)]
    wanted = [model("m", 6_000, in_memory=True)]
    assert why(wanted, rooms) == {"m-0": "has no card that others could use"}
    assert place(wanted, rooms).replicas[0].members[0].host == "b"


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (room("a", 24_000), "keeps its place"),
        (room("a", gone="no route to host"), "keeps its place: the host cannot be reached: no route to host"),
        (room("a", blocked="NVIDIA's driver is away"), "keeps its place: NVIDIA's driver is away"),
    ],
)
def test_what_stays(now: Room, text: str) -> None:
    before = place([model("m", 6_000)], [room("a", 24_000)]).replicas
    assert why([model("m", 6_000)], [now, room("b", 24_000)], before) == {"m-0": text}


@pytest.mark.parametrize(
    ("now", "wanted", "text"),
    [
        (room("a"), model("m", 6_000), "left a: its card is no longer there"),
        (room("a", 5_000), model("m", 6_000), "left a: needs 5.9 GiB on a card, 4.9 GiB may be used"),
        (room("a", 24_000), model("m", 6_000, cards=2), "left a: 2 cards are asked for, it has 1"),
        (room("a", 24_000, pool="x"), model("m", 6_000), "left a: its pools are rack"),
        (room("z"), model("m", 6_000), "left a: no longer a host of the stack"),
        (room("a", 24_000), model("m", 6_000, in_memory=True), "left a: runs in main memory now"),
        (
            mixed("RTX 3090", "RTX 4090"),
            tensor(9_000, counts=(2,)),
            "left a: can be divided among 2 cards, it has 1",
        ),
    ],
)
def test_what_moves_says_why_it_left(now: Room, wanted: Wanted, text: str) -> None:
    before = place([model("m", 6_000)], [room("a", 24_000)]).replicas
    placed = place([wanted], [now, room("b", 24_000, 24_000)], before)
    assert placed.reasons["m-0"].startswith(f"{text}; "), placed


def test_many_hosts_that_refuse_are_not_all_told() -> None:
    placed = place([model("m", 90_000)], [room(f"h{n}", 24_000) for n in range(100)])
    assert len(placed.rejected) == 41
    assert placed.rejected[-1].where == "60 more hosts"
