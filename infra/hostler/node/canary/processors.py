"""What others had of the processors while a replica was timed.

Not its fault: backups, builds, another guest of the same machine. How long it waited the kernel tells of each thread (the
second number of /proc/PID/task/TID/schedstat, Documentation/scheduler/sched-stats.rst) and of what the hypervisor took
(`steal` of /proc/stat). A replica with more threads than there are processors waits for itself: no more counts than
others had. One that computes on the processors is slower without any wait, too, when others are busy beside it: caches,
memory and the two threads of a core are shared.
"""

from __future__ import annotations

import glob
import os
from typing import Dict, Iterable, NamedTuple

from ..base import files
from ..docker import docker

MOST = 0.9  # of the time: where it waited longer, nobody can tell its speed
NS = 1e9
BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq of /proc/stat; user has guests' time in it
STEAL = 7


class Thread(NamedTuple):
    """Seconds that it ran, and that it could have run but waited."""

    ran: float
    waited: float


class Seen(NamedTuple):
    """At one moment: a replica's threads by id; seconds that all processors were busy, and that were stolen."""

    threads: Dict[int, Thread]
    busy: float = 0.0
    stolen: float = 0.0


class Waited(NamedTuple):
    """Seconds that it lost: at least (its threads waited at the same time), at most (one after the other); and others'
    share of all processors, 0 to 1."""

    least: float = 0.0
    most: float = 0.0
    share: float = 0.0


def seen(container: str) -> Seen:
    """Now. What cannot be read counts as no wait."""
    words = files.read_text("/proc/stat").partition("\n")[0].split()[1:]
    ticks = [int(word) for word in words if word.isdigit()] + [0] * (STEAL + 1)
    hertz = float(os.sysconf("SC_CLK_TCK"))
    busy = sum(ticks[place] for place in BUSY)
    return Seen(_threads(docker.processes(container)), busy / hertz, ticks[STEAL] / hertz)


def _threads(processes: Iterable[int]) -> Dict[int, Thread]:
    found: Dict[int, Thread] = {}
    for process in processes:
        for path in glob.glob(files.at("/proc/%d/task/*/schedstat" % process)):
            words = files.read_text("/proc/%d/task/%s/schedstat" % (process, _id(path))).split()
            if len(words) >= 2:
                found[int(_id(path))] = Thread(int(words[0]) / NS, int(words[1]) / NS)
    return found


def _id(path: str) -> str:
    return os.path.basename(os.path.dirname(path))


def waited(before: Seen, after: Seen, seconds: float) -> Waited:
    """Between two moments that are so many seconds apart."""
    none = Thread(0.0, 0.0)
    pairs = [(before.threads.get(one, none), now) for one, now in after.threads.items()]
    waits = [now.waited - was.waited for was, now in pairs]
    ran = sum(now.ran - was.ran for was, now in pairs)
    others = max(0.0, after.busy - before.busy - ran)
    stolen = max(0.0, after.stolen - before.stolen)
    count = os.cpu_count() or 1
    least = min(max(waits, default=0.0), others) + stolen / count
    most = min(sum(waits), others) + stolen
    share = min(1.0, (others + stolen) / (count * seconds))
    return Waited(min(least, MOST * seconds), min(max(most, least), MOST * seconds), share)
