"""Part toolkit: NVIDIA's container toolkit from its own repository, on hosts with cards.

Where somebody installed it before the first contact, it stays as it is, with its own source.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from hostler.configure.docker import TOOLKIT as PACKAGE
from hostler.configure.docker import has_cards
from hostler.errors import StackFileError
from hostler.hosts.types import Seen, Value
from hostler.manifest.items import Effect, File, Item, Package, Part, Text
from hostler.models import mirror
from hostler.stackfile.sections import StackFile

SOURCE = "/etc/apt/sources.list.d/hostler-nvidia-container-toolkit.list"
KEYRING = "/usr/share/keyrings/hostler-nvidia-container-toolkit.asc"
ADDRESS = "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)"
FINGERPRINT = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"  # of keys/nvidia-container-toolkit.asc


def items(file: StackFile, seen: Seen | None) -> tuple[Item, ...]:
    if not has_cards(seen):
        return ()
    package = Package(name=PACKAGE, part=Part.TOOLKIT)
    return (package,) if foreign(seen) else (*_source(file), package)


def foreign(seen: Seen | None) -> bool:
    """Whether the toolkit was there before the first contact."""
    if seen is None:
        return False
    if seen.baseline is not None:
        return PACKAGE in _names(seen.baseline.get("packages", ()))
    return (
        isinstance(found := seen.observed.get(f"package:{PACKAGE}"), Value)
        and found.value["state"] == "installed"
    )


def _names(packages: Any) -> set[str]:
    return {str(name).partition(":")[0] for name in packages}


def _source(file: StackFile) -> tuple[Item, ...]:
    return (
        File(path=KEYRING, part=Part.TOOLKIT, content=Text(text=key(file)), effect=Effect.NONE),
        File(path=SOURCE, part=Part.TOOLKIT, content=Text(text=source_text(file)), effect=Effect.NONE),
    )


def source_text(file: StackFile) -> str:
    address = mirror.apt(mirror.of(file.stack).apt, ADDRESS)
    return f"# Written by hostler; edits here are lost.\ndeb [signed-by={KEYRING}] {address} /\n"


def key(file: StackFile) -> str:
    """The OpenPGP key that signs the repository: the stack file's, or the pinned one of NVIDIA."""
    own = mirror.of(file.stack).toolkit_key
    return own_key(file, "toolkit_key", own) if own else _pinned()


def own_key(file: StackFile, key: str, name: str) -> str:
    """The text of a key that the stack file names under `mirror`."""
    path = Path(file.path).parent / Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackFileError.of(
            file.where(f"mirror.{key}"),
            expected="a readable OpenPGP key in a file",
            got=f"{path}: {error}",
            next_step="ask whoever keeps the mirror for the key that signs its packages",
        ) from error


@cache
def _pinned() -> str:
    return (resources.files("hostler.configure") / "keys" / "nvidia-container-toolkit.asc").read_text()
