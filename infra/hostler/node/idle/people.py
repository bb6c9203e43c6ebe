"""Who is on this host, by the kernel's table of processes: sessions over SSH and at consoles. utmp says too little.

A session of SSH is one of sshd's processes that is titled USER@PLACE. One without a terminal in which nothing but this
agent runs is somebody who looks from afar: what must not be cut of those is a task (tasks.py).
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Set

from ..base import clock, files

OURS = ("hostler-updates",)  # the controller's own account
TITLE = re.compile(r"sshd(?:-session)?: ((?!\[)\S+?)(?:@([a-z0-9/,]+))?\s*")  # not `[priv]`, `[listener] ...`
NO_TERMINAL = "notty"
YOUNG_S = 3.0  # a call of the agent from afar is a shell first
CONSOLES = (4, 204)  # major numbers: virtual and serial ones
WAITING = ("agetty", "getty", "mingetty", "login", "Xorg", "X", "Xwayland", "plymouthd", "systemd")
ROAMING = "mosh-server"
PEOPLE = 1000  # user ids from here on, and root


class Process(NamedTuple):
    """`tty`: major number of its terminal; `age_s` in seconds."""

    pid: int
    parent: int
    name: str
    tty: int
    age_s: float
    user: int
    title: str


def table() -> List[Process]:
    """All that are at home here: in a container or guest they are not this machine's. Raises OSError."""
    home = _namespace("self")
    now, ticks = clock.boottime(), os.sysconf("SC_CLK_TCK")
    pids = [name for name in os.listdir(files.at("/proc")) if name.isdigit()]
    found = (_process(pid, now, ticks) for pid in pids if _namespace(pid) in (home, ""))
    return [one for one in found if one is not None]


def _namespace(pid: str) -> str:
    try:
        return os.readlink(files.at("/proc/%s/ns/pid" % pid))
    except OSError:
        return ""


def _process(pid: str, now: float, ticks: int) -> Optional[Process]:
    """None: it has ended."""
    folder = "/proc/" + pid
    try:
        told = (files.read(folder + "/stat") or b"").decode("utf-8", "replace")
        words = (files.read(folder + "/cmdline") or b"").split(b"\0")
        user = os.stat(files.at(folder)).st_uid
    except OSError:
        return None
    name, _, rest = told.partition("(")[2].rpartition(")")
    fields = rest.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    age = now - int(fields[19]) / ticks
    tty = int(fields[4]) >> 8 & 0xFFF
    title = b" ".join(words).decode("utf-8", "replace").strip()
    return Process(int(pid), int(fields[1]), name, tty, age, user, title)


def sessions(processes: Iterable[Process]) -> List[str]:
    """Each in words: who, and where."""
    everyone = list(processes)
    children: Dict[int, List[Process]] = {}
    for one in everyone:
        children.setdefault(one.parent, []).append(one)
    found = [_remote(one, children) for one in everyone if one.name.startswith("sshd")]
    consoles = {one.user for one in everyone if _is_at_console(one)}
    roaming = [one for one in everyone if one.name == ROAMING]
    return [
        *filter(None, found),
        *("a console of user id %d" % user for user in sorted(consoles)),
        *("mosh of user id %d" % one.user for one in roaming),
    ]


def _remote(one: Process, children: Dict[int, List[Process]]) -> str:
    match = TITLE.fullmatch(one.title)
    if match is None:
        return ""
    user, place = match.groups()
    if user in OURS:
        return ""
    if place is None or place == NO_TERMINAL:
        below = _below(one.pid, children, set())
        if one.age_s < YOUNG_S or any(child.name == files.AGENT for child in below):
            return ""
        return "%s by SSH" % user
    return "%s at %s" % (user, place)


def _below(pid: int, children: Dict[int, List[Process]], known: Set[int]) -> List[Process]:
    found: List[Process] = []
    for child in children.get(pid, []):
        if child.pid not in known:
            known.add(child.pid)
            found += [child, *_below(child.pid, children, known)]
    return found


def _is_at_console(one: Process) -> bool:
    return one.tty in CONSOLES and one.name not in WAITING and (one.user == 0 or one.user >= PEOPLE)
