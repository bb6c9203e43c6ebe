"""The last word of a host that ends itself: on its disk before it goes, and in its looks until then, so that whoever looks from
afar knows why it is away. One that is there again, or did not go, has none."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Optional

from ..base import clock, files, spec
from ..base.protocol import NodeError, as_dict

FILE = "/var/lib/hostler/idle/ended.json"


def leave(do: str, why: str, by: str) -> None:
    """Where the disk takes it."""
    word: Dict[str, Any] = {"do": do, "why": why, "by": by, "at": time.time(), "replicas": spec.replicas()}
    with contextlib.suppress(OSError):
        files.write_json(FILE, {**word, "boot": clock.boot(), "resumed": clock.resumed()})


def read() -> Optional[Dict[str, Any]]:
    """None: this host is not about to go. What was said before a boot, or before it was suspended, is taken back."""
    try:
        found = as_dict(files.read_json(FILE))
    except (OSError, NodeError):
        found = {"damaged": True}
    if found and found.get("resumed") != clock.resumed():
        take_back()
        return None
    return found or None


def take_back() -> None:
    with contextlib.suppress(OSError):
        files.remove(FILE)
