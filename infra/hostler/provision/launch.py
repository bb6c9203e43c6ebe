"""What one run of the program rents: each slot with the way it is filled. Pure values."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hostler.cloud.types import TAG, Candidate, CloudWish, Rented, SlotWish
from hostler.provision.state import POOL_TAG

ZONES = 64  # subnets that a region's network has room for: two groups of 32
LETTER = re.compile(r"[a-z]{2}(-[a-z]+)+-\d([a-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One slot. `adopt`: the id of an instance that is there and not in the state."""

    slot: SlotWish
    candidate: Candidate
    adopt: str = ""

    @property
    def network(self) -> str:
        """Which security groups it can have: of the region's own network, or of the subnet's."""
        return self.slot.subnet or self.candidate.region


@dataclass(frozen=True, slots=True, kw_only=True)
class Launches:
    """All that is rented. `region`: of the provider, always the same. `keep`: regions whose network stays although
    nothing is launched there (now)."""

    wish: CloudWish
    region: str
    slots: tuple[Launch, ...] = ()
    keep: frozenset[str] = frozenset()

    @property
    def zones(self) -> dict[str, str]:
        """Region by zone, of all zones that need a subnet of ours."""
        own = [launch.candidate for launch in self.slots if not launch.slot.subnet]
        return {candidate.zone: candidate.region for candidate in sorted(own, key=str)}

    @property
    def regions(self) -> list[str]:
        """Those that need a network of ours."""
        return sorted({*self.zones.values(), *self.keep})

    @property
    def keys(self) -> list[str]:
        """Those that need the key pair."""
        return sorted({launch.candidate.region for launch in self.slots} | self.keep)


def pinned(wish: SlotWish, machine: Rented | None) -> SlotWish:
    """A slot that stands keeps what it has: another type, zone or image would replace it."""
    if machine is None:
        return wish
    others = tuple(candidate for candidate in wish.candidates if candidate != machine.candidate)
    return replace(wish, candidates=(machine.candidate, *others))


def first_launches(wish: CloudWish, standing: Sequence[Rented], region: str) -> Launches:
    """Each slot by its first candidate; what stands by what it has. Slots without candidates are left out."""
    machines = {machine.slot: machine for machine in standing}
    slots = [pinned(slot, machines.get(slot.slot)) for slot in wish.slots]
    launches = tuple(Launch(slot=slot, candidate=slot.candidates[0]) for slot in slots if slot.candidates)
    return Launches(wish=wish, region=region, slots=launches)


def tags(wish: CloudWish, name: str) -> dict[str, str]:
    """On everything that carries tags."""
    return {
        "Name": f"{wish.stack} {name}",
        f"{TAG}uid": wish.uid,
        f"{TAG}stack": wish.stack,
        f"{TAG}owner": wish.owner,
    }


def slot_tags(wish: CloudWish, slot: SlotWish) -> dict[str, str]:
    """On an instance and its disks."""
    mine = {f"{TAG}slot": slot.slot, POOL_TAG: slot.pool, f"{TAG}lease": f"{slot.lease:.0f}"}
    return tags(wish, slot.slot) | mine


def subnet_cidr(zone: str) -> str:
    """Of a zone in its region's 10.77.0.0/16: the same whatever other zones are used."""
    plain = LETTER.fullmatch(zone)
    number = ord(plain[2]) - ord("a") if plain else 32 + zlib.crc32(zone.encode()) % 32
    return f"10.77.{number * 4}.0/22"
