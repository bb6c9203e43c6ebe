"""end-run {"run": ID, "wait"?: 600} -> {"ended": [...], "waited": [...], "recovered": {id: what},
"returned": {id: what}}: what an interrupted run left behind.

Every remote command carries its run's id in HOSTLER_RUN. Processes of other runs are ended; package managers, and
whoever reads their output, are waited for instead: half an installation is worse than a late start. Then replicas in
the middle of an exchange serve again, as far as this host can make them, and so do those that were set aside.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Dict, Iterator, List, Set, Tuple

from ..base import files, shell
from ..base.processes import Process, ancestors, processes, read
from ..base.protocol import Answers, NodeError, Request, number, text
from ..exchange import retire
from ..replica import journal
from ..upgrades import aside

MANAGERS = (
    "apt",
    "apt-get",
    "apt-mark",
    "aptitude",
    "dpkg",
    "dpkg-deb",
    "dnf",
    "dnf-3",
    "dnf-automatic",
    "yum",
    "rpm",
    "zypper",
    "unattended-upgr",
)
GRACE = 20.0  # seconds from SIGTERM to SIGKILL
BACK = 300.0  # the same for the agent: an exchange puts the old one back, which loads its model again
WAIT = 600.0
PAUSE = 0.2


def end_run(request: Request, answers: Answers) -> int:
    current, limit = text(request, "run"), number(request, "wait", WAIT)
    own = ancestors(processes(), os.getpid())
    kept = spared()
    first = [p for p in left(current, own) if p.pid not in kept]
    end(first)
    waited = wait_for_managers(current, own, limit, answers)
    rest = left(current, own)
    end(rest)
    answers.say(
        ended=[p.as_json() for p in first + rest],
        waited=[p.as_json() for p in waited],
        recovered=dict(recovered()),
        returned=aside.left_behind(current),
    )
    return 0


def end_background(request: Request, answers: Answers) -> int:
    """`end-background {"run": ID}`: the downloads that this run began and does not wait for any more; their parts
    stay. Says {"ended": [...]}."""
    doomed = [p for p in processes().values() if p.run == text(request, "run") and is_background(p.pid)]
    send(doomed, signal.SIGTERM)
    answers.say(ended=[p.as_json() for p in doomed])
    return 0


def is_background(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return (shell.BACKGROUND + "=1").encode() in (files.read("/proc/%d/environ" % pid) or b"").split(
            b"\0"
        )
    return False


def recovered() -> Iterator[Tuple[str, str]]:
    """What was done to each; where it cannot be done now (no Docker, no disk), why: the plan then shows it as it is."""
    for identifier in journal.names():
        try:
            done = retire.recovered(identifier)
        except (NodeError, OSError) as error:
            done = "not put right: %s" % error
        if done:
            yield identifier, done


def wait_for_managers(current: str, own: Set[int], limit: float, answers: Answers) -> List[Process]:
    """Those that were waited for; NodeError when they do not end in time."""
    deadline, said = time.monotonic() + limit, 0.0
    waited: Dict[int, Process] = {}
    while True:
        busy = [p for p in left(current, own) if p.name in MANAGERS]
        if not busy:
            return list(waited.values())
        waited.update((p.pid, p) for p in busy)
        if time.monotonic() > deadline:
            names = ", ".join("%s (process %d)" % (p.name, p.pid) for p in busy)
            raise NodeError(
                "busy",
                "an interrupted run's %s still works after %g s" % (names, limit),
                "look at it, then try again",
            )
        if time.monotonic() - said > 5:
            answers.say(waiting=[p.as_json() for p in busy])
            said = time.monotonic()
        time.sleep(PAUSE)


def left(current: str, own: Set[int]) -> List[Process]:
    return [p for p in processes().values() if p.run and p.run != current and p.pid not in own]


def spared() -> Set[int]:
    """Package managers with all above and below them."""
    table = processes()
    managers = {p.pid for p in table.values() if p.name in MANAGERS}
    above = {pid for manager in managers for pid in ancestors(table, manager)}
    return above | {pid for pid in table if managers & ancestors(table, pid)}


def end(doomed: List[Process]) -> None:
    """SIGTERM, and SIGKILL for those that do not listen."""
    send(doomed, signal.SIGTERM)
    others = [p for p in doomed if p.name != files.AGENT]
    for some, limit in ((others, GRACE), (doomed, BACK)):
        deadline = time.monotonic() + limit
        while alive(some) and time.monotonic() < deadline:
            time.sleep(PAUSE / 4)
        send(alive(some), signal.SIGKILL)


def alive(doomed: List[Process]) -> List[Process]:
    found = (read(p.pid) for p in doomed)
    born = {p.pid: p.born for p in found if p is not None}
    return [p for p in doomed if born.get(p.pid) == p.born]


def send(doomed: List[Process], number_of_signal: int) -> None:
    for process in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number_of_signal)
