"""Commands for HAProxy's runtime socket (admin.sock): keys live at once, without a reload. Pure text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from hostler.gateway.specs import Paths

# its answer is written to servers.state before the master reloads: the new worker then knows who drains
SHOW_STATE = "show servers state"


def key_hash(key: str) -> str:
    """What is kept of a client's key: SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def add_key(paths: Paths, sha256: str, name: str) -> str:
    return f"add map {paths.etc}/keys.map {sha256} {name}"


def revoke_key(paths: Paths, sha256: str) -> str:
    return f"del map {paths.etc}/keys.map {sha256}"


def show_keys(paths: Paths) -> str:
    return f"show map {paths.etc}/keys.map"


def shown_keys(answer: str) -> dict[str, str]:
    """The answer to `show_keys` (lines `0xADDRESS hash name`) as hash -> name."""
    rows = (line.split() for line in answer.splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3}


def sync_keys(paths: Paths, wanted: Iterable[tuple[str, str]], live: Mapping[str, str]) -> tuple[str, ...]:
    """What turns the live keys into the wanted ones: revoked first."""
    rows = dict(wanted)
    gone = (revoke_key(paths, digest) for digest, _ in sorted(live.items() - rows.items()))
    new = (add_key(paths, digest, name) for digest, name in sorted(rows.items() - live.items()))
    return (*gone, *new)
