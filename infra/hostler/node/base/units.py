"""systemd's units, all with one call."""

from __future__ import annotations

import glob
import time
from typing import Any, Dict, List, Mapping, Sequence

from . import files, shell

PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,StateChangeTimestampMonotonic,NeedDaemonReload"
ENABLED = ("enabled", "enabled-runtime", "static", "alias", "generated")
LINKED = ("enabled", "disabled", "enabled-runtime")  # states that links alone decide
KINDS = ("wants", "requires", "upholds")
LINKS = ("/etc/systemd/system/*.%s/", "/run/systemd/system/*.%s/")


def states(names: Sequence[str], timeout: float = 5.0) -> Dict[str, Any]:
    """name -> {"enabled", "active", "sub", "since"}, None where there is no such unit, or a str: why it is unknown."""
    if not names:
        return {}
    result = shell.run(("systemctl", "show", "--no-pager", "--property=" + PROPERTIES, "--", *names), timeout)
    blocks = [block for block in result.stdout.split("\n\n") if block.strip()]
    if len(blocks) != len(names):
        return dict.fromkeys(names, "systemctl: " + result.why)
    return {name: state(pairs(block)) for name, block in zip(names, blocks)}  # noqa: B905 - Python 3.9


def pairs(block: str) -> Dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in block.strip().split("\n"))}


def state(values: Mapping[str, str]) -> Any:
    if values.get("LoadState") == "not-found":
        return None
    changed = int(values.get("StateChangeTimestampMonotonic") or 0) / 1e6
    return {
        "enabled": is_enabled(values.get("Id", ""), values.get("UnitFileState", "")),
        "active": values.get("ActiveState", ""),
        "sub": values.get("SubState", ""),
        "since": round(time.time() - time.monotonic() + changed, 1) if changed else 0.0,
        "reload_due": values.get("NeedDaemonReload") == "yes",
    }


def is_enabled(name: str, said: str) -> bool:
    """systemd keeps its word on a loaded unit until it is reloaded; the links are what a boot goes by."""
    if said not in LINKED or not name:
        return said in ENABLED
    patterns = [files.at(place % kind) + glob.escape(name) for place in LINKS for kind in KINDS]
    return any(glob.glob(pattern) for pattern in patterns)


def ours(listing: str) -> List[str]:
    """Names in the output of `systemctl list-units --plain --no-legend`."""
    return [line.split()[0] for line in listing.splitlines() if line.split()]
