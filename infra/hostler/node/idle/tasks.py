"""What goes on here that must not be cut: changes of this host's containers, downloads, packages, upgrades, changes of the
stack. Each in words."""

from __future__ import annotations

import os
import time
from typing import List, Sequence

from ..base import files, processes
from ..doors import away
from ..packages import packages
from ..replica import journal
from .people import Process

LOCKS = "/proc/locks"
# Commands of the agent that may end at any time: what looks, what waits for a container's end, and this room's own.
ENDS = (
    "run", "stop", "watch", "probe", "logs", "ask", "boot", "lock", "record-read", "egress", "idle-look", "idle-keep", "sleep",
    "wake", "host-end", "wake-host", "firewall", "span", "controller-logs", "controller-serve",
)  # fmt: skip

SHORT_S = 5.0  # whoever is about to end this host looks at it first, under a run of its own


def look(there: Sequence[Process], run: str = "") -> List[str]:
    """`run`: whose own doings are none. Raises OSError where it cannot be seen."""
    note = away.read()
    fresh = note is not None and abs(time.time() - float(note.get("at") or 0)) < away.AGAIN_S
    trouble = packages.trouble()
    return [
        *("an exchange of %s" % name for name in journal.names()),
        *(["its replicas are set aside"] if fresh else []),
        *([trouble] if "holds" in trouble else []),
        *_runs(there, run),
        *(["somebody changes the stack"] if _locked(run) else []),
    ]


def _runs(there: Sequence[Process], run: str) -> List[str]:
    """Processes of a run of somebody's that take their time, and of the installed agent that change something."""
    table = processes.processes()
    own = processes.ancestors(table, os.getpid())
    ages = {one.pid: one.age_s for one in there}
    others = (one for one in table.values() if one.run not in ("", run) and one.pid not in own)
    found = {one.run for one in others if ages.get(one.pid, 0.0) >= SHORT_S}
    works = {
        command
        for one in there
        for command in [_command(one)]
        if one.pid not in own and command and command not in ENDS
    }
    return ["%s of hostler" % name for name in sorted(works)] + [
        "run %s of hostler" % name for name in sorted(found)
    ]


def _command(one: Process) -> str:
    """`exchange`, of `python3 /usr/local/lib/hostler/hostler-node exchange chat-0`."""
    _, found, rest = one.title.partition(files.PROGRAM + " ")
    words = rest.split()
    return words[0] if found and words else ""


def _locked(run: str) -> bool:
    """Whether the stack's lock is held here, and not by `run`."""
    try:
        inode = os.stat(files.at(files.LOCK)).st_ino
    except FileNotFoundError:
        return False
    rows = (line.split() for line in files.read_text(LOCKS).splitlines())
    held = any(len(row) > 5 and row[1] == "FLOCK" and row[5].rpartition(":")[2] == str(inode) for row in rows)
    return held and not (run and '"run": "%s"' % run in files.read_text(files.LOCK))
