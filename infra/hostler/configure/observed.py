"""Reading what a probe saw: by name, never silently fine."""

from __future__ import annotations

from typing import Any

from hostler.hosts.types import Absent, Observed, Seen, Unknown, Value

# Lists of `ours` are complete: what they do not name is not there.
COMPLETE = {"container": "containers", "applied": "applied", "made": "made", "model": "models"}
OWN_FOLDERS = ("/etc/hostler/",)


def of(seen: Seen, name: str) -> Observed:
    """A value, absent or unknown. What was not asked is unknown, unless a complete list of ours leaves it out."""
    if (found := seen.observed.get(name)) is not None:
        return found
    if _left_out(seen, name):
        return Absent(seen.at)
    return Unknown("the host was not asked", seen.at)


def known(seen: Seen, name: str) -> bool:
    return name in seen.observed or _left_out(seen, name)


def value(seen: Seen, name: str) -> Any:
    """The value, or None when it is absent or unknown."""
    found = of(seen, name)
    return found.value if isinstance(found, Value) else None


def _left_out(seen: Seen, name: str) -> bool:
    kind, _, rest = name.partition(":")
    if kind == "path" and rest.startswith(OWN_FOLDERS):
        return "files" in seen.ours and rest not in seen.ours["files"]
    if kind == "unit" and rest.startswith("hostler@"):
        return "units" in seen.ours and rest not in seen.ours["units"]
    listed = seen.ours.get(COMPLETE.get(kind, ""))
    return listed is not None and rest not in listed
