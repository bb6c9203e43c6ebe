from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.models.rooms import CardRoom, Room
from hostler.models.types import Need, Placement, Replica, Wanted
from hostler.placement.place import place, replica_word


def need(mib: int, card: int = 0, spread: int = 0) -> Need:
    return Need(divided_mib=mib, card_mib=card, spread_mib=spread)


def room(
    host: str, *free: int, pool: str = "rack", memory: int = 64000, gone: str = "", blocked: str = ""
) -> Room:
    cards = tuple(
        CardRoom(uuid=f"{host}-{n}", index=n, name="RTX 3090", memory_mib=24576, free_mib=mib)
        for n, mib in enumerate(free)
    )
    return Room(host=host, pool=pool, cards=cards, memory_mib=memory, gone=gone, blocked=blocked)


def model(
    name: str, mib: int, replicas: int = 1, cards: int | None = None, *, in_memory: bool = False
) -> Wanted:
    return Wanted(
        model=name, pool=("rack",), replicas=replicas, need=need(mib), cards=cards, in_memory=in_memory
    )


def seats(placement: Placement) -> dict[str, tuple[str, ...]]:
    return {r.id: r.members[0].cards or (r.members[0].host,) for r in placement.replicas}


def test_replicas_go_to_different_hosts_first() -> None:
    placed = place([model("chat", 6000, 3)], [room("a", 24000, 24000), room("b", 24000)])
    assert seats(placed) == {"chat-0": ("a-0",), "chat-1": ("b-0",), "chat-2": ("a-0",)}


def test_least_waste_wins() -> None:
    placed = place([model("chat", 6000)], [room("a", 24000, 8000), room("b", 7000, 24000)])
    assert seats(placed) == {"chat-0": ("b-0",)}


def test_several_share_a_card_and_have_their_own_ports() -> None:
    placed = place([model("a", 6000, 2), model("b", 6000)], [room("x", 20000)])
    assert set(seats(placed).values()) == {("x-0",)}
    assert sorted(r.members[0].port for r in placed.replicas) == [18080, 18081, 18082]


def test_as_many_cards_as_it_needs() -> None:
    big = Wanted(model="big", pool=("rack",), replicas=1, need=need(40000, 500, 1500))
    placed = place([big], [room("a", 24000, 24000, 24000)])
    assert seats(placed) == {"big-0": ("a-0", "a-1")}
    assert placed.replicas[0].need_mib == 2 * (20000 + 500 + 1500)


def test_cards_asked_for_are_taken() -> None:
    assert seats(place([model("m", 6000, cards=3)], [room("a", 24000, 100, 24000, 24000)])) == {
        "m-0": ("a-0", "a-2", "a-3")
    }


def test_what_runs_stays_though_another_place_would_be_better() -> None:
    before = place([model("chat", 6000)], [room("a", 24000)]).replicas
    after = place([model("chat", 6000)], [room("b", 6000), room("a", 24000)], before)
    assert after.replicas == before
    assert after.moved == ()


def test_a_dead_hosts_replicas_stay_placed() -> None:
    before = place([model("chat", 6000, 2)], [room("a", 24000), room("b", 24000)]).replicas
    after = place([model("chat", 6000, 2)], [room("a", gone="no route to host"), room("b", 24000)], before)
    assert after.replicas == before


def test_fewer_replicas_keep_those_that_answer() -> None:
    before = place([model("chat", 6000, 2)], [room("a", 24000), room("b", 24000)]).replicas
    after = place([model("chat", 6000, 1)], [room("a", gone="dead"), room("b", 24000)], before)
    assert [r.id for r in after.replicas] == ["chat-1"]


def test_a_driver_that_waits_for_a_reboot_moves_nothing_and_takes_nothing() -> None:
    rooms = [room("a", blocked="NVIDIA's driver waits for a reboot")]
    before = place([model("chat", 6000)], [room("a", 24000)]).replicas
    after = place([model("chat", 6000, 2)], rooms, before)
    assert after.replicas == before
    assert (after.missing, after.rejected[0].reason) == (("chat-1",), "NVIDIA's driver waits for a reboot")


