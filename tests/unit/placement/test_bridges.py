"""Which cards of a host: by their bridges, their kinds, and the numbers that an engine can divide a model among."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from hostler.models.rooms import Room
from hostler.models.types import Wanted
from hostler.placement.place import place

from .test_placement import need, room, seats

FOUR = {(0, 1): "PHB", (0, 2): "NV4", (1, 3): "NV4", (2, 3): "PHB"}


def linked(found: Room, words: dict[tuple[int, int], str], other: str = "NODE") -> Room:
    cards = range(len(found.cards))
    pairs = ((a, b, words.get((a, b), other)) for a, b in combinations(cards, 2))
    return replace(
        found, links=tuple((found.cards[a].uuid, found.cards[b].uuid, word) for a, b, word in pairs)
    )


def tensor(mib: int, cards: int | None = None, counts: tuple[int, ...] = (1, 2, 4, 8)) -> Wanted:
    return Wanted(
        model="m", pool=("rack",), replicas=1, need=need(mib), cards=cards, parallel="tensor", counts=counts
    )


def layers(mib: int, cards: int | None = None) -> Wanted:
    return replace(tensor(mib, cards), parallel="layers", counts=())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (FOUR, ("a-0", "a-2")),
        ({(0, 1): "NV2", (2, 3): "NV4"}, ("a-2", "a-3")),
        ({(1, 2): "PIX", (0, 3): "PXB"}, ("a-1", "a-2")),
        ({(0, 3): "PXB", (0, 1): "PHB"}, ("a-0", "a-3")),
        ({(2, 3): "PHB"}, ("a-2", "a-3")),
        ({}, ("a-0", "a-1")),
    ],
)
@pytest.mark.parametrize("wanted", [tensor(40_000), layers(40_000)], ids=["tensor", "layers"])
def test_bridged_pairs_first(
    wanted: Wanted, words: dict[tuple[int, int], str], expected: tuple[str, ...]
) -> None:
    found = linked(room("a", 24_000, 24_000, 24_000, 24_000), words)
    assert seats(place([wanted], [found])) == {"m-0": expected}


def test_by_layers_a_bridge_does_not_outweigh_waste_but_a_desktops_memory() -> None:
    near = linked(room("a", 24_000, 23_700, 24_000, 24_000), {(2, 3): "NV4"})
    assert seats(place([layers(40_000)], [near])) == {"m-0": ("a-2", "a-3")}
    far = linked(room("a", 12_000, 12_000, 24_000, 24_000), {(2, 3): "NV4"})
    assert seats(place([layers(20_000, 2)], [far])) == {"m-0": ("a-0", "a-1")}
    assert seats(place([tensor(20_000, 2)], [far])) == {"m-0": ("a-2", "a-3")}


def test_four_cards_go_at_the_pace_of_the_slowest_link() -> None:
    words = dict.fromkeys(combinations(range(4), 2), "PIX") | {(4, 5): "NV4", (6, 7): "NV4"}
    found = linked(room("a", *[24_000] * 8), words, "SYS")
    assert seats(place([tensor(90_000)], [found])) == {"m-0": ("a-0", "a-1", "a-2", "a-3")}
    fast = {(0, 1): "NV12", (1, 2): "NV12", (3, 4): "PIX", (4, 5): "PIX", (3, 5): "PIX"}
    found = linked(room("a", *[24_000] * 6), fast, "SYS")
    assert seats(place([tensor(70_000, 3, ())], [found])) == {"m-0": ("a-3", "a-4", "a-5")}


def test_a_host_with_a_bridge_before_one_without() -> None:
    rooms = [room("a", 24_000, 24_000), linked(room("b", 24_000, 24_000), {(0, 1): "NV4"})]
    assert seats(place([tensor(40_000)], rooms)) == {"m-0": ("b-0", "b-1")}
    rooms[0] = room("a", 23_900, 23_700)
    assert seats(place([layers(40_000)], rooms)) == {"m-0": ("b-0", "b-1")}, "less than a GiB apart"
    rooms[0] = room("a", 20_000, 20_000)
    assert seats(place([tensor(40_000)], rooms)) == {"m-0": ("b-0", "b-1")}
    assert seats(place([layers(40_000)], rooms)) == {"m-0": ("a-0", "a-1")}


def test_one_card_leaves_bridged_pairs_whole() -> None:
    found = linked(room("a", 24_000, 24_000, 24_000), {(0, 2): "NV4"})
    assert seats(place([layers(6_000)], [found])) == {"m-0": ("a-1",)}
    both = replace(layers(20_000), replicas=2)
    four = linked(room("a", *[24_000] * 4), {(0, 2): "NV4", (1, 3): "NV4"})
    assert seats(place([both], [four])) == {"m-0": ("a-0",), "m-1": ("a-2",)}, "a broken pair first"


def test_many_cards_are_not_all_tried() -> None:
    pairs = {(n, n + 1): "NV4" for n in range(0, 32, 2)}
    found = linked(room("a", *[24_000] * 32), pairs)
    chosen = place([tensor(16 * 20_000, 16, (16,))], [found]).replicas[0].members[0].cards
    positions = sorted(int(uuid[2:]) for uuid in chosen)
    assert all(n + 1 in positions for n in positions[::2]), "whole pairs"


def mixed(*names: str) -> Room:
    found = room("a", *[24_000] * len(names))
    return replace(
        found, cards=tuple(replace(card, name=name) for card, name in zip(found.cards, names, strict=True))
    )


def test_tensor_parallel_takes_cards_of_one_kind() -> None:
    found = linked(mixed("RTX 3090", "RTX 4090", "RTX 3090"), {(0, 1): "NV4"})
    assert seats(place([tensor(40_000)], [found])) == {"m-0": ("a-0", "a-2")}
    assert seats(place([layers(40_000)], [found])) == {"m-0": ("a-0", "a-1")}


def test_no_two_of_one_kind() -> None:
    placed = place([tensor(40_000)], [mixed("RTX 3090", "RTX 4090")])
    assert placed.missing == ("m-0",)
    assert [(r.where, r.reason) for r in placed.rejected] == [
        ("a", "has no 2 cards of one kind with 20000 MiB (19.5 GiB) free on each")
    ]


def test_only_the_numbers_that_divide_the_model() -> None:
    found = room("a", 24_000, 24_000, 24_000)
    assert place([tensor(70_000)], [found]).missing == ("m-0",), "three would hold it, two do not"
    assert len(place([tensor(50_000, None, (3,))], [found]).replicas[0].members[0].cards) == 3
    refused = place([tensor(6_000, None, (4, 8))], [found]).rejected
    assert [(r.where, r.reason) for r in refused] == [
        ("a", "has 3 cards; the model can be divided among 4 or 8")
    ]
    refused = place([tensor(6_000, 3)], [found]).rejected
    assert refused[0].reason == "3 cards are asked for; the model can be divided among 1, 2, 4 or 8"


def test_what_runs_on_other_kinds_or_numbers_than_tensor_parallel_takes_moves() -> None:
    found = mixed("RTX 3090", "RTX 4090", "RTX 3090", "RTX 3090")
    before = place([layers(40_000)], [found]).replicas
    assert before[0].members[0].cards == ("a-0", "a-1")
    after = place([tensor(40_000)], [found], before)
    assert (seats(after), after.moved) == ({"m-0": ("a-0", "a-2")}, ("m-0",))
    three = place([layers(60_000)], [found]).replicas
    assert len(three[0].members[0].cards) == 3
    assert place([tensor(40_000)], [found], three).moved == ("m-0",)
    assert place([layers(40_000)], [found], three).replicas[0].members == three[0].members
