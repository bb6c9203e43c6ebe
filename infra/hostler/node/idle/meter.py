"""What this host draws at the wall, as the stack file's own command says it: each minute, beside the looks.

The command may hold credentials: nothing of it, and nothing that it says but a number, is in any answer, error or list of
processes.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ..base import processes, shell
from ..base.protocol import Request, as_dict, number

EVERY_S = 60.0
LIMIT_S = 10.0
HOST = "HOSTLER_HOST"  # in its environment: the name of this host in the stack file
MOST_W = 1e6  # what says more says something else than watts


class Reading(NamedTuple):
    """`watts` None: it said none, and `why`. `left`: its process, where it stays behind though it was killed."""

    watts: Optional[float]
    why: str
    left: int = 0

    def to_json(self) -> Dict[str, Any]:
        return {"watts": self.watts, "why": self.why}


def read(command: str, host: str) -> Reading:
    """By a shell of its own; killed with all that it started at the limit."""
    script = "{\n%s\n} </dev/null\n" % command  # what it runs must not read the rest of it
    result = shell.run(("sh", "-s"), LIMIT_S, script.encode(), {HOST: host})
    if result.rc == shell.TIMED_OUT:
        return Reading(None, "it did not end in time, %g s at most" % LIMIT_S, result.left)
    if not result.ok:
        return Reading(None, "it ended with status %d" % result.rc)
    watts = number_of(result.stdout)
    return Reading(watts, "" if watts is not None else "expected watts, a number, on its first line")


def number_of(said: str) -> Optional[float]:
    """Of the first line, which has nothing else; None: it is no power that a machine can have."""
    try:
        watts = float(said.partition("\n")[0])
    except ValueError:
        return None
    return watts if math.isfinite(watts) and 0 <= watts <= MOST_W else None


class Meter:
    """`take` never waits. One reading at a time, and none while a process of an earlier one hangs in the kernel."""

    def __init__(self, command: str, host: str, every_s: float = EVERY_S) -> None:
        self._command, self._host, self._every = command, host, every_s
        self._next = 0.0
        self._thread: Optional[threading.Thread] = None
        self._found: List[Reading] = []
        self._left, self._born = 0, ""

    def take(self) -> List[Reading]:
        """Those that are through; another one begins when it is time."""
        found, self._found = self._found, []
        busy = self._thread is not None and self._thread.is_alive()
        if not busy and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            if self._hangs():
                return [*found, Reading(None, "its process hangs, and cannot be killed")]
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        return found

    def _hangs(self) -> bool:
        return bool(self._left) and processes.born(self._left) == self._born != ""

    def _read(self) -> None:
        found = read(self._command, self._host)
        self._left = found.left
        self._born = processes.born(found.left) if found.left else ""
        self._found.append(found)


def of(request: Request) -> Optional[Meter]:
    """{"meter": {"command", "host"}, "meter_s"}; None: none is wanted."""
    wanted = as_dict(request.get("meter"))
    command = str(wanted.get("command") or "")
    every = number(request, "meter_s", EVERY_S)
    return Meter(command, str(wanted.get("host") or ""), every) if command else None
