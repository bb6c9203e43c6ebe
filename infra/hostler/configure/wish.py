"""What the manifests are made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hostler.hosts.types import Host, Seen
from hostler.manifest.items import Item
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
    secrets: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # SHA-256 of those that the controller gets

    # looked up once: every host asks for every other's
    addresses: dict[str, str] = field(init=False, compare=False, repr=False, default_factory=dict[str, str])
    engine: dict[str, tuple[Item, ...]] = field(
        init=False, compare=False, repr=False, default_factory=dict[str, "tuple[Item, ...]"]
    )
    rings: dict[tuple[str, str], tuple[str, ...]] = field(
        init=False, compare=False, repr=False, default_factory=dict[tuple[str, str], "tuple[str, ...]"]
    )
    _by_host: Mapping[str, tuple[Replica, ...]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        found: defaultdict[str, list[Replica]] = defaultdict(list)
        for replica in self.placement.replicas:
            for host in dict.fromkeys(member.host for member in replica.members):
                found[host].append(replica)
        object.__setattr__(self, "_by_host", {host: tuple(there) for host, there in found.items()})

    def replicas(self, host: str) -> tuple[Replica, ...]:
        return self._by_host.get(host, ())
