"""Sums of money that keep apart what was measured, estimated, is not known, and cannot be added for want of a rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hostler.money.rows import Basis, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`unknown`: what was used at no known price, by what and its unit (`host h`, `energy kWh`); where not even how much
    is known, the hours in which (`energy unseen h`). `other`: by currency, what has no rate. Neither is in the sum."""

    currency: str
    measured: float = 0.0
    estimated: float = 0.0
    unknown: Mapping[str, float] = field(default_factory=dict[str, float])
    other: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def amount(self) -> float:
        """What is known."""
        return self.measured + self.estimated

    @property
    def whole(self) -> bool:
        """Whether that is all."""
        return not self.unknown and not self.other

    def times(self, factor: float) -> Figure:
        """All of it as an estimate."""
        return Figure(
            currency=self.currency,
            estimated=self.amount * factor,
            unknown={name: one * factor for name, one in self.unknown.items()},
            other={name: one * factor for name, one in self.other.items()},
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "amount": self.amount,
            "currency": self.currency,
            "measured": self.measured,
            "estimated": self.estimated,
            "unknown": dict(self.unknown),
            "other": dict(self.other),
            "whole": self.whole,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A share of a row: money or, where `currency` is empty, what has no price."""

    value: float
    currency: str
    basis: Basis
    unknown: str = ""


type Rating = Callable[
    [str], float | None
]  # what one unit of a currency is worth in that of the sums; None: no rate


def spent(row: Row, share: float = 1.0) -> Spent:
    if row.cost is not None:
        return Spent(value=row.cost * share, currency=row.currency, basis=row.basis)
    if row.amount is not None:
        return Spent(value=row.amount * share, currency="", basis="unknown", unknown=f"{row.kind} {row.unit}")
    return Spent(value=row.hours * share, currency="", basis="unknown", unknown=f"{row.kind} unseen h")


def total(parts: Iterable[Spent], currency: str, rating: Rating) -> Figure:
    """Each currency and basis by itself first, so that the order of rows changes nothing that shows."""
    sums = dict[tuple[str, str, str], list[float]]()
    for one in parts:
        sums.setdefault((one.currency, one.unknown, one.basis), []).append(one.value)
    found: dict[str, float] = {"measured": 0.0, "estimated": 0.0}
    unknown, other = dict[str, float](), dict[str, float]()
    for (name, what, basis), values in sorted(sums.items()):
        value, rate = math.fsum(values), rating(name) if name else None
        if not name:
            unknown[what] = unknown.get(what, 0.0) + value
        elif rate is None:
            other[name] = other.get(name, 0.0) + value
        else:
            found["measured" if basis == "measured" else "estimated"] += value * rate
    return Figure(currency=currency, **found, unknown=unknown, other=other)


def added(figures: Iterable[Figure], currency: str) -> Figure:
    """Figures of one currency."""
    every = tuple(figures)
    return Figure(
        currency=currency,
        measured=math.fsum(one.measured for one in every),
        estimated=math.fsum(one.estimated for one in every),
        unknown=_merged(one.unknown for one in every),
        other=_merged(one.other for one in every),
    )


def _merged(maps: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found = dict[str, float]()
    for one in maps:
        for name, value in one.items():
            found[name] = found.get(name, 0.0) + value
    return found
