"""How much memory a replica takes, of its cards or of main memory."""

from __future__ import annotations

from typing import Optional

from ..base import files
from ..base.spec import Spec, name_of
from ..cards import cards
from ..docker import docker
from ..replica import wait

MORE = 1.1  # times the memory that was planned, as a warning of `hostler status`


def within(spec: Spec, before: Optional[int]) -> str:
    """Within what was planned; raises FailedError where the former replica was, by the same plan."""
    planned = int(spec.get("memory_mib") or 0)
    if not planned:
        return ""
    held = held_mib(spec)
    if held is None:
        return "how much memory it takes is unknown"
    if held <= MORE * planned:
        return ""
    where = "of its cards" if spec.get("cards") else "of main memory"
    said = "memory: expected at most %d MiB %s; it takes %d" % (planned, where, held)
    if before is not None and held > MORE * before:
        raise wait.fail(spec, "%s, and the former replica took %d" % (said, before))
    return said


def held_mib(spec: Spec) -> Optional[int]:
    """Memory of its cards, or its share of main memory; None: nobody tells."""
    name = name_of(spec)
    if spec.get("cards"):
        uses = [use.mib for use in cards.held(name, spec).uses]
        return sum(uses) if uses and all(uses) else None
    shares = [share_kib(pid) for pid in docker.processes(name)]
    known = [share for share in shares if share is not None]
    return sum(known) // 1024 if known and len(known) == len(shares) else None


def mapped_mib(spec: Spec) -> int:
    """Of its share of main memory what is mapped from files: weights, which the kernel counts as available though they are
    in use."""
    return sum(share_kib(pid, "Pss_File:") or 0 for pid in docker.processes(name_of(spec))) // 1024


def share_kib(pid: int, row: str = "Pss:") -> Optional[int]:
    """A process's share of main memory, mapped files with it; or a part of it, by its row of smaps_rollup."""
    try:
        lines = files.read_text("/proc/%d/smaps_rollup" % pid).splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(row)]
    return int(found[0]) if found and found[0].isdigit() else None
