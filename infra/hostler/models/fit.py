"""Which cards, contexts, kinds of cache and engines work for one model, and why the others do not. Pure:
what a model is comes in as a Shape (GGUF) or a Checkpoint (safetensors), what there is as rooms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from hostler.models import memory, vllm_memory
from hostler.models.bandwidth import card_named, speed
from hostler.models.memory import CACHE_BYTES, CONTEXTS, Shape, as_gib, cards_needed
from hostler.models.rooms import CardRoom, Room
from hostler.models.safetensors import Checkpoint
from hostler.models.sizing import part_of
from hostler.models.types import Need

SPEED_CONTEXT = 8192  # tokens that came before, where the speed is told; fewer if the context is shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The model that is asked about; one of shape and checkpoint is there. `weights`: their quantization
    or type; `others`: the same model in other quantizations. Each of `slots` has the whole context. `engine` empty:
    by what is there; `part`: of a card's memory, as vLLM's words ask for it."""

    name: str
    source: str
    shape: Shape | None = None
    checkpoint: Checkpoint | None = None
    weights: str = ""
    slots: int = 1
    others: tuple[Subject, ...] = ()
    engine: str = ""
    part: float | None = None

    @property
    def by(self) -> str:
        """The engine that serves it."""
        return self.engine or ("llama.cpp" if self.shape else "vllm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Works:
    """`context` in tokens a request, the most that fits; `card_mib` on each card; `cards` 0: main
    memory; `tokens_s` None: unknown."""

    where: str
    kind: str
    cards: int
    engine: str
    cache: str
    context: int
    card_mib: int
    tokens_s: float | None = None
    weights: str = ""

    def row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fails:
    where: str
    kind: str
    cards: int
    engine: str
    reason: str
    weights: str = ""

    def row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    works: tuple[Works, ...]
    fails: tuple[Fails, ...]


@dataclass(frozen=True, slots=True)
class _Set:
    """Cards of one host that may work together, the freest first."""

    kind: str
    cards: tuple[CardRoom, ...]

    def counts(self) -> list[int]:
        top = len(self.cards)
        return sorted({count for count in (1, 2, 4, 8) if count < top} | {top})


def fit(subject: Subject, rooms: Sequence[Room], *, brief: bool = False) -> Fit:
    """`brief`: of each host and kind of cards only the fewest cards with a context of 8k; so it is for
    other quantizations always."""
    works: list[Works] = []
    fails: list[Fails] = []
    for one, short in ((subject, brief), *((other, True) for other in subject.others)):
        for room in rooms:
            good, bad = _of_room(one, room, brief=short)
            works += (replace(row, weights=one.weights) for row in good)
            fails += (replace(row, weights=one.weights) for row in bad)
    return Fit(works=tuple(works), fails=tuple(fails))


def _of_room(subject: Subject, room: Room, *, brief: bool) -> tuple[list[Works], list[Fails]]:
    found = list(_in_room(subject, room))
    good = [one for one in found if isinstance(one, Works)]
    bad = [one for one in found if isinstance(one, Fails)]
    if not brief:
        return good, bad
    return _fewest(good), [] if good else bad[-1:]


def scaled(subject: Subject, weights: str, factor: float) -> Subject:
    """The same model in a file so many times as large: right to a few percent, as the parts of a
    quantization are not all of one type."""
    shape = subject.shape and replace(
        subject.shape,
        weights=int(subject.shape.weights * factor),
        active=int(subject.shape.active * factor),
        blocks=tuple(int(block * factor) for block in subject.shape.blocks),
    )
    return replace(subject, shape=shape, weights=weights, others=())


def _fewest(works: Sequence[Works]) -> list[Works]:
    enough = [one for one in works if one.context >= memory.DEFAULT_CONTEXT] or list(works)
    least = min((one.cards for one in enough), default=0)
    return [one for one in works if one.cards == least]


def _in_room(subject: Subject, room: Room) -> Iterator[Works | Fails]:
    engine = subject.by
    if room.gone or room.blocked:
        yield _fails(room, "", 0, engine, room.gone or room.blocked)
    elif not room.cards:
        yield from _in_memory(subject, room, engine)
    else:
        for cards in _sets(room):
            yield from _on_cards(subject, room, cards)


def _sets(room: Room) -> list[_Set]:
    """The cards of each kind, then all together if there are several kinds."""
    free = sorted(room.cards, key=lambda card: -card.free_mib)
    kinds = list(dict.fromkeys(_kind(card) for card in room.cards))
    sets = [_Set(kind, tuple(card for card in free if _kind(card) == kind)) for kind in kinds]
    return [*sets, _Set(" + ".join(kinds), tuple(free))] if len(kinds) > 1 else sets


def _kind(card: CardRoom) -> str:
    return card.name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _on_cards(subject: Subject, room: Room, cards: _Set) -> Iterator[Works | Fails]:
    mixed = len({_kind(card) for card in cards.cards}) > 1
    if subject.shape:
        for count in [len(cards.cards)] if mixed else cards.counts():
            found = list(_llama(subject, subject.shape, room, cards, count))
            yield from found
            if _is_whole(found, subject.shape.trained_context):
                return  # more cards make it no quicker
    elif subject.checkpoint and not mixed:
        for count in cards.counts():
            yield _vllm(subject, subject.checkpoint, room, cards, count)


def _is_whole(found: Sequence[Works | Fails], trained: int) -> bool:
    """The context that the model was trained for, without a quantized cache."""
    first = found[0]
    return isinstance(first, Works) and first.cache == "f16" and first.context >= (trained or CONTEXTS[-1])


def _llama(subject: Subject, shape: Shape, room: Room, cards: _Set, count: int) -> Iterator[Works | Fails]:
    free = [card.free_mib for card in cards.cards]
    last = 0
    for cache in CACHE_BYTES:
        asked = partial(memory.need, shape, slots=subject.slots, cache=cache)
        context = _longest(shape, asked, free, count)
        if context > last:
            card_mib = asked(context=context).per_card(count)
            yield _llama_works(subject.by, shape, room, cards, card_mib, count, cache, context)
        last = max(last, context)
        if last >= (shape.trained_context or CONTEXTS[-1]):
            return
    if not last:
        wanted = memory.need(shape, context=CONTEXTS[0], slots=subject.slots, cache="q4_0").per_card(count)
        place = "on each" if count > 1 else "on one card"
        reason = f"needs {as_gib(wanted)} {place} with {CONTEXTS[0]} tokens, {_free(cards, count)}"
        yield _fails(room, cards.kind, count, subject.by, reason)


def _llama_works(
    engine: str, shape: Shape, room: Room, cards: _Set, card_mib: int, count: int, cache: str, context: int
) -> Works:
    used = cards.cards[:count]
    names = [card.name for card in used]
    parts = memory.split(shape, count, context=context, cache=cache)
    shares = tuple(part / sum(parts) for part in parts)
    before = shape.cache(min(context, SPEED_CONTEXT), cache)
    return Works(
        where=room.host,
        kind=cards.kind,
        cards=count,
        engine=engine,
        cache=cache,
        context=context,
        card_mib=card_mib,
        tokens_s=speed(names, shape.active, before, parts=shares),
    )


def _longest(shape: Shape, asked: Callable[..., Need], free: Sequence[int], cards: int) -> int:
    """The longest context whose need, as `asked` says it, is free; 0: not even the shortest."""
    top = shape.trained_context or CONTEXTS[-1]
    for context in sorted({top, *(step for step in CONTEXTS if step < top)}, reverse=True):
        if cards_needed(asked(context=context), free, cards) is not None:
            return context
    return 0


def _vllm(subject: Subject, model: Checkpoint, room: Room, cards: _Set, count: int) -> Works | Fails:
    used = cards.cards[:count]
    least = min(card.memory_mib for card in used)
    part = part_of(subject.part, least, used[-1].free_mib)
    known = card_named(used[0].name)
    reason = vllm_memory.refusal(model, count, least, compute=known.compute if known else "", part=part)
    taken = vllm_memory.taken_mib(least, part)
    if used[-1].note and reason.startswith("lacks"):
        reason = f"{reason}, {_free(cards, count)}"
    if not reason and used[-1].free_mib < taken:
        reason = f"takes {as_gib(taken)} of each, {_free(cards, count)}"
    if reason:
        return _fails(room, cards.kind, count, subject.by, reason)
    context = vllm_memory.longest(model, count, least, part)
    before = vllm_memory.request(model, count, min(context, SPEED_CONTEXT)) * count
    return Works(
        where=room.host,
        kind=cards.kind,
        cards=count,
        engine=subject.by,
        cache="f16",
        context=context,
        card_mib=taken,
        tokens_s=speed([card.name for card in used], model.active, before, together=True),
    )


def _in_memory(subject: Subject, room: Room, engine: str) -> Iterator[Works | Fails]:
    if subject.shape is None:
        yield _fails(room, "main memory", 0, engine, "vllm runs on cards, and there are none")
        return
    asked = partial(memory.need, subject.shape, slots=subject.slots, in_memory=True)
    context = _longest(subject.shape, asked, [room.memory_mib], 0)
    wanted = asked(context=context or CONTEXTS[0]).per_card(0)
    if not context:
        reason = f"needs {as_gib(wanted)} of main memory, {as_gib(room.memory_mib)} free"
        yield _fails(room, "main memory", 0, engine, reason)
        return
    yield Works(
        where=room.host,
        kind="main memory",
        cards=0,
        engine=engine,
        cache="f16",
        context=context,
        card_mib=wanted,
    )


def _free(cards: _Set, count: int) -> str:
    fullest = cards.cards[count - 1]
    note = f" ({fullest.note})" if fullest.note else ""
    return f"{as_gib(fullest.free_mib)} free{note}"


def _fails(room: Room, kind: str, cards: int, engine: str, reason: str) -> Fails:
    return Fails(where=room.host, kind=kind, cards=cards, engine=engine, reason=reason)
