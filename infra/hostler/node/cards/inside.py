"""Which cards a container really has: a missing toolkit, or a daemon-reload, makes a card silently absent."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional

from ..base.spec import Spec, name_of
from ..docker import docker
from . import cards

SMI = ["nvidia-smi", "-L"]
NOT_THERE = (126, 127)  # of a program that neither the image nor the toolkit's capabilities bring
CARD = re.compile(r"^GPU \d+:.*\(UUID: (GPU-[^)\s]+)\)", re.MULTILINE)


class Inside(NamedTuple):
    """What a container has. `cards` is None where nobody can tell; `why` is what was said."""

    cards: Optional[List[str]]
    why: str = ""


class Proof(NamedTuple):
    """`wrong`: it has not exactly its cards; `unknown`: nobody can tell. Both empty: it has them, or asks for none."""

    wrong: str = ""
    unknown: str = ""


def proof(spec: Spec) -> Proof:
    """Whether a ready container has exactly the cards that it asked for, by UUID."""
    asked: List[str] = sorted(spec.get("cards") or ())
    if not asked:
        return Proof()
    seen = look(name_of(spec))
    if seen.cards is None:
        return Proof(unknown="its cards are unknown: " + seen.why)
    if seen.cards == asked:
        return Proof()
    said = " (%s)" % seen.why if seen.why else ""
    return Proof(
        wrong="cards in the container: expected %s; got %s%s" % (_list(asked), _list(seen.cards), said)
    )


def look(container: str) -> Inside:
    """By nvidia-smi in the container; where that is not there, by the processes that the driver knows."""
    try:
        status, said = docker.execute(container, SMI)
    except (docker.DockerError, OSError) as error:
        return by_processes(container, str(error))
    if status in NOT_THERE:
        return by_processes(container, "no nvidia-smi in it")
    found = sorted(CARD.findall(said))
    return Inside(found, "" if found else _last_line(said))


def by_processes(container: str, why: str) -> Inside:
    """The cards that its processes are on. One that is on none may still hide them: a driver in WSL tells nothing."""
    pids = set(docker.processes(container))
    found = sorted({use.card for use in cards.uses() if use.pid in pids})
    return Inside(found) if found else Inside(None, why + ", and the driver names no process of it")


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _list(uuids: List[str]) -> str:
    return ", ".join(uuids) or "none"
