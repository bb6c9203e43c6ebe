"""Tokens by model, from engines' own counters, and by key, from what the gateway sent to whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hostler.money.looks import Count, Look, Usage
from hostler.money.pieces import SLOT_S, Piece, Subject, Terms
from hostler.money.rows import GENERATED, PROMPT, Rate

NONE = Rate(amount=None, currency="", source="")
COUNTERS = "the engine's counters"
BYTES = "its share of the bytes that the gateway sent"
CARRIED_S = 3600  # tokens and bytes of which the other never came


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Of a model since `start`: tokens and bytes that are not shared out among keys yet."""

    start: int
    prompt: float = 0.0
    generated: float = 0.0
    sent: Mapping[str, float] = field(default_factory=dict[str, float])  # by key


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    ended: tuple[Piece, ...]
    left: Mapping[str, Shared]


def more(before: float | None, now: float | None, *, restarted: bool) -> float:
    """How much a counter grew; one that is lower than it was began anew."""
    if now is None or before is None:
        return now or 0.0 if restarted else 0.0
    return now - before if now >= before and not restarted else now


def known(before: Mapping[str, Count], counts: Sequence[Count]) -> Iterator[Count]:
    """As it is kept: what an engine did not tell now is what it told last, of the same run."""
    for one in counts:
        last = before.get(one.replica)
        if last and last.born == one.born:
            prompt = last.prompt if one.prompt is None else one.prompt
            generated = last.generated if one.generated is None else one.generated
            yield replace(one, prompt=prompt, generated=generated)
        elif one.prompt is not None or one.generated is not None or last is None:
            yield one


def grown(before: Mapping[str, Count], one: Count, last: int | None) -> tuple[float, float]:
    """(prompt, generated) since the look before. An engine that nobody saw before counts from 0 if it started since then,
    and else from what it has: who had these tokens, and when, is not known."""
    if last is None:
        return 0.0, 0.0
    seen = before.get(one.replica)
    if seen is None:
        fresh = one.started is not None and one.started >= last
        return (one.prompt or 0.0, one.generated or 0.0) if fresh else (0.0, 0.0)
    restarted = seen.born != one.born
    return (
        more(seen.prompt, one.prompt, restarted=restarted),
        more(seen.generated, one.generated, restarted=restarted),
    )


def pieces_of(
    before: Mapping[str, Count], counts: Sequence[Count], last: int | None, now: int
) -> Iterator[Piece]:
    """By model and host; measured."""
    terms = {
        unit: Terms(unit=unit, rate=NONE, basis="measured", source=COUNTERS) for unit in (PROMPT, GENERATED)
    }
    for unit, index in ((PROMPT, 0), (GENERATED, 1)):
        sums = dict[tuple[str, str, str], float]()
        for one in counts:
            place = (one.host, one.pool, one.model)
            sums[place] = sums.get(place, 0.0) + grown(before, one, last)[index]
        for (host, pool, model), amount in sums.items():
            if amount > 0 and last is not None:
                part = f"{unit} gap" if now - last > SLOT_S else unit
                subject = Subject(kind="tokens", part=part, host=host, pool=pool, model=model)
                yield Piece(subject=subject, start=last, end=now, amount=amount, terms=terms[unit])


def shared(
    before: Mapping[str, Shared],
    counts: Mapping[str, Count],
    look: Look,
    usage: Usage | None,
    last: int | None,
    now: int,
) -> Whose:
    """What a model's tokens were for, by key, once its slot is over: estimated. Bytes come while an answer is written,
    some engines count its tokens at its end: what has no other half yet waits for it."""
    if last is None:
        return Whose(ended=(), left=before)
    found = {**before}
    for one in look.counts:
        prompt, generated = grown(counts, one, last)
        so_far = found.get(one.model, Shared(start=last))
        if prompt or generated:
            found[one.model] = replace(
                so_far, prompt=so_far.prompt + prompt, generated=so_far.generated + generated
            )
    for model, key, count in _sent(usage, look.usage):
        so_far = found.get(model, Shared(start=last))
        found[model] = replace(so_far, sent={**so_far.sent, key: so_far.sent.get(key, 0.0) + count})
    ended, left = list[Piece](), dict[str, Shared]()
    for model, one in found.items():
        if now < (one.start // SLOT_S + 1) * SLOT_S:
            left[model] = one
        elif one.sent and (one.prompt or one.generated):
            ended += _by_key(model, one, now)
        elif now - one.start < CARRIED_S:
            left[model] = one
    return Whose(ended=tuple(ended), left=left)


def _sent(before: Usage | None, now: Usage | None) -> Iterable[tuple[str, str, float]]:
    """(model, key, bytes) since the look before; nothing at the first one."""
    if before is None or now is None:
        return
    restarted = before.born != now.born
    for model, keys in now.sent.items():
        for key, count in keys.items():
            then = before.sent.get(model, {}).get(key, 0.0)
            if (grew := more(then, count, restarted=restarted)) > 0:
                yield model, key, grew


def _by_key(model: str, one: Shared, now: int) -> Iterator[Piece]:
    whole = sum(one.sent.values())
    for unit, amount in ((PROMPT, one.prompt), (GENERATED, one.generated)):
        terms = Terms(unit=unit, rate=NONE, basis="estimated", source=BYTES)
        for key, count in sorted(one.sent.items()):
            if amount > 0:
                subject = Subject(kind="tokens", part=unit, model=model, key=key)
                yield Piece(
                    subject=subject, start=one.start, end=now, amount=amount * count / whole, terms=terms
                )
