"""What the service remembers from one run to the next. Lost, it begins anew: nothing that is done depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.codec import decode, encode

NAME = "service.json"
MOST = 10  # errors that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`told`: alarms that are on, by name, with their text; `took`: model -> seconds of its last wake; `errors`: the newest
    first, {"at", "text", "next"}."""

    told: Mapping[str, str] = field(default_factory=dict[str, str])
    took: Mapping[str, float] = field(default_factory=dict[str, float])
    errors: tuple[Mapping[str, Any], ...] = ()


def load(folder: Path) -> Kept:
    try:
        return decode(Kept, operator.read_json(folder / NAME), NAME)
    except ValueError:
        return Kept()


def save(folder: Path, kept: Kept) -> None:
    operator.write_json(folder / NAME, encode(kept))


def with_error(kept: Kept, at: float, text: str, step: str) -> Kept:
    """`step`: the command that mends it, or shows more."""
    return replace(kept, errors=({"at": at, "text": text, "next": step}, *kept.errors)[:MOST])
