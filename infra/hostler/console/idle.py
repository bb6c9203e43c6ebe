"""`hostler idle` as tables: what is idle, by what, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostler.console.out import Out, age

HEADS = ("WHAT", "HOST", "STATE", "FOR", "WILL", "IN", "SAVES")


def show(rows: Sequence[Mapping[str, Any]], out: Out) -> None:
    out.table(HEADS, map(_row, rows))
    for row in rows:
        if row["evidence"]:
            out.say(f"{row['name']}: {row['evidence']}")
        if row["stays"]:
            out.say(f"warning: {row['name']} should be gone and stays: {row['stays']}")


def sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """In one line, for `status`; empty: nothing is idle that something happens to."""
    acting = [row for row in rows if row["in_s"] is not None and not row["shadow"]]
    return "; ".join(f"{row['name']} {row['will'].partition(';')[0]} in {age(row['in_s'])}" for row in acting)


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    name = f"host {row['name']}" if row["kind"] == "host" else row["name"]
    return (
        name,
        row["host"] if row["kind"] == "replica" else "",
        row["state"],
        "-" if row["since_s"] is None else age(row["since_s"]),
        row["will"],
        "-" if row["in_s"] is None else age(row["in_s"]),
        row["saves"] or "-",
    )
