"""What `down` says of each thing: gone, kept on purpose and why, or left because it could not be removed.

Dry, the same steps only name what they would take: the list that is shown is the list that is removed.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from .protocol import NodeError

KINDS = ("containers", "units", "models", "images", "packages", "files", "folders", "accounts", "settings")
WORDS = {"containers": "container ", "units": "unit ", "images": "image ", "packages": "package "}


class Told:
    """What was removed (dry: what would be), what is kept, and what is left."""

    def __init__(self, *, dry: bool = False) -> None:
        self.dry = dry
        self.would: Dict[str, List[str]] = {kind: [] for kind in KINDS}
        self.removed: List[str] = []
        self.kept: List[Dict[str, str]] = []
        self.left: List[Dict[str, str]] = []

    def take(self, kind: str, name: str, remove: Callable[[], Any]) -> None:
        """Remove one thing, or name it; one that cannot be removed is left and does not hold the others."""
        if not self.dry:
            try:
                remove()
            except (NodeError, OSError) as error:
                self.stays(WORDS.get(kind, "") + name, str(error))
                return
        self.gone(kind, name)

    def gone(self, kind: str, name: str) -> None:
        if self.dry:
            self.would[kind].append(name)
        else:
            self.removed.append(WORDS.get(kind, "") + name)

    def keep(self, what: str, why: str) -> None:
        """It stays, and that is right."""
        self.kept.append({"what": what, "why": why})

    def stays(self, what: str, why: str) -> None:
        """It should have gone."""
        self.left.append({"what": what, "why": why})

    def step(self, what: str, function: Callable[[], None]) -> None:
        """Run a step; what it cannot do is told, and does not hold the others."""
        try:
            function()
        except (NodeError, OSError) as error:
            self.stays(what, str(error))

    def answer(self) -> Dict[str, Any]:
        done: Dict[str, Any] = {"would": self.would} if self.dry else {"removed": self.removed}
        return {**done, "kept": self.kept, "left": self.left}
