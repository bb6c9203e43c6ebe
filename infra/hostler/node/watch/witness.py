"""Whether anything in a container computes, by the kernel and the driver: asked for where its own counters stand still."""

from __future__ import annotations

from typing import Dict, List, Optional

from ..base import files
from ..base.spec import Spec, container_name
from ..cards import cards
from ..docker import docker

LEAST = 0.02  # of one processor: more is work. A frozen engine takes none, one that only answers health checks 0.001
TICKS = 100.0  # of the kernel, a second
Work = Dict[str, List[float]]  # process -> processor seconds, pages that had to come from disk


def work(spec: Spec) -> Work:
    """What its processes have done since they started; empty where none runs. Raises OSError or NodeError."""
    found = {str(pid): of_process(pid) for pid in docker.processes(container_name(spec["id"]))}
    return {pid: done for pid, done in found.items() if done is not None}


def of_process(pid: int) -> Optional[List[float]]:
    words = files.read_text("/proc/%d/stat" % pid).rpartition(")")[2].split()
    if len(words) < 13:
        return None
    return [(int(words[11]) + int(words[12])) / TICKS, float(words[9])]


def works(before: Work, now: Work, seconds: float) -> Optional[bool]:
    """Between two looks. None: there is nothing to compare."""
    if not now or not before or seconds <= 0:
        return None
    old = {pid: before.get(pid, [0.0, 0.0]) for pid in now}
    cpu = sum(done[0] - old[pid][0] for pid, done in now.items())
    paged = any(done[1] > old[pid][1] for pid, done in now.items())
    return paged or cpu / seconds >= LEAST


def on_cards(wanted: List[str]) -> Optional[bool]:
    """Whether one of these cards is in use now, by whomever; None: the driver does not answer. Cards that do not tell
    (parts of one, WSL) are none that do: then processors decide."""
    table = cards.query("--query-gpu=uuid,utilization.gpu")
    if table is None:
        return None
    return any(row[1].isdigit() and int(row[1]) > 0 for row in table if len(row) > 1 and row[0] in wanted)
