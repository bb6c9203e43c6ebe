"""How the kWh of a time are known: at a meter, at the cards, by an estimate, or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hostler.money.rows import KWH, Basis, Row

ORDER: tuple[Basis, ...] = ("measured", "estimated", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """`how`: in the ledger's own words; `kwh` None: how many is not known, for `hours` of hosts, which are None else."""

    how: str
    basis: Basis
    kwh: float | None
    hours: float | None


def by_how(shares: Iterable[tuple[Row, float]]) -> tuple[Energy, ...]:
    """Of rows, each with its share: what is measured first, then the most."""
    groups = dict[tuple[Basis, str], list[tuple[Row, float]]]()
    for row, share in shares:
        if row.kind == "energy" and row.unit == KWH:
            groups.setdefault((row.basis, row.source), []).append((row, share))
    found = (
        Energy(
            how=how,
            basis=basis,
            kwh=None if basis == "unknown" else math.fsum((row.amount or 0.0) * share for row, share in rows),
            hours=math.fsum(row.hours * share for row, share in rows) if basis == "unknown" else None,
        )
        for (basis, how), rows in groups.items()
    )
    return tuple(
        sorted(found, key=lambda one: (ORDER.index(one.basis), -(one.kwh or one.hours or 0.0), one.how))
    )
