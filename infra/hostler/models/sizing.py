"""What one replica takes, by its engine: its context, its memory, and among how many cards it can be shared. Pure.

llama.cpp shares layers, and takes what weights and context need: placement chooses the number of cards. vLLM
takes a part of each card whatever the context, and its cache has the rest: so how many cards, and which part of
them, is decided here, for the smallest cards that hold it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from hostler.engines.vllm import SEQUENCES
from hostler.models import memory, vllm_memory
from hostler.models.bandwidth import card_named
from hostler.models.memory import DEFAULT_CONTEXT, MIB, Shape
from hostler.models.rooms import Room
from hostler.models.safetensors import Checkpoint
from hostler.models.types import Need

COUNTS = tuple(range(1, 17))  # of cards that one host may have
HALF = frozenset({"half", "float16"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the model's section asks for; None: not said. `part`: of a card's memory, by vLLM's own word."""

    context: int | None = None
    cards: int | None = None
    slots: int | None = None
    cache: str = "f16"
    part: float | None = None
    in_memory: bool = False
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """`context` in tokens a request. `cards` 0: placement decides. `counts`: that it may be shared among, none: any."""

    context: int
    need: Need
    slots: int = 1
    cards: int = 0
    counts: tuple[int, ...] = ()
    parallel: Literal["layers", "tensor"] = "layers"


def by_layers(shape: Shape, asked: Asked, rooms: Sequence[Room]) -> Sized:
    """For llama.cpp. `rooms`: of the model's pools, those that answer."""
    slots = asked.slots or 1
    context = asked.context or memory.fitting_context(
        shape,
        _free(rooms, asked.in_memory),
        cards=asked.cards,
        slots=slots,
        cache=asked.cache,
        in_memory=asked.in_memory,
    )
    need = memory.need(shape, context=context, slots=slots, cache=asked.cache, in_memory=asked.in_memory)
    return Sized(context=context, need=need, slots=slots)


def _free(rooms: Sequence[Room], in_memory: bool) -> list[list[int]]:
    return [[room.memory_mib] for room in rooms] if in_memory else [room.free for room in rooms if room.cards]


class _Place(NamedTuple):
    """So many cards of a kind on some host, each of `total` MiB; `taken` in MiB of each, `context` that fits then."""

    cards: int
    total: int
    taken: int
    context: int


def by_tensors(model: Checkpoint, asked: Asked, rooms: Sequence[Room]) -> Sized:
    """For vLLM: on the fewest cards, then the smallest, whose cache holds one request of the context (all that fits,
    but at least what is usual, where none is asked for), and then with as much of them as leaves room for all
    replicas. Where nothing holds it: what it would need, so that placement says what lacks."""
    counts = tuple(count for count in COUNTS if not vllm_memory.undividable(model, count))
    possible = [asked.cards] if asked.cards else list(counts)
    usual = min(DEFAULT_CONTEXT, model.trained_context or DEFAULT_CONTEXT)
    least = asked.context or usual
    found = [place for place in _places(model, asked, rooms, possible) if place.context >= least]
    if found:
        found.sort(key=lambda place: (place.cards, place.total, -place.taken))
        best = next((place for place in found if _room_for(place, rooms) >= asked.replicas), found[0])
        return _sized(asked, counts, best.cards, best.taken, asked.context or best.context)
    return _lacking(model, asked, rooms, counts, least)


def usable(model: Checkpoint, rooms: Sequence[Room]) -> str:
    """Why no card there can run it, whatever is free; empty: one can, or it is not known."""
    names = sorted({card.name for room in rooms for card in room.cards})
    reasons = [
        vllm_memory.too_old(model, known.compute if (known := card_named(name)) else "") for name in names
    ]
    return "; ".join(dict.fromkeys(reasons)) if reasons and all(reasons) else ""


def with_args(model: Checkpoint, args: Sequence[str]) -> Checkpoint:
    """As the user's words have it: weights of bfloat16 in half precision, for cards that know only that."""
    words = [word.removeprefix("--dtype=") for word in args]
    half = any(word in HALF for word in words)
    return replace(model, dtype="float16") if half and model.dtype == "bfloat16" else model


def _places(
    model: Checkpoint, asked: Asked, rooms: Sequence[Room], possible: Sequence[int]
) -> Iterator[_Place]:
    for room in rooms:
        for name, total in sorted({(card.name, card.memory_mib) for card in room.cards}):
            known = card_named(name)
            if vllm_memory.too_old(model, known.compute if known else ""):
                continue
            same = (card.free_mib for card in room.cards if (card.name, card.memory_mib) == (name, total))
            free = sorted(same, reverse=True)
            for count in (count for count in possible if count <= len(free)):
                part = part_of(asked.part, total, free[count - 1])
                taken = vllm_memory.taken_mib(total, part)
                yield _Place(count, total, taken, _context(model, asked, count, total, part))


def _context(model: Checkpoint, asked: Asked, count: int, total: int, part: float) -> int:
    """The one that is asked for, or else the longest; 0: it does not fit."""
    if asked.context is None:
        return vllm_memory.longest(model, count, total, part)
    room = vllm_memory.cache_room(model, count, total, part)
    return asked.context if vllm_memory.request(model, count, asked.context) <= room else 0


def _room_for(place: _Place, rooms: Sequence[Room]) -> int:
    """How many replicas that take so much find cards."""
    return sum(sum(card.free_mib >= place.taken for card in room.cards) // place.cards for room in rooms)


def part_of(asked: float | None, total: int, free: int) -> float:
    """Of a card, as it is said: what is asked for, else the usual, or what others leave of it in whole hundredths."""
    if asked is not None:
        return round(asked, 3)
    left = math.floor(100 * free / (total * vllm_memory.VISIBLE)) / 100
    return min(vllm_memory.UTILISATION, max(0.0, left))


def _sized(asked: Asked, counts: tuple[int, ...], cards: int, taken: int, context: int) -> Sized:
    return Sized(
        context=context,
        need=Need(divided_mib=taken, card_mib=0, fullest_mib=(taken,) * (COUNTS[-1] - 1)),
        slots=asked.slots or SEQUENCES,
        cards=cards,
        counts=counts,
        parallel="tensor",
    )


def _lacking(
    model: Checkpoint, asked: Asked, rooms: Sequence[Room], counts: tuple[int, ...], context: int
) -> Sized:
    """The least that it would take on as many cards as there are: no part of them is as much."""
    most = max((len(room.cards) for room in rooms), default=1)
    cards = asked.cards or max((count for count in counts if count <= most), default=1)
    wanted = vllm_memory.fixed(model, cards) + vllm_memory.request(model, cards, context)
    taken = math.ceil(wanted / MIB / vllm_memory.VISIBLE / (asked.part or vllm_memory.UTILISATION))
    return _sized(asked, counts, cards, taken, context)
