"""From looks to rows: `tick(state, look)` at each look, the same state and look give the same rows.

Who calls keeps the state (JSON by `codec.encode`) before it appends `state.unwritten` to the ledger, and says what was
appended by `written`. Killed at any moment it loses no row and writes none twice: rows that were appended already have
their id, and time since the last state that was kept is counted at the next look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hostler.money import pieces, power, tokens
from hostler.money.looks import Away, Count, Look, Machine, Usage
from hostler.money.pieces import Piece, Subject, Terms
from hostler.money.rows import HOURS, KWH, SHADOW, Rate, Row
from hostler.money.tokens import Shared

GAP_S = 120  # two looks further apart have a gap between them
JUMP_S = 60  # the clock was put right by more than that
NOT_SEEN = "nobody looked meanwhile, and it was started anew: how long it ran is not known"
GAP = "nobody looked meanwhile; it ran all along: "
FORGET_S = 40 * 86400  # of a host that nobody names any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A machine as it was when it was known last."""

    at: int
    machine: Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    at: int | None = None  # of the last look; None: there was none
    steady: float | None = None
    boot: str = ""
    lap: int = 0  # how often the clock was put back
    met: Mapping[str, Met] = field(default_factory=dict[str, Met])
    open: Mapping[str, Piece] = field(default_factory=dict[str, Piece])
    counts: Mapping[str, Count] = field(default_factory=dict[str, Count])
    usage: Usage | None = None
    shared: Mapping[str, Shared] = field(default_factory=dict[str, Shared])  # by model
    away: tuple[Away, ...] = ()
    unwritten: tuple[Row, ...] = ()


def tick(state: State, look: Look) -> State:
    """`unwritten` has the rows of slots that are over. A look that is not later than the last one changes nothing."""
    now = round(look.at)
    state = _put_right(state, look, now)
    if state.at is not None and now <= state.at:
        return state
    grown = [*_machines(state, look, now), *_away(state, look, now), *_tokens(state, look, now)]
    kept, ended = _grow(state.open, grown, now)
    whose = tokens.shared(state.shared, state.counts, look, state.usage, state.at, now)
    closed = [*ended, *(piece for one in whose.ended for piece in pieces.by_months(one))]
    return State(
        at=now,
        steady=look.steady,
        boot=look.boot,
        lap=state.lap,
        met=_met(state.met, look.machines, now),
        open=kept,
        counts={**state.counts, **{one.replica: one for one in tokens.known(state.counts, look.counts)}},
        usage=look.usage or state.usage,
        shared=whose.left,
        away=look.away,
        unwritten=(*state.unwritten, *_rows(state, closed)),
    )


def _rows(state: State, found: Iterable[Piece]) -> Iterator[Row]:
    return (pieces.row_of(piece, state.lap) for piece in found)


def written(state: State, ids: Collection[str]) -> State:
    """Once the ledger has them."""
    return replace(state, unwritten=tuple(row for row in state.unwritten if row.id not in ids))


def under_way(state: State) -> tuple[Row, ...]:
    """What is not in the ledger yet: for the figures of now, never to be written. Hosts that could not be asked for a
    while have a row of what is not known."""
    now = state.at or 0
    lost = (
        piece
        for one in state.met.values()
        if now - one.at > GAP_S and one.machine.state == "running"
        for piece in _costs(one.machine, one.machine, _Span(start=one.at, end=now, did="unknown", gap=True))
    )
    return (*state.unwritten, *_rows(state, [*state.open.values(), *lost]))


def hour_of(machine: Machine) -> tuple[Row, ...]:
    """What an hour of it costs as it is now, its power estimated by one look; nothing of one that is gone or unknown. Never
    to be written."""
    if machine.state in ("gone", "unknown"):
        return ()
    span = _Span(start=0, end=3600, did=machine.state, gap=False, once=True)
    return tuple(map(pieces.row_of, _costs(machine, machine, span)))


def resumed(rows: Iterable[Row]) -> State:
    """Where the state was lost: nothing before the ledger's end is counted again."""
    ends = [row.end for row in rows]
    return State(at=round(max(ends))) if ends else State()


