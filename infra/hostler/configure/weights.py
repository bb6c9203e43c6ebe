"""Files of weights with the hosts that are asked for them first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hostler.configure import doors, sharing
from hostler.gateway.specs import EDGE_PORT
from hostler.hosts.types import Host
from hostler.manifest.items import Item, ModelFile, Peer

if TYPE_CHECKING:
    from hostler.configure.wish import Wish


def engine_items(wish: Wish, host: Host) -> tuple[Item, ...]:
    """Part engine's items of a host."""
    return tuple(
        replace(item, peers=peers(wish, host, item)) if isinstance(item, ModelFile) else item
        for item in sharing.items(wish, host)
    )


def peers(wish: Wish, host: Host, file: ModelFile) -> tuple[Peer, ...]:
    """Whom a host asks for a file, the nearest first; none: it has it, or is the one that fetches it from outside."""
    ring = sharing.rings(wish).get((host.pool, file.path), ())
    if host.name not in ring:
        return ()
    away = {name for name in ring if doors.is_off(wish, name)}
    asked = sharing.sources(ring, host.name, sharing.givers(ring, file, wish.seen), away)
    return tuple(Peer(host=name, address=doors.known_address(wish, name), port=EDGE_PORT) for name in asked)
