"""What `down` says of each thing: gone, or left and why."""

from __future__ import annotations

from typing import Callable, Dict, List

from .protocol import NodeError


class Told:
    """What was removed, and what was not and why."""

    def __init__(self) -> None:
        self.removed: List[str] = []
        self.left: List[Dict[str, str]] = []

    def gone(self, what: str) -> None:
        self.removed.append(what)

    def stays(self, what: str, why: str) -> None:
        self.left.append({"what": what, "why": why})

    def step(self, what: str, function: Callable[[], None]) -> None:
        """Run a step; what it cannot do is told, and does not hold the others."""
        try:
            function()
        except (NodeError, OSError) as error:
            self.stays(what, str(error))
