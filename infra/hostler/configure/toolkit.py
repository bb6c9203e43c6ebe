"""Part toolkit: NVIDIA's container toolkit from its own repository, on hosts with cards.

Where somebody installed it before the first contact, it stays as it is, with its own source.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from hostler.configure import systems
from hostler.configure.docker import TOOLKIT as PACKAGE
from hostler.configure.docker import has_cards
from hostler.configure.repositories import Repository, files, key_path, source_path
from hostler.hosts.types import Seen, Value
from hostler.manifest.items import Item, Package, Part
from hostler.stackfile.sections import StackFile

NAME = "nvidia-container-toolkit"
STABLE = "https://nvidia.github.io/libnvidia-container/stable"
ADDRESSES = {"apt": f"{STABLE}/deb/$(ARCH)", "dnf": f"{STABLE}/rpm/$basearch"}
FINGERPRINT = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"  # of keys/nvidia-container-toolkit.asc
PATHS = tuple(path(manager, NAME) for manager in systems.MANAGERS for path in (source_path, key_path))


def items(file: StackFile, seen: Seen | None) -> tuple[Item, ...]:
    if not has_cards(seen):
        return ()
    package = Package(name=PACKAGE, part=Part.TOOLKIT)
    manager = systems.of_seen(seen).manager
    return (
        (package,) if foreign(seen) else (*files(file, manager, Part.TOOLKIT, repository(manager)), package)
    )


def repository(manager: systems.Manager) -> Repository:
    """As NVIDIA describes it: rpm's list of packages is signed, not each package."""
    return Repository(
        name=NAME,
        address=ADDRESSES[manager.name],
        own="toolkit_key",
        text=_pinned(),
        packages=manager is systems.APT,
        metadata=True,
    )


def foreign(seen: Seen | None) -> bool:
    """Whether the toolkit was there before the first contact."""
    return was_there(seen, PACKAGE)


def was_there(seen: Seen | None, *packages: str) -> bool:
    """Whether one of these packages was there before the first contact."""
    if seen is None:
        return False
    if seen.baseline is not None:
        return bool(set(packages) & _names(seen.baseline.get("packages", ())))
    found = [seen.observed.get(f"package:{name}") for name in packages]
    return any(isinstance(one, Value) and one.value["state"] == "installed" for one in found)


def _names(packages: Any) -> set[str]:
    return {str(name).partition(":")[0] for name in packages}


@cache
def _pinned() -> str:
    return (resources.files("hostler.configure") / "keys" / "nvidia-container-toolkit.asc").read_text()
