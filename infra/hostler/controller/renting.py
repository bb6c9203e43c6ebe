"""A machine that was given back is rented again: what `hostler wake POOL` does, of one slot, with the rights that
`controller.rents` gives, in a container of its own on the gateway's host.

What it stands on is all there already: the state in the bucket, the stack's SSH key beside it, the applied stack file. What
is kept here from one run to the next (Pulumi's program and plugin, 500 MB) lies in the controller's own folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hostler import operator
from hostler.console.out import Out
from hostler.controller.stand import reason
from hostler.errors import Exit, HostlerError, StackFileError
from hostler.hosts import ways
from hostler.rollout import rented, secret, stackkey, up
from hostler.stackfile import idling
from hostler.stackfile.load import load
from hostler.stackfile.sections import StackFile

FOLDER = "rents"  # SLOT.json: what became of it, also written by the agent: node/site/controller.py
WORKING, DONE, FAILED = "working", "done", "failed"
CREDENTIALS = "AWS_SHARED_CREDENTIALS_FILE"
PASSPHRASE = "HOSTLER_PASSPHRASE"  # noqa: S105 the name of a variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """`at` in seconds since 1970: when it began, or ended."""

    state: str
    at: float
    why: str = ""


def rent(there: Path, own: Path, slot: str) -> int:
    """The exit code of `hostler wake`. `there`: what `up` brought; `own`: where what becomes of it is written."""
    out = Out(stdout=sys.stderr)
    _say(own, slot, WORKING)
    try:
        file = load(there / "stack.yaml")
        entitle(there, file)
        turn = up.Turn(need=(slot,))
        up.up(file, out, up.Options(yes=True, turn=turn, why=f"wake {slot}, as a request waits"))
    except HostlerError as error:
        out.error(error)
        _say(own, slot, FAILED, reason(error))
        return int(error.code)
    except KeyboardInterrupt:
        _say(own, slot, FAILED, "it was told to end; what was rented stays, and the next request goes on")
        return int(Exit.INTERRUPTED)
    except Exception as error:
        _say(own, slot, FAILED, f"a bug in hostler, or a full disk: {type(error).__name__}")
        raise
    _say(own, slot, DONE)
    return 0


def why_not(there: Path) -> str:
    """Why it could not rent: its credentials, the state, its passphrase, Pulumi and its plugin, which are fetched now where
    they are not there yet. Empty: it could, or is not to."""
    try:
        file = load(there / "stack.yaml")
        if idling.rents(file.stack) is None:
            return ""
        entitle(there, file)
        rented.known(file)
        fleet = rented.fleet_of(file)
        stackkey.public(file, fleet)
        fleet.ready()
    except HostlerError as error:
        return reason(error)
    return ""


def entitle(there: Path, file: StackFile) -> None:
    """From now on this process has the rights that the stack file gives the controller. Raises StackFileError."""
    found = idling.rents(file.stack)
    if found is None:
        raise StackFileError.of(
            file.where("controller"),
            expected="`rents`, by which it may rent machines again",
            got="none",
            next_step="hostler wake POOL, on a machine that has the rights",
        )
    os.environ[ways.RIGHTS] = "1"
    os.environ[CREDENTIALS] = str(there / "secrets" / found.credentials)
    if found.passphrase:
        os.environ[PASSPHRASE] = secret.value(file, found.passphrase)


def said(own: Path, slot: str) -> Said | None:
    """What became of the last one; None: there was none."""
    try:
        found = json.loads((own / FOLDER / f"{slot}.json").read_text(encoding="utf-8"))
        return Said(state=str(found["state"]), at=float(found["at"]), why=str(found.get("why") or ""))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _say(own: Path, slot: str, state: str, why: str = "") -> None:
    (own / FOLDER).mkdir(mode=0o700, exist_ok=True)
    operator.write_json(own / FOLDER / f"{slot}.json", {"state": state, "at": time.time(), "why": why})
