"""What `hostler doctor` says: good or bad, where, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    bad: bool
    where: str
    what: str
    next_step: str = ""

    def row(self) -> tuple[str, str, str, str]:
        return ("BAD" if self.bad else "good", self.where, self.what, self.next_step)

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def good(where: str, what: str) -> Finding:
    return Finding(bad=False, where=where, what=what)


def bad(where: str, what: str, next_step: str) -> Finding:
    return Finding(bad=True, where=where, what=what, next_step=next_step)
