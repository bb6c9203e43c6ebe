"""What is known of replicas that stalled or would not start, in files: what the watch did, and how each stands."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import Any, Dict, List, Optional

from ..base import files, instances
from ..base.protocol import Answers, NodeError, Request, as_dict
from .stall import Limits, State

KEPT = (
    "/var/lib/hostler/watch"  # <id>.json stays over boots; <id>.log: what the engine said before it was ended
)
LOOKS = "/run/hostler/watch"  # <id>.json: of the last look
LIMITS = "/etc/hostler/watch.json"
TIMER = "hostler-watch.timer"
SERVICE = "hostler-watch.service"
FILES = tuple("/etc/systemd/system/" + name for name in (TIMER, SERVICE))

RESTARTING, OUT, LOOP = "restarting", "out", "loop"  # states; empty: nothing is wrong
TROUBLE = re.compile(r"error|fail|exception|fatal|abort|cannot|unable|no such|out of memory", re.IGNORECASE)
LINE = 200  # characters of an engine's last words

Kept = Dict[str, Any]  # "state", "why", "event": {"at", "what"}, "restarts": [time]


def limits() -> Limits:
    """A file that nobody can read is no reason to watch nothing."""
    try:
        return Limits.of(as_dict(files.read_json(LIMITS, {})))
    except (OSError, NodeError):
        return Limits()


def kept(identifier: str) -> Kept:
    return _read(KEPT, identifier)


def keep(identifier: str, found: Kept) -> None:
    files.write_json("%s/%s.json" % (KEPT, identifier), found)


def keep_log(identifier: str, lines: List[str]) -> None:
    files.write("%s/%s.log" % (KEPT, identifier), "".join(line + "\n" for line in lines).encode(), 0o600)


def looked(identifier: str) -> State:
    return _read(LOOKS, identifier)


def look_kept(identifier: str, state: State) -> None:
    """Below /run: of no worth after a boot."""
    files.write_json("%s/%s.json" % (LOOKS, identifier), state)


def look_forgotten(identifier: str) -> None:
    """But for the ends before it was ready, as long as these are still counted."""
    ends = int(looked(identifier).get("ends") or 0)
    files.remove("%s/%s.json" % (LOOKS, identifier))
    if 0 < ends <= int(_died(identifier).get("count") or 0):
        with contextlib.suppress(OSError):
            look_kept(identifier, {"ends": ends})


def ends_forgotten(identifier: str) -> None:
    """As container.forget_end, with what is known of them here: somebody started it."""
    files.remove("%s/%s.json" % (files.DIED, identifier))
    look_forgotten(identifier)


def forgotten(identifier: str) -> None:
    """Of a replica that is no more here."""
    for path in ("%s/%s.json" % (KEPT, identifier), "%s/%s.log" % (KEPT, identifier)):
        files.remove(path)
    files.remove("%s/%s.json" % (LOOKS, identifier))


def _read(folder: str, identifier: str) -> Dict[str, Any]:
    """Damaged is as good as nothing: the next look writes it anew."""
    try:
        return as_dict(files.read_json("%s/%s.json" % (folder, identifier), {}))
    except (OSError, NodeError):
        return {}


def seen(identifier: str) -> Optional[Dict[str, Any]]:
    """For a probe: {"state", "why", "event", "starts": how often it ended since it was started, "in_s", "last"}; None
    where nothing ever happened."""
    found, end = kept(identifier), _died(identifier)
    ends: List[float] = end.get("ends") or []
    if not found and not ends:
        return None
    return {
        "state": found.get("state", ""),
        "why": found.get("why", ""),
        "event": found.get("event"),
        "starts": len(ends),
        "in_s": round(ends[-1] - ends[0], 1) if ends else 0.0,
        "last": last_words(end.get("log") or []) or str(end.get("why", "")),
    }


def died(identifier: str) -> Dict[str, Any]:
    """As container.died; empty where it never ended. Read here, because that one brings half of the agent along."""
    return as_dict(files.read_json("%s/%s.json" % (files.DIED, identifier), {}))


def _died(identifier: str) -> Dict[str, Any]:
    try:
        return died(identifier)
    except (OSError, NodeError):
        return {}


def last_words(log: List[str]) -> str:
    """The last line of an engine's that tells of trouble, else its last line."""
    lines = [str(line).strip() for line in log if str(line).strip()]
    told = [line for line in lines if TROUBLE.search(line)]
    return (told or lines or [""])[-1][:LINE]


def minutes(seconds: float) -> str:
    """02:13"""
    return "%02d:%02d" % divmod(int(seconds), 60)


def happened(found: Kept, what: str, **more: Any) -> Kept:
    """With something that people are told."""
    return {**found, **more, "event": {"at": time.time(), "what": what}}


def timer(_request: Request, answers: Answers) -> int:
    """`watch-timer`: replicas of this host are watched as long as its limits are here. Says {"changed"}."""
    answers.say(changed=instances.timer(TIMER, files.read(LIMITS) is not None))
    return 0


def stop() -> None:
    """For `down`: nothing is started again meanwhile."""
    if any(os.path.lexists(files.at(path)) for path in FILES):
        instances.systemctl("stop", TIMER, SERVICE)
