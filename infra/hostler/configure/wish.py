"""What the manifests are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hostler.hosts.types import Host, Seen
from hostler.models.types import Placement, Release, Replica
from hostler.record.types import Record
from hostler.stackfile.sections import StackFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a host's manifest is made from."""

    file: StackFile
    hosts: Sequence[Host]
    seen: Mapping[str, Seen]
    release: Release
    placement: Placement
    record: Record

    def replicas(self, host: str) -> tuple[Replica, ...]:
        return tuple(r for r in self.placement.replicas if any(m.host == host for m in r.members))
