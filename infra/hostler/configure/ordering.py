"""In which order a run takes hosts and replicas: as their exchanges were planned. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hostler.hosts.types import Host
from hostler.manifest.items import Manifest


def hosts(found: Sequence[Host], manifests: Mapping[str, Manifest], order: Sequence[str]) -> list[Host]:
    """Those without a replica in the order first: nothing of theirs is exchanged. A play with `serial: 1` takes them so."""
    place = {name: at for at, name in enumerate(order)}

    def first(host: Host) -> int:
        return min((place[c.id] for c in manifests[host.name].containers if c.id in place), default=-1)

    return sorted(found, key=first)


def replicas(found: Iterable[str], order: Sequence[str]) -> list[str]:
    place = {name: at for at, name in enumerate(order)}
    return sorted(found, key=lambda name: place.get(name, -1))
