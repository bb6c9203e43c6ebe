"""What replicas were computed to take of their cards, and what the cards say: as rows, a table, and in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hostler.console.out import Out, age, size
from hostler.hosts.types import Seen
from hostler.models.seen_memory import CardMemory, compare, percent
from hostler.models.types import Replica

UNKNOWN = "unknown"
HEADS = ("REPLICA", "HOST", "CARD", "COMPUTED", "CARD SAYS", "DIFFERENCE", "AGE")


def rows(replicas: Iterable[Replica], seen: Mapping[str, Seen], now: float) -> list[dict[str, Any]]:
    """As JSON values. Memory in MiB, `part` of what was computed, ages in seconds; null is unknown."""
    return [
        {
            "replica": one.replica,
            "host": one.host,
            "card": one.card,
            "index": one.index,
            "computed_mib": one.computed_mib,
            "seen_mib": one.seen_mib,
            "part": None if one.part is None else round(one.part, 3),
            "unknown": one.unknown,
            "age_s": round(now - one.at, 1) if one.at else None,
        }
        for one in compare(replicas, seen)
    ]


def warnings(replicas: Iterable[Replica], seen: Mapping[str, Seen]) -> list[dict[str, Any]]:
    """As `hostler status` has them, for each card on which more is taken than was counted on."""
    return [
        {
            "host": one.host,
            "card": one.card,
            "level": "warning",
            "text": _warning(one).removeprefix(f"{one.host}: "),
        }
        for one in compare(replicas, seen)
        if one.too_much
    ]


def show(found: Sequence[Mapping[str, Any]], out: Out) -> None:
    out.table(HEADS, map(_cells, found))


def tell(replicas: Iterable[Replica], seen: Mapping[str, Seen], out: Out) -> None:
    """A line for each card of these replicas, and one more where it is too much."""
    for one in compare(replicas, seen):
        out.say(f"memory: {one}")
        if one.too_much:
            out.say(f"warning: {_warning(one)}")


def _warning(one: CardMemory) -> str:
    return (
        f"{one.host}: {one.replica} takes more of card {one.index} than was computed "
        f"({percent(one.part or 1)}): the next model may not find the room that placement counts on"
    )


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    known = row["seen_mib"] is not None
    return (
        row["replica"],
        row["host"],
        str(row["index"]) if row["index"] is not None else row["card"],
        size(row["computed_mib"] * 2**20),
        size(row["seen_mib"] * 2**20) if known else f"{UNKNOWN}: {row['unknown']}",
        percent(row["part"]) if known else "-",
        "-" if row["age_s"] is None else age(row["age_s"]),
    )
