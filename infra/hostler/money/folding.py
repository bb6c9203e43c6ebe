"""Fewer rows with the same sums, for who keeps a month in memory and adds it up each minute. Never to be written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from hostler.money import months
from hostler.money.rows import SHADOW, Row

type _Group = tuple[str, ...]


def folded(rows: Iterable[Row], now: float, zone: tzinfo = UTC) -> tuple[Row, ...]:
    """One row a day and subject; those that go over midnight, or tell what runs now, stay as they are. Folded rows may be
    folded again with newer ones. `report` says the same of them, but for its `since` and `until`, which are days'."""
    groups, kept = dict[_Group, list[Row]](), list[Row]()
    for row in rows:
        day = _day(row.start, zone)
        if row.end > now - months.BEFORE_S or _day(max(row.start, row.end - 1), zone) != day:
            kept.append(row)
        else:
            groups.setdefault(_group(row, day), []).append(row)
    return tuple(
        sorted((*kept, *(_one(found, group) for group, found in groups.items())), key=lambda row: row.start)
    )


def _day(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).date().isoformat()


def _group(row: Row, day: str) -> _Group:
    """All that a report tells apart."""
    told = row.basis == "unknown" or row.kind == "energy"
    source = row.source if told else (SHADOW if row.shadow else "")
    known = f"{row.amount is not None} {row.cost is not None}"
    return (
        row.kind, row.host, row.pool, row.model, row.key, row.unit, row.currency, row.basis, source, known, day,
    )  # fmt: skip


def _one(found: list[Row], group: _Group) -> Row:
    """Of what is not known, as many hours as all of them have."""
    first = min(found, key=lambda row: row.start)
    if len(found) == 1:
        return first
    end = max(row.end for row in found)
    if first.amount is None:
        end = first.start + math.fsum(row.end - row.start for row in found)
    return replace(
        first,
        id="#".join(group),
        end=end,
        amount=None if first.amount is None else math.fsum(row.amount or 0.0 for row in found),
        price=None,
        cost=None if first.cost is None else math.fsum(row.cost or 0.0 for row in found),
        source=group[8],
    )
