"""The ledger's rows: what was used, from when to when, for how much, and how that is known.

A price that nobody knows is None and never 0. Currencies meet only at a rate that somebody gave.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

from hostler.codec import DecodeError, encode

type Kind = Literal["host", "disk", "address", "energy", "tokens", "saved"]
type Basis = Literal["measured", "estimated", "unknown"]

COSTS: tuple[Kind, ...] = ("host", "disk", "address", "energy")  # what money is spent on
SHADOW = "shadow: "  # begins the source of what would have been saved
HOURS, KWH, PROMPT, GENERATED = "h", "kWh", "prompt tokens", "generated tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The price of one hour, or of one kWh; `amount` None: nobody told. `source`: who told, or why nobody did."""

    amount: float | None
    currency: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Times in seconds since 1970. `amount` None: how much is not known, only from when to when. `cost` None: not known,
    because `amount` or `price` is not; of tokens always, which have none of their own. `key` empty: of all keys."""

    id: str  # makes it once: writing it twice changes nothing
    kind: Kind
    host: str = ""
    pool: str = ""
    model: str = ""
    key: str = ""
    start: float
    end: float
    amount: float | None
    unit: str
    price: float | None = None
    currency: str = ""
    cost: float | None = None
    basis: Basis
    source: str = ""

    @property
    def shadow(self) -> bool:
        return self.source.startswith(SHADOW)

    @property
    def hours(self) -> float:
        """From its start to its end."""
        return (self.end - self.start) / 3600


def cost_of(amount: float | None, price: float | None) -> float | None:
    return None if amount is None or price is None else amount * price


def to_json(row: Row) -> dict[str, Any]:
    return encode(row)


def from_json(data: Any, where: str = "row") -> Row:
    """Raises DecodeError for what is no row: unknown keys, a number that is none, an end before its start."""
    if not isinstance(data, dict):
        raise DecodeError(f"{where}: expected a row; got {type(data).__name__}")
    given = cast("dict[str, Any]", data)
    if wrong := [name for name, value in given.items() if not _fits(name, value)]:
        raise DecodeError(f"{where}: expected the fields of a row; got {', '.join(sorted(wrong))}")
    if missing := _NEEDED - given.keys():
        raise DecodeError(f"{where}: {', '.join(sorted(missing))} missing")
    if given["end"] < given["start"]:
        raise DecodeError(f"{where}: expected an end after its start; got {given['start']} to {given['end']}")
    return Row(**given)


_TEXTS = frozenset(("host", "pool", "model", "key", "unit", "currency", "source"))
_NUMBERS = frozenset(("start", "end", "amount", "price", "cost"))
_NEEDED = frozenset(("id", "kind", "start", "end", "amount", "unit", "basis"))
_WORDS: dict[str, frozenset[str]] = {
    "kind": frozenset((*COSTS, "tokens", "saved")),
    "basis": frozenset(("measured", "estimated", "unknown")),
}


def _fits(name: str, value: Any) -> bool:
    """By hand, since a month has many rows."""
    if name in _NUMBERS:
        if value is None:
            return name not in ("start", "end")
        return type(value) in (int, float) and math.isfinite(value)
    if name in _WORDS:
        return value in _WORDS[name]
    return isinstance(value, str) and (name in _TEXTS or (name == "id" and value != ""))


def read(lines: Iterable[str], where: str = "ledger") -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """(rows, problems) of lines of JSON: each id once, the first one; a line that is no row is a problem, and what it
    told is lost. Rows are by start."""
    found, problems = dict[str, Row](), list[str]()
    for number, line in enumerate(lines, 1):
        try:
            row = from_json(json.loads(line), f"{where}:{number}")
        except ValueError as error:
            problems.append(str(error) if isinstance(error, DecodeError) else f"{where}:{number}: no JSON")
        else:
            found.setdefault(row.id, row)
    return tuple(sorted(found.values(), key=lambda row: (row.start, row.id))), tuple(problems)
