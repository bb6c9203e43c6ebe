"""Keys that the gateway refuses, as their budget is used up: by what its controller wrote on its host."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hostler.configure import observed
from hostler.configure.controller import SPENT
from hostler.gateway import runtime
from hostler.hosts.types import Absent, Seen, Value
from hostler.money.refusing import Told


def keys(home: Seen | None, now: float) -> dict[str, Told] | None:
    """By name, those that are refused at `now` (seconds since 1970). None: the gateway's host does not say."""
    found = observed.of(home, f"path:{SPENT}") if home and home.reached else None
    if isinstance(found, Absent):
        return {}
    if not isinstance(found, Value):
        return None
    there: Mapping[str, Any] = found.value
    rows = runtime.spent(str(there.get("text") or ""))
    return {name: Told(until=until, text=text) for name, (until, text) in rows.items() if until > now}


def until(found: Mapping[str, Told], key: str, *, admin: bool) -> str:
    """`until 2026-12-01 00:00 UTC`, or `no`. `admin`: such a key asks no model."""
    if admin or key not in found:
        return "no"
    return datetime.fromtimestamp(found[key].until, UTC).strftime("until %Y-%m-%d %H:%M UTC")