def test_a_lost_card_moves_its_replica() -> None:
    before = place([model("chat", 6000)], [room("a", 24000, 24000)]).replicas
    left = room("a", 24000, 24000)
    after = place([model("chat", 6000)], [replace(left, cards=left.cards[1:])], before)
    assert (seats(after), after.moved) == ({"chat-0": ("a-1",)}, ("chat-0",))
    assert after.replicas[0].members[0].port == 18081, "the former port may still be held"


def test_another_number_of_cards_moves_it() -> None:
    before = place([model("chat", 6000)], [room("a", 24000, 24000)]).replicas
    after = place([model("chat", 6000, cards=2)], [room("a", 24000, 24000)], before)
    assert (seats(after), after.moved) == ({"chat-0": ("a-0", "a-1")}, ("chat-0",))


def test_grown_out_of_its_card_it_moves() -> None:
    before = place([model("chat", 6000)], [room("a", 8000, 24000)]).replicas
    after = place([model("chat", 9000)], [room("a", 8000, 24000)], before)
    assert (seats(after), after.moved) == ({"chat-0": ("a-1",)}, ("chat-0",))


def test_where_not_all_can_stay_the_grown_move_and_few_do() -> None:
    before = place([model("a", 4000), model("b", 6000)], [room("x", 10500)]).replicas
    rooms = [room("x", 10500), room("y", 24000)]
    assert place([model("a", 5000), model("b", 6000)], rooms, before).moved == ("a-0",)
    assert place([model("a", 4000), model("b", 7000)], rooms, before).moved == ("b-0",)
    three = [model("a", 9000), model("b", 5000), model("c", 5000)]
    before = place(three, [room("x", 20000)]).replicas
    assert place(three, [room("x", 12000), room("y", 24000)], before).moved == ("a-0",), "one, not two"


def test_every_card_has_its_own_reason() -> None:
    rooms = [
        room("a", 24000, 3000),
        room("b", gone="no route to host"),
        room("c"),
        room("d", 24000, pool="other"),
    ]
    placed = place([model("big", 30000, cards=1)], rooms)
    assert placed.missing == ("big-0",)
    assert [(r.where, r.reason) for r in placed.rejected] == [
        ("a card 0 RTX 3090", "needs 30000 MiB (29.3 GiB); 24000 of 24576 MiB may be used"),
        ("a card 1 RTX 3090", "needs 30000 MiB (29.3 GiB); 3000 of 24576 MiB may be used"),
        ("b", "cannot be reached: no route to host"),
        ("c", "has no card"),
    ]


def test_one_that_fits_nowhere_hinders_no_other() -> None:
    placed = place([model("big", 90000), model("chat", 6000)], [room("a", 24000)])
    assert (placed.missing, seats(placed)) == (("big-0",), {"chat-0": ("a-0",)})


def test_main_memory() -> None:
    placed = place([model("m", 6000, 2, in_memory=True)], [room("a", memory=8000), room("b", memory=8000)])
    assert seats(placed) == {"m-0": ("a",), "m-1": ("b",)}
    more = place([model("m", 6000, 3, in_memory=True)], [room("a", memory=8000), room("b", memory=8000)])
    assert more.missing == ("m-2",)
    assert more.rejected[0].reason == "needs 6000 MiB (5.9 GiB) of main memory; 2000 MiB may be used"


@pytest.mark.parametrize("name", ["chat", "Qwen2.5:7b", "qwen2-5-7b", "a_b", "a.b", "A", "---", "x" * 90])
def test_words_of_names(name: str) -> None:
    word = replica_word(name)
    assert word.replace("-", "").isalnum()
    assert word == word.lower()
    assert len(word) <= 45
    assert (word == name) == (name in ("chat", "qwen2-5-7b"))


def test_no_two_models_share_a_word() -> None:
    assert len({replica_word(name) for name in ("a.b", "a_b", "a-b", "A-B", "a:b")}) == 5


