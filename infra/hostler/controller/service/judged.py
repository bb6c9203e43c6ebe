"""What budgets said last: it holds until the ledger was read, as nobody knows before what was spent. Lost, nothing was said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.codec import decode, encode

NAME = "budget.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Of the stack, where `key` is empty, or of a key. `refused_until`: seconds since 1970; None: it is not refused."""

    key: str
    state: str
    text: str
    refused_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """In `month`, by these `limits`."""

    month: str
    limits: str
    budgets: tuple[Said, ...] = ()

    @property
    def states(self) -> dict[str, str]:
        return {one.key: one.state for one in self.budgets}

    def having(self, rows: Iterable[Mapping[str, Any]]) -> Judged:
        """`rows`: `budgets` of a report (money/shown.py)."""
        return replace(
            self,
            budgets=tuple(
                Said(
                    key=row["key"],
                    state=row["state"],
                    text=row["text"],
                    refused_until=row["refused_until"],
                )
                for row in rows
            ),
        )

    def alarming(self) -> dict[str, Any]:
        """As alarms read a report."""
        return {"budgets": encode(self.budgets)}


def load(folder: Path, none: Judged) -> Judged:
    """`none`: this month, and the limits that hold now; by others nothing was said."""
    try:
        kept = decode(Judged, operator.read_json(folder / NAME), NAME)
    except ValueError:
        return none
    return kept if replace(kept, budgets=()) == none else none


def save(folder: Path, before: Judged, now: Judged) -> None:
    """Where more than words changed."""
    if _bare(before) != _bare(now):
        operator.write_json(folder / NAME, encode(now))


def _bare(one: Judged) -> Judged:
    return replace(one, budgets=tuple(replace(said, text="") for said in one.budgets))