def _put_right(state: State, look: Look, now: int) -> State:
    """A clock that was put right moves what was seen before it, so that as much time lies between as really passed."""
    if state.at is None or state.steady is None or look.steady is None or look.boot != state.boot:
        return state
    moved = round((now - state.at) - (look.steady - state.steady))
    if abs(moved) <= JUMP_S:
        return state
    return replace(
        state,
        lap=state.lap + (moved < 0),
        at=state.at + moved,
        met={name: replace(one, at=one.at + moved) for name, one in state.met.items()},
        shared={model: replace(one, start=one.start + moved) for model, one in state.shared.items()},
        open={},
        unwritten=(*state.unwritten, *_rows(state, state.open.values())),
    )


def _met(before: Mapping[str, Met], machines: Sequence[Machine], now: int) -> dict[str, Met]:
    known = {one.name: Met(at=now, machine=one) for one in machines if one.state not in ("gone", "unknown")}
    gone = {one.name for one in machines if one.state == "gone"}
    kept = {name: one for name, one in before.items() if name not in gone and now - one.at < FORGET_S}
    return {**kept, **known}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """What a machine did from `start` to `end`. `gap`: nobody looked meanwhile; `once`: it was looked at only once. running,
    stopped, unknown."""

    start: int
    end: int
    did: str
    gap: bool
    once: bool = False


def _machines(state: State, look: Look, now: int) -> Iterator[Piece]:
    for machine in look.machines:
        if machine.state == "unknown":
            continue
        before = state.met.get(machine.name)
        for span in _spans(before, machine, state, now):
            # gone: as it was; else as it is now, that what was changed holds from the look before on
            as_now = machine if machine.state != "gone" or before is None else before.machine
            yield from _costs(before.machine if before else as_now, as_now, span)


def _spans(before: Met | None, machine: Machine, state: State, now: int) -> Iterator[_Span]:
    if before is None:
        yield from _first(machine, state, now)
        return
    if now <= before.at:
        return
    was, gap = before.machine, now - before.at > GAP_S
    began, ended = _within(before.at, machine.since, now), _within(before.at, machine.until, now)
    if machine.state == was.state and (not gap or _along(before, machine)):
        yield _Span(start=before.at, end=now, did=was.state, gap=gap)
    elif machine.state != "running" and ended is not None:
        yield _Span(start=before.at, end=ended, did=was.state, gap=ended - before.at > GAP_S)
        yield _Span(start=ended, end=now, did=machine.state, gap=gap)
    elif machine.state == "running" and began is not None:
        meanwhile = was.state if was.state == "stopped" or not gap else "unknown"
        yield _Span(start=before.at, end=began, did=meanwhile, gap=gap)
        yield _Span(start=began, end=now, did="running", gap=gap)
    else:
        yield _Span(start=before.at, end=now, did="unknown" if gap else was.state, gap=gap)


def _first(machine: Machine, state: State, now: int) -> Iterator[_Span]:
    """One that nobody saw before counts from its start on, and not from before the last look: who had it then is not
    known. Where all that was seen was lost, what runs since before that ran all along."""
    if state.at is None or machine.state != "running" or machine.since is None:
        return
    if not state.met or machine.since >= state.at:
        start = max(state.at, round(machine.since))
        yield _Span(start=start, end=now, did="running", gap=now - start > GAP_S)


def _along(before: Met, machine: Machine) -> bool:
    """Whether it went on all the time since it was seen last."""
    if machine.state == "stopped":
        return machine.until is None or machine.until <= before.at
    same = before.machine.born == machine.born != ""
    return same or (machine.since is not None and machine.since <= before.at)


def _within(start: int, at: float | None, end: int) -> int | None:
    return round(at) if at is not None and start < at < end else None


def _costs(before: Machine, machine: Machine, span: _Span) -> Iterator[Piece]:
    if span.start >= span.end or span.did == "gone":
        return
    if span.did == "unknown":
        kind, unit = ("energy", KWH) if machine.owned else ("host", HOURS)
        rate = machine.kwh if machine.owned else machine.price
        subject = Subject(kind=kind, part="gap", host=machine.name, pool=machine.pool)
        terms = Terms(unit=unit, rate=rate, basis="unknown", source=NOT_SEEN)
        yield Piece(subject=subject, start=span.start, end=span.end, amount=None, terms=terms)
    elif machine.owned:
        if span.did == "running":
            yield from _energy(before, machine, span)
    else:
        yield from _rented(machine, span)


