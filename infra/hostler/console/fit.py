"""`hostler fit` as data and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostler.console.out import Out, size
from hostler.models.fit import Fails, Fit, Subject, Works

MIB = 2**20
TELLING = 200  # tokens a second; beyond, the time to start kernels counts, and bandwidth says too much
HEADS = ("host", "cards", "engine", "weights", "context", "cache", "on each", "tokens/s")


def report(subject: Subject, fit: Fit, notes: Sequence[str]) -> dict[str, Any]:
    """JSON values: memory in MiB, contexts in tokens, null where the speed is not known."""
    return {
        "model": subject.name,
        "source": subject.source,
        "works": [works.row() for works in fit.works],
        "fails": [fails.row() for fails in fit.fails],
        "notes": list(notes),
    }


def show(subject: Subject, fit: Fit, notes: Sequence[str], out: Out) -> None:
    if fit.works:
        out.table(HEADS, [_works(works) for works in fit.works])
    else:
        out.data(f"nothing here holds {subject.name}")
    if fit.fails:
        out.data("")
        out.table(("does not work", "why"), [(_place(fails), fails.reason) for fails in fit.fails])
    for note in notes:
        out.say(note)


def tokens(count: int) -> str:
    """8k for 8192, as the stack file writes it."""
    return str(count) if count % 1024 else f"{count // 1024}k"


def speed(rate: float | None) -> str:
    """Tokens a second, as far as memory bandwidth tells."""
    if rate is None:
        return "unknown"
    return f"over {TELLING}" if round(rate) > TELLING else f"{rate:.0f}"


def _works(works: Works) -> tuple[str, ...]:
    return (
        works.where,
        _cards(works),
        works.engine,
        works.weights,
        tokens(works.context),
        works.cache,
        size(works.card_mib * MIB),
        speed(works.tokens_s),
    )


def _cards(row: Works | Fails) -> str:
    return f"{row.cards} x {row.kind}" if row.cards and "+" not in row.kind else row.kind


def _place(fails: Fails) -> str:
    return ": ".join(part for part in (fails.where, _cards(fails), fails.weights) if part)
