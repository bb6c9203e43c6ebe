"""Replicas that do not run, side by side: none of them serves, so none has to wait for another."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import Any, Dict, List, Tuple

from ..base import instances, shell
from ..base.protocol import Answers, NodeError, Request, identity
from ..replica import outcome

Said = Dict[str, Any]


def start(request: Request, answers: Answers) -> int:
    """`start -` with {"ids": [...], "cut"?}: those that stand still are exchanged, each by a process of its own.

    Says {"changed", "started": [ids], "why"}; raises the first failure, with what the others met with in its reason.
    """
    ids = [identity({"op": "start", "id": one}) for one in request.get("ids") or ()]
    asked = {key: request[key] for key in ("cut",) if key in request}
    waiting = [(one, _begun(one, asked)) for one in ids if not instances.active(one)]
    said = [(one, process, _heard(process)) for one, process in waiting]
    failed = [(one, process.returncode, answer) for one, process, answer in said]
    _raise([(one, rc, answer) for one, rc, answer in failed if rc or "error" in answer])
    started = [one for one, _, answer in said if answer.get("changed")]
    why = "; ".join("%s: %s" % (one, answer.get("outcome", "")) for one, _, answer in said)
    outcome.say(answers, changed=bool(started), started=started, why=why)
    return 0


def _begun(identifier: str, asked: Said) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, sys.argv[0], "exchange", identifier, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=shell.environment(),
    )
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:  # its end says why
            stdin.write(json.dumps(asked).encode() + b"\n")
    return process


def _heard(process: "subprocess.Popen[bytes]") -> Said:
    """Its last line, when it has ended. Read before it is waited for: a container's log may fill the pipe."""
    lines: List[bytes] = []
    if process.stdout:
        with process.stdout as stdout:
            lines = stdout.read().splitlines()
    process.wait()
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, ValueError):
        return {"error": "failed", "message": "it said nothing (status %d)" % process.returncode}


def _raise(failed: List[Tuple[str, int, Said]]) -> None:
    if not failed:
        return
    one, rc, answer = failed[0]
    why = "; ".join("%s: %s" % (name, other.get("message", "")) for name, _, other in failed)
    more = {key: value for key, value in answer.items() if key not in ("error", "message", "next")}
    kind, following = str(answer.get("error", "failed")), str(answer.get("next", ""))
    raise NodeError(kind, why, following, rc=rc or 1, **{**more, "why": why, "id": one})
