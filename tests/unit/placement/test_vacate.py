"""What leaves before its successor starts: a card does not hold both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hostler.models.rooms import Room
from hostler.models.types import Member, Placement, Replica, Wanted
from hostler.placement.place import place
from hostler.placement.vacate import vacated

from .test_placement import model, room

BIG = 18_000  # of a card of 24,000
SMALL = 4_000


def replica(name: str, mib: int, host: str = "a", cards: tuple[str, ...] = ("a-0",)) -> Replica:
    member = Member(host=host, cards=cards, port=18080)
    return Replica(id=name, model=name.rpartition("-")[0], members=(member,), need_mib=mib)


def leaving(
    wanted: Sequence[Wanted], rooms: Sequence[Room], previous: Sequence[Replica]
) -> list[tuple[str, str, str]]:
    placed = place(wanted, rooms, previous)
    assert not placed.missing
    return [(gone.replica, gone.host, gone.for_replica) for gone in vacated(previous, placed, rooms)]


def test_a_new_model_on_the_card_of_one_that_leaves() -> None:
    assert leaving([model("code", BIG)], [room("a", 24_000)], [replica("chat-0", BIG)]) == [
        ("chat-0", "a", "code-0")
    ]


def test_both_fit_until_the_routes_have_changed() -> None:
    assert leaving([model("code", SMALL)], [room("a", 24_000)], [replica("chat-0", BIG)]) == []


def test_another_card_holds_the_new_one() -> None:
    rooms = [room("a", 24_000, 24_000)]
    wanted = [model("code", BIG), model("chat", BIG)]
    assert leaving(wanted, rooms, [replica("chat-0", BIG), replica("old-0", SMALL, cards=("a-1",))]) == []


def test_only_those_whose_memory_is_needed() -> None:
    rooms = [room("a", 24_000), room("b", 24_000)]
    before = [replica("old-0", BIG), replica("old-1", SMALL, "b", ("b-0",))]
    assert leaving([model("code", BIG, 2)], rooms, before) == [("old-0", "a", "code-0")]


def test_one_that_is_exchanged_in_its_place_is_no_leaver() -> None:
    assert leaving([model("chat", BIG + 1000)], [room("a", 24_000)], [replica("chat-0", BIG)]) == []


def test_one_that_moves_to_another_host() -> None:
    rooms = [room("a", 24_000), room("b", 24_000, 24_000)]
    wanted = [model("chat", 2 * BIG, cards=2), model("code", BIG)]
    assert leaving(wanted, rooms, [replica("chat-0", BIG)]) == [("chat-0", "a", "code-0")]


def test_one_that_stays_and_grows() -> None:
    before = [replica("chat-0", SMALL), replica("old-0", BIG)]
    assert leaving([model("chat", SMALL * 2)], [room("a", 24_000)], before) == [("old-0", "a", "chat-0")]


def test_several_cards_and_main_memory() -> None:
    rooms = [room("a", 24_000, 24_000)]
    both = ("a-0", "a-1")
    assert leaving([model("code", 2 * BIG)], rooms, [replica("chat-0", 2 * BIG, cards=both)])
    in_memory = model("code", 6_000, in_memory=True)
    assert leaving([in_memory], [room("a", memory=8_000)], [replica("chat-0", 6_000, cards=())])


def test_a_host_that_does_not_answer_gives_up_nothing() -> None:
    placed = Placement(replicas=(replica("code-0", BIG),))
    assert vacated([replica("chat-0", BIG)], placed, [room("a", 24_000, gone="dead")]) == ()


@pytest.mark.parametrize("free", [24_000, 23_000])
def test_what_others_take_counts(free: int) -> None:
    place_ = room("a", 24_000)
    place_ = replace(place_, cards=tuple(replace(card, free_mib=free) for card in place_.cards))
    found = leaving([model("code", 5_500)], [place_], [replica("chat-0", BIG)])
    assert bool(found) is (free < 5_500 + BIG)
