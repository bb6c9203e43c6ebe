"""Card memory, by nvidia-smi: a container's stop returns before the driver has given its memory back."""

from __future__ import annotations

import time
from typing import Dict, List, NamedTuple, Optional, Sequence, Set

from ..base import shell
from ..base.protocol import NodeError
from ..base.spec import Spec
from ..docker import docker

LIMIT_S = 90.0
PAUSE = 0.5
SLACK_MIB = 64


class Use(NamedTuple):
    """One process on one card; MiB."""

    card: str
    pid: int
    mib: int


class Held(NamedTuple):
    """What a container holds on the cards, seen before it is stopped."""

    uses: List[Use]
    used: Dict[str, int]  # MiB in all, by card
    others: Sequence[Use] = ()  # of whoever else is there


def query(what: str) -> Optional[List[List[str]]]:
    """Rows of nvidia-smi's CSV; None when it does not answer."""
    result = shell.run(("nvidia-smi", what, "--format=csv,noheader,nounits"), 30.0)
    if not result.ok:
        return None
    return [[cell.strip() for cell in line.split(",")] for line in result.stdout.splitlines() if line.strip()]


def used_mib() -> Optional[Dict[str, int]]:
    table = query("--query-gpu=uuid,memory.used")
    return None if table is None else {row[0]: _whole(row[1]) for row in table if len(row) > 1}


def free_mib() -> Optional[Dict[str, int]]:
    table = query("--query-gpu=uuid,memory.free")
    return None if table is None else {row[0]: _whole(row[1]) for row in table if len(row) > 1}


def uses() -> List[Use]:
    table = query("--query-compute-apps=gpu_uuid,pid,used_memory") or []
    return [Use(row[0], _whole(row[1]), _whole(row[2])) for row in table if len(row) > 2]


def _whole(cell: str) -> int:
    return int(cell) if cell.isdigit() else 0


def held(container: str, spec: Optional[Spec]) -> Held:
    """What a running container holds now."""
    if not (spec or {}).get("cards"):
        return Held([], {})
    pids: Set[int] = set(docker.processes(container))
    found = uses()
    own = [use for use in found if use.pid in pids]
    return Held(own, used_mib() or {}, [use for use in found if use.pid not in pids])


def wait_free(spec: Spec, before: Held) -> None:
    """Wait until the cards have what the old one held; raises NodeError at the limit, naming card and holder.

    With `need_mib` in the specification also until that much is free on its cards in all.
    """
    cards: Sequence[str] = spec.get("cards") or ()
    if not cards:
        return
    until = time.monotonic() + LIMIT_S
    while True:
        why = _not_yet(cards, int(spec.get("need_mib") or 0), before)
        if not why:
            return
        if time.monotonic() >= until:
            raise NodeError("card-memory", why, "look who holds it: nvidia-smi")
        time.sleep(PAUSE)


def _on(card: str, uses_: Sequence[Use]) -> int:
    return sum(use.mib for use in uses_ if use.card == card)


def _not_yet(cards: Sequence[str], need: int, before: Held) -> str:
    old = {use.pid for use in before.uses}
    found = uses()
    still = [use for use in found if use.pid in old]
    if still:
        return "card %s: process %d of the old container still holds %d MiB" % (
            still[0].card,
            still[0].pid,
            still[0].mib,
        )
    now = used_mib()
    if now is None:
        return ""
    for use in before.uses:
        grown = max(0, _on(use.card, found) - _on(use.card, before.others))  # a neighbour's is no remnant
        most = before.used.get(use.card, 0) - use.mib + grown + SLACK_MIB
        if now.get(use.card, 0) > max(most, SLACK_MIB) and use.mib > SLACK_MIB:
            return "card %s: %d MiB still used, expected at most %d" % (use.card, now[use.card], most)
    free = free_mib() or {}
    total = sum(free.get(card, 0) for card in cards)
    if need and total < need:
        return "cards %s: %d MiB free, %d needed" % (", ".join(cards), total, need)
    return ""
