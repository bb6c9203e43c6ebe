"""What an upgrade of hosts would do, as rows: the table people read before they say yes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hostler.console.out import Out

HEADS = ("HOST", "KIND", "WHAT", "CHANGE", "REPLICAS")
SAID = {
    "none": "serve on",
    "drain": "drained",
    "stop": "drained; containers may stop",
    "reboot": "drained; reboot",
}
NEW = "new"


def show(rows: Sequence[Mapping[str, Any]], out: Out, spelled: Mapping[float, str]) -> None:
    """The table on standard output; order, downtime and what is left out on standard error. `spelled`: times in words."""
    table = [line for row in rows for line in lines(row)]
    if table:
        out.table(HEADS, table)
    for row in rows:
        if row["kept"]:
            why = "held, or not to be had without removing something"
            out.say(f"note: {row['host']}: {', '.join(row['kept'])} stays as it is: {why}")
    busy = [row["host"] for row in rows if row["effect"] != "none"]
    if len(busy) > 1:
        out.say(f"one after the other: {', then '.join(busy)}")
    for row in rows:
        for gap in row["away"]:
            out.say(away(gap, spelled[gap["seconds"]]))


def lines(row: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for one in row["packages"]:
        change = f"{one['now'] or NEW} -> {one['then']}" if one["now"] else f"{NEW}: {one['then']}"
        yield (
            row["host"],
            one["kind"],
            one["name"],
            change,
            SAID[one["effect"]] if one["taken"] else "not taken",
        )
    for why in row["reboot_due"]:
        yield (
            row["host"],
            "reboot",
            why,
            "is due",
            SAID["reboot"] if row["effect"] == "reboot" else "not taken",
        )
    if row["effect"] == "reboot" and not row["reboot_due"] and not _brings_one(row):
        yield row["host"], "reboot", "asked for", "", SAID["reboot"]


def _brings_one(row: Mapping[str, Any]) -> bool:
    return any(one["taken"] and one["effect"] == "reboot" for one in row["packages"])


def away(gap: Mapping[str, Any], time: str) -> str:
    if gap["waits"]:
        return f"held: {gap['model']} waits about {time} (new requests wait at the gateway, and are answered after)"
    return f"downtime: {gap['model']} cannot answer for about {time}: {gap['why']}"
