"""Hosts that are not there: named cards, or common ones, all free. Pure."""

from __future__ import annotations

import difflib

from hostler.errors import UsageError
from hostler.models.bandwidth import CARDS, CardKind, card_named
from hostler.models.rooms import CardRoom, Room

DRIVER_MIB = 320  # of each card, kept by the driver
MOST_CARDS = 16
_COMMON = ("RTX 3060", "RTX 3090", "RTX 4090", "RTX 5090", "A10G", "L4", "L40S", "A100 80GB", "H100")


def card_room(word: str) -> Room:
    """A host of so many cards, all free: `RTX 3090*2`. Raises UsageError."""
    name, star, number = word.partition("*")
    card = card_named(name)
    if card is None or (star and not number.strip().isdecimal()) or not 0 < int(number or 1) <= MOST_CARDS:
        raise _unknown_card(word, name if card is None else "")
    return _room_of(card, int(number or 1), word)


def common_rooms() -> list[Room]:
    """Hosts of four cards of each common kind: what to look at when there is no other."""
    return [_room_of(card, 4, "any") for card in CARDS if card.name in _COMMON]


def _room_of(card: CardKind, count: int, host: str) -> Room:
    free = card.memory_mib - DRIVER_MIB
    cards = tuple(
        CardRoom(uuid=str(i), index=i, name=card.name, memory_mib=card.memory_mib, free_mib=free)
        for i in range(count)
    )
    return Room(host=host, pool="", cards=cards)


def _unknown_card(word: str, name: str) -> UsageError:
    names = [card.name for card in CARDS]
    near = difflib.get_close_matches(name.strip(), names, n=3, cutoff=0.4) or names
    return UsageError.of(
        "--card",
        expected=f"a card and perhaps how many, up to {MOST_CARDS}: RTX 3090*2",
        got=repr(word),
        next_step=f"name one of these: {', '.join(near)}" if name or not word else "correct the number",
    )