WORDS = st.sampled_from(["NV4", "PIX", "SYS", ""])
CARDS = st.lists(
    st.tuples(st.integers(0, 24576), st.sampled_from(["RTX 3090", "RTX 3090", "A10G"])), max_size=4
)
ROOMS = st.lists(
    st.tuples(CARDS, st.booleans(), st.integers(0, 32000), st.tuples(*[WORDS] * 6)), min_size=1, max_size=4
).map(lambda rows: [mixed_room(f"h{n}", *row) for n, row in enumerate(rows)])
WANTED = st.lists(
    st.tuples(
        st.integers(1, 50000),
        st.integers(0, 900),
        st.integers(1, 4),
        st.sampled_from([None, None, 1, 2, 3]),
        st.booleans(),
        st.sampled_from([(), (), (1, 2, 4), (2,)]),
    ),
    max_size=4,
).map(
    lambda rows: [
        Wanted(
            model=f"m{n}",
            pool=("rack",),
            replicas=r,
            need=need(mib, card, card),
            cards=c,
            in_memory=memory,
            parallel="tensor" if counts else "layers",
            counts=counts,
        )
        for n, (mib, card, r, c, memory, counts) in enumerate(rows)
    ]
)


def mixed_room(
    host: str, cards: list[tuple[int, str]], dead: bool, memory: int, words: tuple[str, ...]
) -> Room:
    found = room(host, *(free for free, _ in cards), gone="dead" * dead, memory=memory)
    named = tuple(replace(card, name=name) for card, (_, name) in zip(found.cards, cards, strict=True))
    pairs = combinations((card.uuid for card in named), 2)
    links = tuple((one, other, word) for (one, other), word in zip(pairs, words, strict=False) if word)
    return replace(found, cards=named, links=links)


def taken(replicas: tuple[Replica, ...], wanted: list[Wanted]) -> dict[str, int]:
    """MiB by card, or by host for main memory."""
    needs = {one.model: one.need for one in wanted}
    sums: dict[str, int] = {}
    for replica in replicas:
        member = replica.members[0]
        for place_ in member.cards or (member.host,):
            sums[place_] = sums.get(place_, 0) + needs[replica.model].per_card(len(member.cards))
    return sums


def may_take(replica: Replica, wanted: list[Wanted], rooms: list[Room]) -> bool:
    """Whether these cards may be taken, in number and kind."""
    one = next(one for one in wanted if one.model == replica.model)
    cards = replica.members[0].cards
    if one.in_memory:
        return not cards
    kinds = {c.name for r in rooms for c in r.cards if c.uuid in cards}
    right = one.cards in (None, len(cards)) and (not one.counts or len(cards) in one.counts)
    return right and bool(cards) and (len(kinds) == 1 or one.parallel == "layers")


@settings(max_examples=150, deadline=None)
@given(ROOMS, WANTED, WANTED)
def test_never_over_memory_stable_and_the_same_again(
    rooms: list[Room], first: list[Wanted], second: list[Wanted]
) -> None:
    one = place(first, rooms)
    for placement, wanted in ((one, first), (place(second, rooms, one.replicas), second)):
        alive = {r.host for r in rooms if not r.gone}
        limits = {c.uuid: c.free_mib for r in rooms for c in r.cards} | {r.host: r.memory_mib for r in rooms}
        assert all(mib <= limits[where] for where, mib in taken(placement.replicas, wanted).items())
        assert len(placement.replicas) + len(placement.missing) == sum(m.replicas for m in wanted)
        assert all(may_take(r, wanted, rooms) for r in placement.replicas)
        ports = [(r.members[0].host, r.members[0].port) for r in placement.replicas]
        assert len(set(ports)) == len(ports)
        assert all(r.members[0].host in alive for r in placement.replicas)
        again = place(list(reversed(wanted)), rooms, placement.replicas)
        assert again.replicas == placement.replicas, "stable"
        assert not again.moved
        assert place(list(reversed(first)), rooms) == one, "deterministic"
        told = {r.replica for r in placement.rejected}
        assert told >= set(placement.missing), "each missing one has reasons"
