"""A placement is found where there is one, and nothing moves for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.models.rooms import Room
from hostler.models.types import Replica, Wanted
from hostler.placement import place as placement
from hostler.placement.board import Board
from hostler.placement.packing import pack
from hostler.placement.place import place

from .test_placement import model, need, room, seats, taken

HARD = [model(name, mib) for name, mib in {"a": 4, "b": 4, "c": 3, "d": 3, "e": 3, "f": 3}.items()]
TENS = [room("x", 10), room("y", 10)]


def test_the_best_for_one_after_the_other_would_not_do() -> None:
    placed = place(HARD, TENS)
    assert not placed.missing
    at = seats(placed)
    for name, why in placed.reasons.items():
        assert why.startswith("so that all find room")
        beside = {other for other in at if other != name and at[other] == at[name]}
        assert {other for other in at if other in why} <= beside


@pytest.mark.parametrize(("wanted", "found"), [(HARD, True), ([model("m", 6)] * 3, False)])
def test_the_board_is_as_before(wanted: list[Wanted], found: bool) -> None:
    board = Board.of(TENS, ())
    spots = pack(wanted, board)
    assert (spots is not None) is found
    assert not any(board.beside.values())
    assert [shelf.free for shelf in board.shelves.values()] == [[10], [10]]


def test_the_search_gives_up_and_says_what_is_lacking() -> None:
    rooms = [room(f"h{n}", *[15] * 8) for n in range(30)]
    placed = place([model("a", 6, 241), model("b", 5, 240), model("c", 4, 240)], rooms)
    assert placed.missing
    assert {r.replica for r in placed.rejected} >= set(placed.missing)


def test_the_search_moves_nothing_that_runs() -> None:
    rooms = [room("x", 16), room("y", 10)]
    before = place([model("c", 6)], rooms[:1]).replicas
    placed = place([model("c", 6), model("a", 14)], rooms, before)
    assert seats(placed) == {"c-0": ("x-0",)}
    assert placed.missing == ("a-0",), "it would fit if c moved"
    tight = [model("c", 6), *(model(name, mib) for name, mib in zip("abde", (5, 5, 4, 6), strict=True))]
    placed = place(tight, rooms, before)
    assert not placed.missing
    assert seats(placed)["c-0"] == ("x-0",)


def test_another_pool_is_not_hindered() -> None:
    tight = [replace(one, pool=("small",)) for one in (model("p", 9), model("q", 8))]
    alone = place([model("a", 6)], [room("x", 15)])
    placed = place([model("a", 6), *tight], [room("x", 15), room("s", 10, pool="small")])
    assert seats(placed)["a-0"] == seats(alone)["a-0"]
    assert placed.missing == ("q-0",)
    both = place([*HARD, *tight], [*TENS, room("s", 10, pool="small")])
    assert both.missing == ("q-0",)


FREE = st.lists(st.integers(6, 10), min_size=1, max_size=2)
ROOMS = st.lists(st.tuples(FREE, st.integers(6, 10)), min_size=1, max_size=3).map(
    lambda rows: [room(f"h{n}", *free, memory=memory) for n, (free, memory) in enumerate(rows)]
)
WANTED = st.lists(
    st.tuples(
        st.integers(2, 9),
        st.integers(0, 1),
        st.sampled_from([None, None, None, 1, 2]),
        st.sampled_from([False, False, True]),
    ),
    max_size=4,
).map(
    lambda rows: [
        Wanted(
            model=f"m{n}", pool=("rack",), replicas=1, need=need(mib, 0, more), cards=cards, in_memory=memory
        )
        for n, (mib, more, cards, memory) in enumerate(rows)
    ]
)
Free = dict[str, int]


def ways(one: Wanted, rooms: Sequence[Room]) -> Iterator[Free]:
    """Everything that it could take: MiB by card, or by host for main memory."""
    for found in rooms:
        if one.in_memory:
            yield {found.host: one.need.per_card(0)}
        for count in [one.cards] if one.cards else [] if one.in_memory else range(1, len(found.cards) + 1):
            if not one.in_memory:
                for group in combinations(found.cards, count):
                    yield {card.uuid: one.need.per_card(count) for card in group}


def fits(wanted: Sequence[Wanted], rooms: Sequence[Room], free: Free) -> bool:
    """By brute force."""
    if not wanted:
        return True
    return any(
        fits(wanted[1:], rooms, {**free, **{at: free[at] - mib for at, mib in way.items()}})
        for way in ways(wanted[0], rooms)
        if all(free[at] >= mib for at, mib in way.items())
    )


def free_of(rooms: Sequence[Room]) -> Free:
    return {c.uuid: c.free_mib for r in rooms for c in r.cards} | {r.host: r.memory_mib for r in rooms}


@settings(max_examples=200, deadline=None)
@given(ROOMS, WANTED)
def test_finds_one_where_there_is_one(rooms: list[Room], wanted: list[Wanted]) -> None:
    assert (not place(wanted, rooms).missing) == fits(wanted, rooms, free_of(rooms))


@settings(max_examples=100, deadline=None)
@given(ROOMS, WANTED, WANTED)
def test_finds_one_beside_what_runs(rooms: list[Room], first: list[Wanted], more: list[Wanted]) -> None:
    before = place(first, rooms)
    more = [replace(one, model=f"new-{one.model}") for one in more]
    after = place([*first, *more], rooms, before.replicas)
    assert {r.id: r.members for r in before.replicas}.items() <= {
        r.id: r.members for r in after.replicas
    }.items()
    free = free_of(rooms)
    for at, mib in taken(before.replicas, first).items():
        free[at] -= mib
    lacking = [one for one in first if f"{one.model}-0" in before.missing]
    assert (not after.missing) == fits([*lacking, *more], rooms, free)


@settings(max_examples=150, deadline=None)
@given(ROOMS, WANTED, WANTED, ROOMS)
def test_moves_nothing_that_need_not_move(
    rooms: list[Room], first: list[Wanted], second: list[Wanted], now: list[Room]
) -> None:
    """Whatever changes: none that moved could have stayed beside those that stayed."""
    before = {r.id: r for r in place(first, rooms).replicas}
    after = place(second, now, tuple(before.values()))
    wants = {one.model: one for one in second}
    placed = {r.id: r for r in after.replicas}
    assert set(after.moved) == {n for n in placed.keys() & before.keys() if _at(placed[n]) != _at(before[n])}
    stayed = tuple(r for r in placed.values() if r.id in before and r.id not in after.moved)
    free = free_of(now)
    for at, mib in taken(stayed, second).items():
        free[at] -= mib
    assert min(free.values()) >= 0
    for name in (*after.moved, *(name for name in after.missing if name in before)):
        one, member = wants[before[name].model], before[name].members[0]
        each = one.need.per_card(len(member.cards))
        kind = bool(member.cards) != one.in_memory and one.cards in (None, len(member.cards))
        assert not (kind and all(free.get(at, -1) >= each for at in member.cards or (member.host,)))


SEVERAL = st.lists(st.tuples(st.integers(2, 9), st.integers(1, 3)), min_size=2, max_size=4).map(
    lambda rows: [model(f"m{n}", mib, replicas) for n, (mib, replicas) in enumerate(rows)]
)


@settings(max_examples=150, deadline=None)
@given(ROOMS, SEVERAL)
def test_a_search_in_vain_leaves_nothing_behind(rooms: list[Room], wanted: list[Wanted]) -> None:
    found = place(wanted, rooms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement._Group, "place", placement._Group._one_by_one)
        alone = place(wanted, rooms)
    assert found == alone or len(found.missing) < len(alone.missing)


def _at(replica: Replica) -> tuple[str, tuple[str, ...]]:
    return replica.members[0].host, replica.members[0].cards


@settings(max_examples=80, deadline=None)
@given(ROOMS, WANTED, st.randoms())
def test_the_order_of_hosts_and_models_changes_nothing(
    rooms: list[Room], wanted: list[Wanted], chance: Random
) -> None:
    one = place(wanted, rooms)
    mixed_rooms, mixed = list(rooms), list(wanted)
    chance.shuffle(mixed_rooms)
    chance.shuffle(mixed)
    assert place(mixed, mixed_rooms) == one
    before = list(one.replicas)
    chance.shuffle(before)
    assert place(mixed, mixed_rooms, before).replicas == one.replicas
