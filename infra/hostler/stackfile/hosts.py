"""The stack file's owned machines as hosts."""

from __future__ import annotations

import re

from hostler.hosts.types import Host, Ssh

from .sections import HostEntry, StackFile

_LONGEST = 63


def hosts_of(file: StackFile) -> tuple[Host, ...]:
    """All owned hosts in the file's order, each with the place where it stands."""
    return tuple(
        _host(file, pool, index, entry)
        for pool, section in file.stack.pools.items()
        for index, entry in enumerate(section.hosts)
    )


def host_name(address: str) -> str:
    """The name that an address gives: `local`, the first label of a DNS name, an IP address with dashes."""
    text = address.strip("[]").partition("%")[0].lower()
    if ":" not in text and not re.fullmatch(r"[0-9.]+", text):
        text = text.partition(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", text)[:_LONGEST].strip("-") or "host"


def _host(file: StackFile, pool: str, index: int, entry: HostEntry) -> Host:
    return Host(
        name=entry.name or host_name(entry.address),
        pool=pool,
        ssh=Ssh(
            address=entry.address,
            user=entry.user,
            port=entry.port,
            key=_key(file, entry.key),
            jump=entry.jump,
            host_key=entry.host_key,
        ),
        where=file.where(f"pools.{pool}.hosts[{index}]"),
    )


def _key(file: StackFile, path: str | None) -> str | None:
    """Relative to the stack file; ~ is the user's home."""
    from pathlib import Path

    return str(Path(file.path).resolve().parent / Path(path).expanduser()) if path else None