def _rented(machine: Machine, span: _Span) -> Iterator[Piece]:
    hours = (span.end - span.start) / 3600
    if span.did == "running":
        market = f"{machine.market}; " if machine.market else ""
        yield from _each(machine, span, "host", "", hours, machine.price, market)
        if machine.address:
            yield from _each(machine, span, "address", "", hours, machine.address)
    if machine.disk:
        yield from _each(machine, span, "disk", "", hours, machine.disk)


def _each(
    machine: Machine, span: _Span, kind: pieces.Kind, part: str, hours: float, rate: Rate, words: str = ""
) -> Iterator[Piece]:
    gap = GAP if span.gap and span.did == "running" else ""
    basis = "estimated" if span.gap else "measured"
    terms = Terms(unit=HOURS, rate=rate, basis=basis, source=f"{gap}{words}{rate.source}")
    yield from _by_model(machine, span, kind, part, hours, terms)


def _energy(before: Machine, machine: Machine, span: _Span) -> Iterator[Piece]:
    guess = power.GAP if span.gap else power.HOUR if span.once else ""
    for one in power.drawn(before, machine, guess=guess):
        kwh = None if one.watts is None else one.watts * (span.end - span.start) / 3.6e6
        terms = Terms(unit=KWH, rate=machine.kwh, basis=one.basis, source=_priced(one.source, machine.kwh))
        yield from _by_model(machine, span, "energy", one.part, kwh, terms)


def _priced(source: str, rate: Rate) -> str:
    return source if rate.amount is not None else f"{source}; {rate.source}"


def _by_model(
    machine: Machine, span: _Span, kind: pieces.Kind, part: str, amount: float | None, terms: Terms
) -> Iterator[Piece]:
    """Shared out among the models that it serves; what no model has is the host's alone."""
    shares = {model: share for model, share in machine.models.items() if share > 0}
    rest = 1 - sum(shares.values())
    if amount is None or not shares:
        shares, rest = {}, 1.0
    if rest > 1e-9:
        shares = {**shares, "": rest}
    for model, share in sorted(shares.items()):
        part_of = f"{part} gap" if span.gap else part
        subject = Subject(kind=kind, part=part_of, host=machine.name, pool=machine.pool, model=model)
        value = None if amount is None else amount * share
        yield Piece(subject=subject, start=span.start, end=span.end, amount=value, terms=terms)


def _away(state: State, look: Look, now: int) -> Iterator[Piece]:
    """From the second look on at which it is away. A shadow counts over no gap: nobody knows that it stayed idle."""
    if state.at is None:
        return
    before = {(one.subject, one.do, one.shadow) for one in state.away}
    gap = now - state.at > GAP_S
    for one in look.away:
        if (one.subject, one.do, one.shadow) not in before or (gap and one.shadow):
            continue
        words = SHADOW if one.shadow else ""
        part = f"{words}{one.do} {one.subject}{' gap' if gap else ''}"
        subject = Subject(kind="saved", part=part, host=one.host, pool=one.pool, model=one.model)
        source = f"{words}{one.do}, idle; {one.rate.source}"
        terms = Terms(unit=one.unit, rate=one.rate, basis="estimated", source=source)
        amount = one.amount * (now - state.at) / 3600
        yield Piece(subject=subject, start=state.at, end=now, amount=amount, terms=terms)


def _tokens(state: State, look: Look, now: int) -> Iterator[Piece]:
    return tokens.pieces_of(state.counts, look.counts, state.at, now)


def _grow(
    before: Mapping[str, Piece], grown: Iterable[Piece], now: int
) -> tuple[dict[str, Piece], list[Piece]]:
    """(what goes on, what is over). A gap is one row; what does not grow any more is over."""
    kept, ended, named = dict(before), list[Piece](), set[str]()
    for piece in grown:
        if piece.subject.part.endswith("gap"):
            ended += pieces.by_months(piece)
            continue
        named.add(piece.name)
        for one in pieces.by_slots(piece):
            last = kept.get(one.name)
            longer = pieces.joined(last, one) if last else None
            if last and longer is None:
                ended.append(last)
            kept[one.name] = longer or one
    for name, piece in list(kept.items()):
        if pieces.is_over(piece, now) or name not in named:
            ended.append(kept.pop(name))
    return kept, ended
