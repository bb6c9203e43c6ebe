"""Computed against seen memory, by what the probe tells of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hostler.hosts.types import Card, CardProcess, Seen
from hostler.models.seen_memory import CardMemory, compare
from hostler.models.types import Member, Replica

from .test_rooms import FACTS

AT = 1000.0
CHAT = Replica(
    id="chat-0", model="chat", members=(Member(host="gpu-1", cards=("G0",), port=1),), need_mib=6144
)
Process = tuple[str, str, int | None]  # card, whose replica, MiB


def seen(processes: Sequence[Process], used: int | None = 9000) -> Seen:
    cards = tuple(
        Card(index=n, uuid=f"G{n}", name="NVIDIA GeForce RTX 3090", memory_mib=24576, used_mib=used)
        for n in range(2)
    )
    there = tuple(
        CardProcess(card=card, pid=n, name="x", used_mib=mib, ours=bool(replica), replica=replica)
        for n, (card, replica, mib) in enumerate(processes)
    )
    return Seen(host="gpu-1", at=AT, seconds=0.1, facts=replace(FACTS, cards=cards, processes=there))


def only(processes: Sequence[Process], used: int | None = 9000) -> CardMemory:
    (found,) = compare([CHAT], {"gpu-1": seen(processes, used)})
    return found


@pytest.mark.parametrize(
    ("processes", "used", "mib", "why"),
    [
        ([("G0", "chat-0", 6400)], 9000, 6400, ""),
        ([("G0", "chat-0", 6000), ("G0", "chat-0", 400), ("G1", "chat-0", 77)], 9000, 6400, ""),
        ([("G0", "chat-0", 6400), ("G0", "code-0", 2000), ("G0", "", None)], 9000, 6400, ""),
        ([("G0", "chat-0", None), ("G0", "", 500)], 7000, 6500, ""),
        ([("G0", "chat-0", None)], 7000, 7000, ""),
        ([("G0", "chat-0", None), ("G0", "code-0", None)], 7000, None, "does not tell"),
        ([("G0", "chat-0", None)], None, None, "does not tell"),
        ([("G0", "code-0", 6400)], 9000, None, "names no process"),
        ([], 9000, None, "names no process"),
    ],
)
def test_what_the_card_says(
    processes: Sequence[Process], used: int | None, mib: int | None, why: str
) -> None:
    found = only(processes, used)
    assert found.seen_mib == mib
    assert why in found.unknown
    assert bool(found.unknown) is (mib is None)


@pytest.mark.parametrize(
    ("mib", "words", "warned"),
    [
        (6451, "chat-0 on gpu-1: computed 6.0 GiB, card 0 says 6.3 GiB (+5%)", False),
        (6758, "card 0 says 6.6 GiB (+10%)", False),
        (6759, "card 0 says 6.6 GiB (+10%)", True),
        (3072, "card 0 says 3.0 GiB (-50%)", False),
    ],
)
def test_more_than_a_tenth_is_too_much(mib: int, words: str, warned: bool) -> None:
    found = only([("G0", "chat-0", mib)])
    assert words in str(found)
    assert found.too_much is warned


def test_unknown_says_unknown() -> None:
    assert str(only([])) == (
        "chat-0 on gpu-1: computed 6.0 GiB, what card 0 says is unknown: the driver names no process of it"
    )
    (away,) = compare([CHAT], {"gpu-1": Seen(host="gpu-1", at=AT, seconds=1, error="dead")})
    (gone,) = compare([CHAT], {})
    assert away.unknown == gone.unknown == "gpu-1 does not answer"
    assert not away.too_much


def test_several_cards_share_what_was_computed() -> None:
    both = replace(CHAT, members=(Member(host="gpu-1", cards=("G0", "G1", "G9"), port=1),))
    found = compare([both], {"gpu-1": seen([("G0", "chat-0", 2000), ("G1", "chat-0", 2300)])})
    assert [(one.computed_mib, one.seen_mib, one.too_much) for one in found] == [
        (2048, 2000, False), (2048, 2300, True), (2048, None, False),
    ]  # fmt: skip
    assert found[2].unknown == "it is not seen"


def test_main_memory_has_no_card_to_ask() -> None:
    assert compare([replace(CHAT, members=(Member(host="gpu-1", cards=(), port=1),))], {}) == []
