"""What the watch on a replica's host did: the last thing that happened to it, what is wrong now, and what to type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hostler.console.out import Out, age

HEADS = ("REPLICA", "HOST", "WHAT HAPPENED", "AGO", "NEXT")
STATES = {"loop": "restart loop", "out": "left out", "restarting": "stalled, restarting"}
AGAIN = 2  # ends since it was started that are worth a word


def state(value: Mapping[str, Any]) -> str:
    """In place of `not answering` or `draining`; empty: nothing of this kind."""
    found: Mapping[str, Any] = value.get("watch") or {}
    if named := STATES.get(str(found.get("state", ""))):
        return named
    starts = int(found.get("starts") or 0)
    return f"starting again ({starts} times)" if starts >= AGAIN else ""


def is_wrong(value: Mapping[str, Any]) -> bool:
    """Whether it needs a person."""
    found: Mapping[str, Any] = value.get("watch") or {}
    return str(found.get("state", "")) in ("loop", "out")


def event(value: Mapping[str, Any], now: float) -> dict[str, Any] | None:
    """{"what", "age_s", "wrong"}: the last thing that the watch did, or that goes on; None: nothing ever happened."""
    found: Mapping[str, Any] = value.get("watch") or {}
    last: Mapping[str, Any] = found.get("event") or {}
    if not found.get("state") and int(found.get("starts") or 0) >= AGAIN:
        what = f"{found['starts']} starts in {age(float(found['in_s']))}, last: {found['last']}"
        return {"what": what, "age_s": None, "wrong": True}
    if not last:
        return None
    return {
        "what": str(last["what"]),
        "age_s": round(max(0.0, now - float(last["at"])), 1),
        "wrong": is_wrong(value),
    }


def next_step(replica: str, *, wrong: bool) -> str:
    return f"hostler logs {replica}; then hostler up" if wrong else f"hostler logs {replica}"


def rows(replicas: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Of the replicas of a status report that something happened to."""
    for row in replicas:
        if found := row.get("event"):
            ago = "now" if found["age_s"] is None else age(found["age_s"])
            step = next_step(row["id"], wrong=found["wrong"])
            yield (row["id"], row["host"], found["what"], ago, step)


def show(replicas: Iterable[Mapping[str, Any]], out: Out) -> None:
    if found := list(rows(replicas)):
        out.data("")
        out.table(HEADS, found)
