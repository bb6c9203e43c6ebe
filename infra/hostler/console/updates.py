"""The controller's last word in `hostler status`: what it did, what it waits for, and when it was heard of last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hostler.configure import observed
from hostler.configure.controller import STATUS
from hostler.console.out import Out, age
from hostler.hosts.types import Seen
from hostler.stackfile import updating
from hostler.stackfile.outside import Updates

SILENT_S = 3600.0  # it speaks each quarter of an hour
WORKING_S = 6 * 3600.0  # a roll, with what it fetches
SILENT = "`hostler logs controller` shows why"


def row(updates: Updates | None, seen: Seen | None, now: float) -> dict[str, Any] | None:
    """For `--json`; None: nothing is taken without anyone. `state` silent: it was not heard of for an hour, or never."""
    if not updating.unattended(updates):
        return None
    found = _said(seen)
    if found is None:
        return {
            "state": "unknown" if seen is None or not seen.reached else "silent",
            "text": "",
            "age_s": None,
        }
    late = now - float(found["at"])
    limit = WORKING_S if found["state"] == "working" else SILENT_S
    state = "silent" if late > limit else found["state"]
    return {**found, "state": state, "age_s": round(max(0.0, late), 1)}


def _said(seen: Seen | None) -> dict[str, Any] | None:
    there: Mapping[str, Any] = (seen and observed.value(seen, f"path:{STATUS}")) or {}
    try:
        found: Any = json.loads(str(there.get("text") or ""))
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"at", "state", "text"} <= set(found) else None  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def show(found: Mapping[str, Any] | None, out: Out) -> None:
    if found is not None:
        out.data("")
        out.data(f"updates: {sentence(found)}")


def sentence(found: Mapping[str, Any]) -> str:
    if found["state"] == "unknown":
        return "unknown: the gateway's host does not answer"
    if found["age_s"] is None:
        return f"no turn yet; {SILENT} if that stays"
    when = age(found["age_s"])
    if found["state"] == "silent":
        return f"nothing heard of the controller for {when} (it said: {found['text']}); {SILENT}"
    last: Mapping[str, Any] = found.get("last") or {}
    done = (
        f"; last: {last['model']}, {last['what']}: {last['ended']}"
        if last.get("ended") and last.get("model")
        else ""
    )
    return f"{found['state']}: {found['text']} ({when} ago){done}"
