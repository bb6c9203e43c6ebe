"""What the ledger's rows add up to: today, the month, its end, what was saved, a million tokens; by model, key, host, day.

A model has the share of its hosts that its replicas have; what no replica stands on is nobody's (empty name). A key has
the share of a model's money that it has of the model's tokens, idle time included.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from hostler.codec import encode
from hostler.money import energy, months, sums
from hostler.money.energy import Energy
from hostler.money.rows import COSTS, PROMPT, Row
from hostler.money.sums import Figure, Rating, Spent

type By = Literal["model", "key", "host", "day"]

BYS: tuple[By, ...] = ("model", "key", "host", "day")
LATEST_S = months.BEFORE_S  # what ended no longer ago than that still runs
MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`per_million`: of all its tokens together; None: it has none, or nothing of what they cost is known."""

    name: str
    cost: Figure
    prompt: float
    generated: float
    per_million: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Of a month on the clock of `zone`. `since`, `until`: first and last moment that the ledger has of it, None: it has
    nothing. `today` None: the month is past. `hourly` None: what runs now is not known; `projection` with it. `saved` by
    being put away when idle, `shadow` what would have been. `energy`: how its kWh are known."""

    month: str
    zone: str
    now: float
    currency: str
    since: float | None
    until: float | None
    today: Figure | None
    so_far: Figure
    hourly: Figure | None
    projection: Figure | None
    saved: Figure
    shadow: Figure
    by: Mapping[By, tuple[Line, ...]]
    energy: tuple[Energy, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        def figure(one: Figure | None) -> dict[str, Any] | None:
            return one.to_json() if one else None

        return {
            "month": self.month,
            "zone": self.zone,
            "currency": self.currency,
            "since": self.since,
            "until": self.until,
            "today": figure(self.today),
            "so_far": figure(self.so_far),
            "hourly": figure(self.hourly),
            "projection": figure(self.projection),
            "saved": figure(self.saved),
            "shadow": figure(self.shadow),
            "by": {by: [_line(one) for one in lines] for by, lines in self.by.items()},
            "energy": [encode(one) for one in self.energy],
            "notes": list(self.notes),
        }


def _line(one: Line) -> dict[str, Any]:
    return {
        "name": one.name,
        "cost": one.cost.to_json(),
        "prompt_tokens": one.prompt,
        "generated_tokens": one.generated,
        "per_million": one.per_million,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A row's share of one day."""

    day: str
    row: Row
    share: float


def report(
    rows: Iterable[Row],
    now: float,
    *,
    zone: tzinfo = UTC,
    currency: str = "",
    rating: Rating | None = None,
    month: str = "",
) -> Report:
    """`currency` of the sums, empty: the one that most rows are in. `rating`: what one unit of another is worth in it;
    what has no rate is told apart and never added. `month`: that of now where not given. Raises UsageError for no month."""
    every, this = tuple(rows), months.month_at(now, zone)
    month = months.checked(month) if month else this
    days = months.days(month, zone)
    parts = list(_parts(every, days))
    currency = currency or usual(every)
    worth = _own(currency, rating)
    books = _Books(parts=parts, currency=currency, rating=worth)
    so_far = books.sum(_costs(parts))
    hourly = hourly_of(every, now, currency, worth) if month == this else None
    today = datetime.fromtimestamp(now, zone).date().isoformat()
    left = max(0.0, days[-1][2] - now) / 3600
    return Report(
        month=month,
        zone=str(zone),
        now=now,
        currency=currency,
        since=min((max(one.row.start, days[0][1]) for one in parts), default=None),
        until=max((min(one.row.end, days[-1][2]) for one in parts), default=None),
        today=books.sum(one for one in _costs(parts) if one.day == today) if month == this else None,
        so_far=so_far,
        hourly=hourly,
        projection=_projection(so_far, hourly, left) if month >= this else so_far,
        saved=books.sum(one for one in parts if one.row.kind == "saved" and not one.row.shadow),
        shadow=books.sum(one for one in parts if one.row.kind == "saved" and one.row.shadow),
        by={by: books.lines(by) for by in BYS},
        energy=energy.by_how((one.row, one.share) for one in parts),
        notes=tuple(_notes(parts, days[0][1], so_far)),
    )


def hourly_of(rows: Iterable[Row], now: float, currency: str, rating: Rating) -> Figure | None:
    """What an hour costs as it runs now: of each host what its last hour cost. None: the ledger has nothing so late."""
    latest = dict[tuple[str, str, str, str], list[Row]]()
    for row in rows:
        if row.kind in COSTS and now - LATEST_S < row.end:
            latest.setdefault((row.kind, row.host, row.model, row.id.partition("@")[0]), []).append(row)
    if not latest:
        return None
    newest = max(row.end for found in latest.values() for row in found)
    parts = list[Spent]()
    for found in latest.values():
        end = max(row.end for row in found)
        if end >= newest - (3900 if found[0].kind in ("disk", "address") else 900):
            hour = [row for row in found if row.end > end - 3600]
            hours = sum(row.hours for row in hour)
            parts += [sums.spent(row, 1 / hours) for row in hour if hours]
    return sums.total(parts, currency, rating)


def _projection(so_far: Figure, hourly: Figure | None, hours: float) -> Figure | None:
    return None if hourly is None else sums.added((so_far, hourly.times(hours)), so_far.currency)


