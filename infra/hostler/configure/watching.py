"""What looks at a host's replicas: its timer, and when a replica counts as stalled, in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hostler import resources
from hostler.configure.types import Change
from hostler.hosts.types import Host
from hostler.manifest.contents import Text
from hostler.manifest.items import File, Item, Manifest, Part, Unit

if TYPE_CHECKING:
    from hostler.configure.wish import Wish

LIMITS = "/etc/hostler/watch.json"
UNITS = ("hostler-watch.timer", "hostler-watch.service")
FILES = tuple(f"/etc/systemd/system/{name}" for name in UNITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """As node/watch/stall.py reads them, with the same defaults. Looks are 30 s apart."""

    stalled_s: int = 120  # requests run, no token comes, nothing computes
    checks: int = 3  # looks that found it so
    spins_s: int = 600  # vLLM on cards: it computes, and no step of it ends
    restarts: int = 3  # of one replica within `within_s`; then it stays out
    within_s: int = 3600
    starts: int = 5  # of an engine that ends before it was ready once; then it is stopped


def items(wish: Wish, host: Host) -> tuple[Item, ...]:
    """Where there are replicas."""
    if not wish.replicas(host.name):
        return ()
    units = zip(FILES, UNITS, strict=True)
    return (
        *(File(path=path, part=Part.BASE, content=Text(text=text_of(name))) for path, name in units),
        File(path=LIMITS, part=Part.BASE, content=Text(text=json.dumps(asdict(Limits()), indent=1) + "\n")),
        Unit(name=UNITS[0], part=Part.BASE),
    )


def text_of(name: str) -> str:
    return (resources.templates() / name).read_text()


def concerned(manifest: Manifest, changes: Sequence[Change] | None) -> bool:
    """Whether the timer is to be started, or to be stopped where no replica is left."""
    wanted = any(unit.name == UNITS[0] for unit in manifest.units)
    return wanted or any(change.item == f"path:{LIMITS}" for change in changes or ())


def why_stopped(seen: Mapping[str, Any] | None) -> str:
    """What the watch says of a replica that it left out; empty: nothing."""
    found: Mapping[str, Any] = (seen or {}).get("watch") or {}
    return str(found.get("why", "")) if found.get("state") in ("out", "loop") else ""


def is_drained(seen: Mapping[str, Any] | None) -> bool:
    """Whether it gets no requests, and the watch is not just bringing it back."""
    found: Mapping[str, Any] = (seen or {}).get("watch") or {}
    return bool((seen or {}).get("draining")) and found.get("state") != "restarting"
