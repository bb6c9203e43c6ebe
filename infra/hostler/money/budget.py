"""What a budget says to what was spent: ok, warn, hold (rent and wake nothing), stop (give back). What is not known is
never read as nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hostler.money.report import Report
from hostler.money.rows import COSTS, Rate
from hostler.money.sums import Figure, Rating

type Word = Literal["ok", "warn", "hold", "stop"]

WORDS: tuple[Word, ...] = ("ok", "warn", "hold", "stop")
BILLED = tuple(kind for kind in COSTS if kind != "energy")  # by the cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    amount: float
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:g} {self.currency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sums for a month: of everything (None: none), and by key. Percentages of them; 0: that does not happen. `acts`: from
    which on a key's requests are refused."""

    month: Sum | None = None
    warn: int = 80
    hold: int = 100
    stop: int = 0
    keys: Mapping[str, Sum] = field(default_factory=dict[str, Sum])
    acts: Mapping[str, Sum] = field(default_factory=dict[str, Sum])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`percent` of the limit, by what is known; None: it cannot be compared. `why`: whole sentences."""

    word: Word
    percent: float | None
    spent: Figure
    limit: Sum
    why: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "word": self.word,
            "percent": self.percent,
            "spent": self.spent.to_json(),
            "limit": {"amount": self.limit.amount, "currency": self.limit.currency},
            "why": list(self.why),
        }


def verdict(limits: Limits, report: Report, rating: Rating) -> Verdict | None:
    """Of the stack; None: no sum was given. `rating`: what one unit of a currency is worth in the report's."""
    if limits.month is None:
        return None
    found = _judged(limits, limits.month, report.so_far, rating, "the month")
    worth = rating(limits.month.currency)
    ahead = report.projection
    if worth and ahead and found.word == "ok" and limits.warn and ahead.amount > limits.month.amount * worth:
        words = f"as it runs now the month ends at {_money(ahead)}, more than its {limits.month}"
        return _with(found, "ok", words)
    return found


def of_keys(limits: Limits, report: Report, rating: Rating) -> dict[str, Verdict]:
    """By the key's name, also of those that spent nothing. A key's requests stop nothing: `hold` is the most."""
    lines = {line.name: line.cost for line in report.by["key"]}
    nothing = Figure(currency=report.currency)
    held = Limits(month=None, warn=limits.warn, hold=limits.hold, stop=0)
    return {
        name: _judged(held, limit, lines.get(name, nothing), rating, f"key {name}")
        for name, limit in limits.keys.items()
    }


def may_rent(verdicts: Mapping[str, Verdict], price: Rate, what: str) -> str:
    """Why nothing is rented, or woken in a rented pool; empty: it may be. `verdicts`: of the budgets that it would be on,
    by name; without any, each price is right."""
    for name, one in verdicts.items():
        if WORDS.index(one.word) >= WORDS.index("hold"):
            return f"{name}: {'; '.join(one.why)}"
    if verdicts and price.amount is None:
        return (
            f"what {what} costs is not known ({price.source}), and there is a budget: {', '.join(verdicts)}"
        )
    return ""


def _judged(limits: Limits, limit: Sum, spent: Figure, rating: Rating, what: str) -> Verdict:
    worth = rating(limit.currency)
    if worth is None:
        words = f"{what}: no rate between {limit.currency} of the budget and {spent.currency} of the sums"
        return Verdict(word="hold", percent=None, spent=spent, limit=limit, why=(words,))
    whole = limit.amount * worth
    percent = spent.amount / whole * 100 if whole else (100.0 if spent.amount == 0 else float("inf"))
    steps: tuple[tuple[Word, int], ...] = (
        ("warn", limits.warn),
        ("hold", limits.hold),
        ("stop", limits.stop),
    )
    reached: list[tuple[Word, int]] = [(word, step) for word, step in steps if step and percent >= step]
    word: Word = reached[-1][0] if reached else WORDS[0]
    why = tuple(f"{what} has spent {_money(spent)}, {percent:.0f}% of {limit}" for _ in reached[-1:])
    found = Verdict(word=word, percent=percent, spent=spent, limit=limit, why=why)
    if spent.whole:
        return found
    billed = [name for name in spent.unknown if name.partition(" ")[0] in BILLED]
    least: Word = "warn" if limits.warn and (billed or spent.other) else "ok"
    return _with(
        found, least, f"{what}: not all is known, it spent more than {_money(spent)}: {_dark(spent)}"
    )


def _with(found: Verdict, least: Word, words: str) -> Verdict:
    word = WORDS[max(WORDS.index(found.word), WORDS.index(least))]
    return Verdict(
        word=word, percent=found.percent, spent=found.spent, limit=found.limit, why=(*found.why, words)
    )


def _money(figure: Figure) -> str:
    return f"{figure.amount:.2f} {figure.currency}"


def _dark(figure: Figure) -> str:
    parts = [
        f"{value:.1f} {name.rpartition(' ')[2]} of {name.partition(' ')[0]} without a known price"
        for name, value in figure.unknown.items()
    ]
    parts += [f"{value:.2f} {name} without a rate" for name, value in figure.other.items()]
    return ", ".join(parts)
