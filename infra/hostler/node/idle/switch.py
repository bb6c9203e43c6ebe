"""The dead man's switch: what is due by this host's own evidence is done, without asking anybody, some minutes after the
controller would have done it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any, Dict, Optional

from ..base import clock, files
from ..base.protocol import Answers, NodeError, as_dict
from . import deciding, keeping, policy
from .looks import REPLACE, Due, Policy, Verdict

SHADOW = "/var/lib/hostler/idle/shadow.jsonl"  # what would have been done, once for each window
BY = "the host's own switch"
HOST = "host"
DONE, STAYS = "done", "stays"
KEPT = 1 << 20  # bytes of the ledger of shadows; then it begins anew
Json = Dict[str, Any]


class Nobody(Answers):
    """Whom nothing is said."""

    def __init__(self) -> None:
        super().__init__()

    def say_value(self, value: Any) -> None:  # noqa: ARG002 - as Answers has it
        return


def act(looked: Json) -> Dict[str, str]:
    """What was done, by subject; by what this look says. The host first: of one that goes no replica is put to sleep."""
    wish = policy.read()
    done: Dict[str, str] = {}
    host = _due(HOST, wish.host, Verdict.from_json(looked[HOST]), wish.extra_s)
    if host:
        done[HOST] = _tried(HOST, lambda: _end(host.do, host.why))
        if done[HOST].startswith(DONE):
            return done
    for name, verdict in sorted(keeping.verdicts(looked).items()):
        found = _due(name, wish.replicas.get(name), verdict, wish.extra_s)
        if found:
            done[name] = _tried(name, lambda name=name, why=found.why: _sleep(name, why))  # type: ignore[misc]
    return done


def _sleep(name: str, why: str) -> Json:
    """What it takes is read only here: a look has to cost next to nothing."""
    from . import sleeping

    return sleeping.fall_asleep(name, {"op": "sleep", "id": name, "why": why, "by": BY}, Nobody())


def _end(do: str, why: str) -> Json:
    from . import ending

    return ending.end(do, {"op": "host-end", "do": do, "why": why, "by": BY}, Nobody())


def _due(name: str, wish: Optional[Policy], verdict: Verdict, extra_s: float) -> Optional[Due]:
    """What is to be done now; what is only to be reported is."""
    if wish is None:
        return None
    found = deciding.due(wish, verdict, clock.boottime(), time.time(), extra_s)
    if found is None or (found.do and found.do != REPLACE):
        return found
    if _is_new(name, found):
        keeping.tell("%s: %s" % (name, found.why))
        if not found.do:
            with contextlib.suppress(OSError):
                _shadowed(name, wish, found)
    return None


def _is_new(name: str, found: Due) -> bool:
    """Once for each window."""
    with keeping.kept() as state:
        told: Json = state.setdefault("told", {})
        key = "%s %s" % (name, found.do)
        if told.get(key) == found.since:
            return False
        told[key] = found.since
    return True


def _shadowed(name: str, wish: Policy, found: Due) -> None:
    now, begun = time.time(), time.time() - (clock.boottime() - found.since)
    row = {"at": now, "subject": name, "do": wish.do, "since": begun, "why": found.why}
    path = files.at(SHADOW)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    full = os.path.exists(path) and os.path.getsize(path) > KEPT
    with open(path, "w" if full else "a", encoding="ascii") as file:
        file.write(json.dumps(row) + "\n")


def _tried(name: str, do: Any) -> str:
    try:
        said = as_dict(do())
        what = "%s: %s" % (DONE if said.get("changed") else STAYS, said.get("why", ""))
    except (NodeError, OSError) as error:
        what = "failed: %s" % error
    keeping.tell("%s: %s" % (name, what))
    return what