def _parts(rows: Iterable[Row], days: Sequence[tuple[str, float, float]]) -> Iterator[_Part]:
    """Rows cut where days end, evenly over their time."""
    starts = [start for _, start, _ in days]
    for row in rows:
        if row.end < days[0][1] or row.start >= days[-1][2]:
            continue
        first = max(0, bisect_right(starts, row.start) - 1)
        if row.start == row.end:
            yield _Part(day=days[first][0], row=row, share=1.0)
            continue
        for day, start, end in days[first:]:
            if row.end <= start:
                break
            share = (min(row.end, end) - max(row.start, start)) / (row.end - row.start)
            if share > 0:
                yield _Part(day=day, row=row, share=share)


def _costs(parts: Iterable[_Part]) -> Iterator[_Part]:
    return (one for one in parts if one.row.kind in COSTS)


def _own(currency: str, rating: Rating | None) -> Rating:
    return lambda name: 1.0 if name == currency else rating(name) if rating else None


def usual(rows: Iterable[Row]) -> str:
    """The currency of most of them."""
    found = dict[str, int]()
    for row in rows:
        if row.currency:
            found[row.currency] = found.get(row.currency, 0) + 1
    return max(sorted(found), key=lambda name: found[name], default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Books:
    parts: Sequence[_Part]
    currency: str
    rating: Rating

    def sum(self, parts: Iterable[_Part]) -> Figure:
        return sums.total((sums.spent(one.row, one.share) for one in parts), self.currency, self.rating)

    def lines(self, by: By) -> tuple[Line, ...]:
        """By name; the line without a name last."""
        return self._keys() if by == "key" else self._lines(by)

    def _lines(self, by: By) -> tuple[Line, ...]:
        groups = dict[str, list[_Part]]()
        for one in self.parts:
            if one.row.kind in COSTS or (one.row.kind == "tokens" and not one.row.key):
                name = {"model": one.row.model, "host": one.row.host, "day": one.day}[by]
                groups.setdefault(name, []).append(one)
        return tuple(
            line_of(name, self.sum(_costs(found)), *_tokens(found)) for name, found in _in_order(groups)
        )

    def _keys(self) -> tuple[Line, ...]:
        """Each model's money by its keys' tokens; what no key is known for is nobody's."""
        shares = dict[str, dict[str, tuple[float, float]]]()
        for one in self.parts:
            if one.row.kind == "tokens" and one.row.key:
                prompt, generated = _tokens([one])
                before = shares.setdefault(one.row.model, {}).get(one.row.key, (0.0, 0.0))
                shares[one.row.model][one.row.key] = (before[0] + prompt, before[1] + generated)
        found = dict[str, list[tuple[Figure, float, float]]]()
        for line in self._lines("model"):
            keys = shares.get(line.name, {})
            counted = sum(sum(pair) for pair in keys.values())
            tokens = max(line.prompt + line.generated, counted)
            for key, (prompt, generated) in keys.items():
                part = line.cost.times((prompt + generated) / tokens if tokens else 0.0)
                found.setdefault(key, []).append((part, prompt, generated))
            rest = 1 - (counted / tokens if tokens else 0.0)
            if rest > 1e-9:
                tokens_left = [
                    max(0.0, whole - sum(pair[i] for pair in keys.values()))
                    for i, whole in enumerate((line.prompt, line.generated))
                ]
                found.setdefault("", []).append((line.cost.times(rest), tokens_left[0], tokens_left[1]))
        return tuple(
            line_of(
                name,
                sums.added((figure for figure, _, _ in pieces), self.currency),
                sum(prompt for _, prompt, _ in pieces),
                sum(generated for _, _, generated in pieces),
            )
            for name, pieces in _in_order(found)
        )


def _in_order[T](groups: Mapping[str, T]) -> list[tuple[str, T]]:
    return sorted(groups.items(), key=lambda item: (item[0] == "", item[0]))


def _tokens(parts: Iterable[_Part]) -> tuple[float, float]:
    prompt = generated = 0.0
    for one in parts:
        if one.row.kind == "tokens":
            value = (one.row.amount or 0.0) * one.share
            if one.row.unit == PROMPT:
                prompt += value
            else:
                generated += value
    return prompt, generated


def line_of(name: str, cost: Figure, prompt: float, generated: float) -> Line:
    tokens = prompt + generated
    known = tokens > 0 and (cost.amount > 0 or cost.whole)
    each = cost.amount / tokens * MILLION if known else None
    return Line(name=name, cost=cost, prompt=prompt, generated=generated, per_million=each)


def _notes(parts: Sequence[_Part], start: float, so_far: Figure) -> Iterator[str]:
    """What a reader must know to read the figures right."""
    first = min((one.row.start for one in parts), default=None)
    if first is not None and first > start + 3600:
        when = datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%d %H:%M UTC")
        yield f"the ledger begins {when}: what was spent before is not in it"
    for what, value in so_far.unknown.items():
        yield f"not in the sums, at no known price: {what.partition(' ')[0]}, {_how_much(what, value)}"
    for name, value in so_far.other.items():
        yield (
            f"not in the sums: {value:.2f} {name}, for which there is no rate (money.rates.{name} in the stack file)"
        )
    yield from sorted({f"{one.row.kind}: {one.row.source}" for one in parts if one.row.basis == "unknown"})


def _how_much(what: str, value: float) -> str:
    unit = what.rpartition(" ")[2]
    seen = "; how much is not known" if "unseen" in what else ""
    return f"{value:.1f} {unit}{seen}"
