"""A machine that was given back is rented again: what `hostler wake POOL` does, of one slot, with the rights that
`controller.rents` gives, in a container of its own on the gateway's host.

What it stands on is all there already: the state in the bucket, the stack's SSH key beside it, the applied stack file. What
is kept here from one run to the next (Pulumi's program and plugin, 500 MB) lies in the controller's own folder.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hostler import operator
from hostler.console.out import Out
from hostler.controller import succeeding, telling
from hostler.controller.interrupted import mine
from hostler.controller.stand import reason
from hostler.controller.succeeding import refuse_more, refused
from hostler.errors import Exit, HostlerError, StackFileError
from hostler.hosts import ways
from hostler.rollout import observe, rented, secret, stackkey, up
from hostler.rollout.observe import Observation
from hostler.stackfile import idling
from hostler.stackfile.load import load
from hostler.stackfile.sections import StackFile

FOLDER = "rents"  # SLOT.json: what became of it, also written by the agent: node/site/controller.py
WORKING, DONE, FAILED = "working", "done", "failed"
SCRATCH = "scratch"  # and whose: a proof beside a rent must not sweep that one's
PROOF = "proof"  # as no slot is called
GOING_S, PAUSE_S = 180.0, 2.0  # a shutdown takes no longer
CREDENTIALS = "AWS_SHARED_CREDENTIALS_FILE"
PASSPHRASE = "HOSTLER_PASSPHRASE"  # noqa: S105 the name of a variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """`at` in seconds since 1970: when it began, or ended; `failures`: one after the other, until now; `took_s`: the last one
    that worked, 0 where none did."""

    state: str
    at: float
    why: str = ""
    failures: int = 0
    took_s: float = 0.0


def rent(there: Path, own: Path, job: str, held: str = "") -> int:
    """The exit code of `hostler wake`. `job`: the slot, or `succeeding.RENEW` and the slot that is to have a successor;
    `there`: what `up` brought; `own`: where what becomes of it is written; `held`: why somebody wants nothing to be changed."""
    out = Out(stdout=sys.stderr)
    slot, renews = job.removeprefix(succeeding.RENEW), job.startswith(succeeding.RENEW)
    _say(own, job, WORKING)
    file: StackFile | None = None
    try:
        file = load(there / "stack.yaml")
        if held:
            raise refused(slot, "nobody who wants nothing to be changed", held, "hostler update --go-on")
        entitle(there, own / f"{SCRATCH}-{job}", file)
        _refuse_unapplied(file, slot)
        told = succeeding.succeed(file, out, slot) if renews else _wake(file, out, slot)
    except HostlerError as error:
        out.error(error)
        _say(own, job, FAILED, reason(error))
        if file:
            what = succeeding.FAILED if renews else "could not be rented again"
            telling.alarm(file, out, "rent failed", f"{slot} {what}: {reason(error)}", {"about": slot})
        return int(error.code)
    except KeyboardInterrupt:
        _say(own, job, FAILED, "it was told to end; what was rented stays, and the next request goes on")
        return int(Exit.INTERRUPTED)
    except Exception as error:
        _say(own, job, FAILED, f"a bug in hostler, or a full disk: {type(error).__name__}")
        raise
    _say(own, job, DONE)
    if told:
        telling.alarm(file, out, "rented", told, {"about": slot})
    return 0


def _wake(file: StackFile, out: Out, slot: str) -> str:
    """What there is to tell of it; empty: nothing was done."""
    found = _at_rest(file, slot)
    known = found.record.slots.get(slot) if found.record else None
    if known and known.state == "retiring":
        out.say(f"{slot}: it goes, as another takes its place")
        return ""
    options = up.Options(
        yes=True,
        turn=up.Turn(need=(slot,)),
        why=f"wake {slot}, as requests wait",
        check=functools.partial(refuse_more, slot, ()),
    )
    up.up(file, out, options)
    return f"{slot} was rented again, as requests wait"


def _refuse_unapplied(file: StackFile, slot: str) -> None:
    """What people have begun is theirs to end: their change that was interrupted, or a newer stack file."""
    record = observe.observe(file, pulumi=False).record
    if record is None:
        return
    journal = record.journal
    if journal and not mine(journal):
        got = f"a change by {journal.who} that is under way, or was interrupted"
        raise refused(slot, "a stack that is at rest", got, "hostler rollout status")
    if not journal and record.applied != file.text:
        raise refused(slot, "the stack file that was applied last", "another one here", "hostler up")


def _at_rest(file: StackFile, slot: str) -> Observation:
    """One that just went still runs for AWS, and answers nobody; when it has ended, or stopped, it can be rented again."""
    until = time.monotonic() + GOING_S
    while True:
        found = observe.observe(file, pulumi=False)
        machine = found.cloud.rented.get(slot) if found.cloud else None
        seen = found.seen.get(slot)
        answers = seen is not None and seen.reached
        if machine is None or machine.stopped or answers or time.monotonic() > until:
            return found
        time.sleep(PAUSE_S)


def why_not(there: Path, own: Path) -> str:
    """Why it could not rent: its credentials, the state, its passphrase, Pulumi and its plugin, which are fetched now where
    they are not there yet. Empty: it could, or is not to."""
    try:
        file = load(there / "stack.yaml")
        if idling.rents(file.stack) is None:
            return ""
        entitle(there, own / f"{SCRATCH}-{PROOF}", file)
        rented.known(file)
        fleet = rented.fleet_of(file)
        stackkey.public(file, fleet)
        fleet.ready()
    except HostlerError as error:
        return reason(error)
    return ""


def entitle(there: Path, scratch: Path, file: StackFile) -> None:
    """From now on this process has the rights that the stack file gives the controller, and a folder of its own for what
    Pulumi's installer runs: nothing is run from the container's own /tmp. Raises StackFileError."""
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
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)


def said(own: Path, slot: str) -> Said | None:
    """What became of the last one; None: there was none."""
    try:
        found = json.loads((own / FOLDER / f"{slot}.json").read_text(encoding="utf-8"))
        return Said(
            state=str(found["state"]),
            at=float(found["at"]),
            why=str(found.get("why") or ""),
            failures=int(found.get("failures") or 0),
            took_s=float(found.get("took_s") or 0.0),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _say(own: Path, slot: str, state: str, why: str = "") -> None:
    (own / FOLDER).mkdir(mode=0o700, exist_ok=True)
    before, now = said(own, slot), time.time()
    failures = 0 if state == DONE or before is None else before.failures
    took_s = now - before.at if before and state == DONE else before.took_s if before else 0.0
    told = {"state": state, "at": now, "why": why, "failures": failures + (state == FAILED), "took_s": took_s}
    operator.write_json(own / FOLDER / f"{slot}.json", told)
