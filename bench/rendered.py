"""What `hostler render` wrote for a host, for those who do the same by other means."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

WANTED = "/etc/hostler/wanted/"


class Loader(yaml.SafeLoader):
    """Ansible's `!unsafe` is only text."""


def _text(_loader: Loader, node: yaml.Node) -> str:
    return str(node.value)


Loader.add_constructor("!unsafe", _text)


@dataclass(frozen=True)
class Rendered:
    """One host's variables."""

    host: str
    values: dict[str, Any]

    @property
    def packages(self) -> list[str]:
        return [package["name"] for package in self.values["packages_wanted"]]

    @property
    def directories(self) -> list[dict[str, Any]]:
        return self._all("_directories")

    @property
    def files(self) -> list[dict[str, Any]]:
        """Those whose text is in the variables: no secrets, and nothing that only another host knows."""
        return [entry for entry in self._all("_files") if "text" in entry and "{{" not in entry["text"][:3]]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Specifications of engines, gateway and edge."""
        return [json.loads(entry["text"]) for entry in self.files if entry["path"].startswith(WANTED)]

    @property
    def engines(self) -> list[dict[str, Any]]:
        return [one for one in self.containers if one["part"] == "engine"]

    def _all(self, end: str) -> list[dict[str, Any]]:
        return [entry for name, entries in self.values.items() if name.endswith(end) for entry in entries]


def read(folder: Path) -> list[Rendered]:
    """All hosts of a rendered folder."""
    found = sorted((folder / "host_vars").glob("*.yml"))
    return [Rendered(path.stem, yaml.load(path.read_text(), Loader)) for path in found]


def image_of(container: dict[str, Any]) -> str:
    return f"{container['image']['name']}@{container['image']['digest']}"
