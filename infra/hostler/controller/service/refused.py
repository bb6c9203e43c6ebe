"""Keys that are refused, over a restart: damaged or lost, nobody is, until the ledger was read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hostler import operator
from hostler.codec import decode, encode
from hostler.money.refusing import Refused

NAME = "refused.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    keys: tuple[Refused, ...] = ()


def load(folder: Path) -> tuple[Refused, ...]:
    try:
        return decode(_Kept, operator.read_json(folder / NAME), NAME).keys
    except ValueError:
        return ()


def save(folder: Path, found: Iterable[Refused]) -> None:
    operator.write_json(folder / NAME, encode(_Kept(keys=tuple(found))))
