"""Pieces of time that become rows: they grow as long as nothing but the time changes, and end at the clock's slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hostler.money.rows import Basis, Kind, Rate, Row, cost_of

SLOT_S = 300  # aligned to the hour
LONG_SLOT_S = 3600  # of what changes seldom


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a row is about. `part`: which of several of one kind (what is measured at the cards, what is estimated)."""

    kind: Kind
    part: str = ""
    host: str = ""
    pool: str = ""
    model: str = ""
    key: str = ""

    @property
    def name(self) -> str:
        return "/".join((self.kind, self.part, self.host, self.model, self.key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """All that must be alike for two pieces to be one."""

    unit: str
    rate: Rate
    basis: Basis
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """From `start` to `end`, in whole seconds since 1970."""

    subject: Subject
    start: int
    end: int
    amount: float | None
    terms: Terms

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def slot(self) -> int:
        """Seconds of its slots."""
        return LONG_SLOT_S if self.subject.kind in ("disk", "address") or self.amount is None else SLOT_S


def row_of(piece: Piece, lap: int = 0) -> Row:
    """Pieces of one name never overlap, so that name and start are the row's own. `lap`: how often the clock was put
    back, after which times come again."""
    subject, terms = piece.subject, piece.terms
    return Row(
        id=f"{subject.name}@{piece.start}{f'~{lap}' if lap else ''}",
        kind=subject.kind,
        host=subject.host,
        pool=subject.pool,
        model=subject.model,
        key=subject.key,
        start=piece.start,
        end=piece.end,
        amount=piece.amount,
        unit=terms.unit,
        price=terms.rate.amount,
        currency=terms.rate.currency,
        cost=cost_of(piece.amount, terms.rate.amount),
        basis="unknown" if piece.amount is None else terms.basis,
        source=terms.source,
    )


def by_slots(piece: Piece) -> Iterator[Piece]:
    """Cut at the slots' ends; what it amounts to is even over its time."""
    return _cut(piece, lambda at: (at // piece.slot + 1) * piece.slot)


def by_months(piece: Piece) -> Iterator[Piece]:
    """Cut where a month (UTC) ends: a file of the ledger holds what begins in its month."""
    return _cut(piece, _next_month)


def _cut(piece: Piece, border: Callable[[int], int]) -> Iterator[Piece]:
    start = piece.start
    while start < piece.end:
        end = min(piece.end, border(start))
        share = (end - start) / (piece.end - piece.start)
        amount = None if piece.amount is None else piece.amount * share
        yield replace(piece, start=start, end=end, amount=amount)
        start = end


def _next_month(at: int) -> int:
    day = datetime.fromtimestamp(at, UTC)
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())


def joined(first: Piece, then: Piece) -> Piece | None:
    """Both as one; None where they are not alike, leave time between them, or lie in two slots."""
    alike = first.subject == then.subject and first.terms == then.terms and first.slot == then.slot
    if not alike or first.end != then.start or first.start // first.slot != then.start // then.slot:
        return None
    amount = None if first.amount is None or then.amount is None else first.amount + then.amount
    return replace(first, end=then.end, amount=amount)


def is_over(piece: Piece, now: int) -> bool:
    """Whether its slot is."""
    return now >= (piece.start // piece.slot + 1) * piece.slot
