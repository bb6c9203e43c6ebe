"""Whether a replica's successor fits beside it, by what is free now: on its cards as the driver sees it, else in main
memory. What other replicas of this host are promised and do not hold yet is not free."""

from __future__ import annotations

import math
from typing import Dict, List, NamedTuple, Optional, Sequence, Set

from ..base import files, spec
from ..base.spec import Spec
from ..canary import canary, memory
from ..cards import cards
from ..docker import docker
from ..replica import version

LEAST_MIB = 256  # that stay free,
SHARE = 0.05  # or so much of what is needed: sizes are computed, and allocators round up


class Need(NamedTuple):
    """MiB of one place: a card, or main memory (empty)."""

    card: str
    mib: int
    free: int

    @property
    def fits(self) -> bool:
        return self.free >= self.mib + margin(self.mib)

    def __str__(self) -> str:
        place = "card %s" % self.card if self.card else "main memory"
        return "%s: %d MiB free, %d needed" % (place, max(0, self.free), self.mib + margin(self.mib))


def margin(mib: int) -> int:
    return max(LEAST_MIB, math.ceil(SHARE * mib))


def lack(new: Spec, old: Spec) -> str:
    """Why it does not fit; empty: it does."""
    needed = int(new.get("memory_mib") or 0) or _as_now(new, old)
    if not needed:
        return "how much memory it takes is not known"
    free = _free(new, old)
    if free is None:
        return "how much memory is free is not known"
    return "; ".join(str(need) for need in needs(new, needed, free) if not need.fits)


def _as_now(new: Spec, old: Spec) -> int:
    """A successor with the same weights on the same cards takes what the former one holds."""
    return memory.held_mib(old) or 0 if canary.is_like(old, new) else 0


def _free(new: Spec, old: Spec) -> Optional[Dict[str, int]]:
    """By card; main memory under the empty name. None: nobody tells. What the kernel calls available has in it the weights
    that engines have mapped, and use."""
    if new.get("cards"):
        return cards.free_mib()
    lines = files.read_text("/proc/meminfo").splitlines()
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return {"": int(found[0]) // 1024 - _mapped(new, old)} if found else None


def _mapped(new: Spec, old: Spec) -> int:
    """MiB of weights in use, but for the file that the new one maps as well: it takes no more of that. An engine with
    cards needs what it has mapped no longer."""
    path = version.model_path(new)
    running = [old, *_others(new["id"])]
    return sum(
        memory.mapped_mib(one)
        for one in running
        if not one.get("cards") and not (path and version.model_path(one) == path)
    )


def needs(new: Spec, needed: int, free: Dict[str, int]) -> List[Need]:
    """What it needs of each place, and what is free there and promised to nobody."""
    places: Sequence[str] = new.get("cards") or [""]
    each = math.ceil(needed / len(places))
    others = [one for one in _others(new["id"]) if places[0] or not one.get("cards")]
    uses = cards.uses() if places[0] else []
    return [
        Need(place, each, free.get(place, 0) - sum(_promised(one, place, uses) for one in others))
        for place in places
    ]


def _others(identifier: str) -> List[Spec]:
    """All other replicas that are or shall be here: as they run, else as they are wanted."""
    names = {*spec.names(files.APPLIED), *spec.names(files.WANTED)} - {identifier}
    found = (
        spec.applied(name) or files.read_json(spec.path_of(files.WANTED, name)) or {}
        for name in sorted(names)
    )
    return [one for one in found if one.get("model")]


def _promised(other: Spec, card: str, uses: Sequence[cards.Use]) -> int:
    """MiB that another one is still to take of a place."""
    places: Sequence[str] = other.get("cards") or [""]
    if card not in places:
        return 0
    planned = math.ceil(int(other.get("memory_mib") or 0) / len(places))
    if not card:
        return max(0, planned - (memory.held_mib(other) or 0))
    own: Set[int] = set(docker.processes(spec.container_name(other["id"])))
    return max(0, planned - sum(use.mib for use in uses if use.card == card and use.pid in own))
