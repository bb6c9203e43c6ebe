"""The state in a folder of this machine: enough for a stack that rents nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostler.provision import locks, state
from hostler.provision.locations import PRIVATE_DIRECTORY, Locations


@dataclass(frozen=True, slots=True)
class Folder:
    """A Store."""

    places: Locations

    @property
    def url(self) -> str:
        return ""

    @property
    def region(self) -> str:
        return ""

    def exists(self) -> bool:
        return self.places.exists

    def make(self) -> None:
        self.places.make()

    def checkpoint(self) -> dict[str, Any]:
        found = read_json(self.places.checkpoint) if self.places.exists else None
        return state.deployment(found or {})

    def locks(self) -> tuple[locks.BackendLock, ...]:
        return locks.held(self.places)

    def document(self, name: str) -> dict[str, Any] | None:
        return read_json(self._documents / f"{name}.json")

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        self.places.make()
        self._documents.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
        part = self._documents / f"{name}.part"
        part.write_text(json.dumps(data))
        part.replace(self._documents / f"{name}.json")

    def remove(self) -> tuple[str, ...]:
        if self.places.folder.exists():
            shutil.rmtree(self.places.folder)
        return ()

    @property
    def _documents(self) -> Path:
        return self.places.folder / "documents"


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
