"""A repository of packages on a host: its key, and the file that names it to apt or dnf."""

from __future__ import annotations

from dataclasses import dataclass

from hostler import operator
from hostler.configure.systems import Manager
from hostler.errors import StackFileError
from hostler.manifest.contents import FetchedKey, Text
from hostler.manifest.items import File, Part
from hostler.models import mirror
from hostler.stackfile.sections import StackFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """`name`: of its files. `key`: its address, and what is known of it: a fingerprint, or (`sha256`) its file's.
    `text`: the key itself, where it travels with Hostler. `own`: the stack file's key under `mirror` that brings
    another. `packages`, `metadata`: whether they are signed. `only`: all that is taken from it; empty for all."""

    name: str
    address: str
    own: str
    key: str = ""
    fingerprint: str = ""
    sha256: str = ""
    text: str = ""
    packages: bool = True
    metadata: bool = False
    only: tuple[str, ...] = ()


def files(file: StackFile, manager: Manager, part: Part, found: Repository) -> tuple[File, File]:
    """Key first: a source without it is refused."""
    return (
        File(path=key_path(manager, found.name), part=part, content=_key(file, found)),
        File(
            path=source_path(manager, found.name),
            part=part,
            content=Text(text=source_text(file, manager, found)),
        ),
    )


def source_path(manager: Manager, name: str) -> str:
    return manager.source.format(name=name)


def key_path(manager: Manager, name: str) -> str:
    return manager.key.format(name=name)


def source_text(file: StackFile, manager: Manager, found: Repository) -> str:
    return manager.text.format(
        name=found.name,
        key=key_path(manager, found.name),
        address=mirror.packages(mirror.of(file.stack).apt, found.address),
        packages=int(found.packages),
        metadata=int(found.metadata),
        only=f"includepkgs={' '.join(found.only)}\n" if found.only else "",
    )


def _key(file: StackFile, found: Repository) -> Text | FetchedKey:
    """The stack file's own; else the one that travels with Hostler; else the one beside the repository."""
    mirrors = mirror.of(file.stack)
    own = getattr(mirrors, found.own)
    if own:
        return Text(text=own_key(file, found.own, own))
    if found.text:
        return Text(text=found.text)
    return FetchedKey(
        url=mirror.packages(mirrors.apt, found.key),
        fingerprints=(found.fingerprint,) if found.fingerprint else (),
        sha256=found.sha256,
    )


def own_key(file: StackFile, key: str, name: str) -> str:
    """The text of a key that the stack file names under `mirror`."""
    path = operator.named_file(file.path, name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackFileError.of(
            file.where(f"mirror.{key}"),
            expected="a readable OpenPGP key in a file",
            got=f"{path}: {error}",
            next_step="ask whoever keeps the mirror for the key that signs its packages",
        ) from error
