"""One turn of the controller: look, remember what is new, and take one update if one is ripe and nothing speaks against it.

Everything that changes a stack is what people run: the same plan, lock, journal, canary and way back. A turn that may not
do something says why, and the next one looks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from hostler.configure import leftovers
from hostler.console import status
from hostler.controller import frozen, interrupted, packages
from hostler.controller.frozen import Frozen
from hostler.controller.memory import Last
from hostler.controller.stand import Turn, closed, date, ended, options, reason
from hostler.errors import HostlerError, LockedError, RefusedError, RolledBackError
from hostler.models.release import live_release
from hostler.models.types import Release
from hostler.record.types import Record
from hostler.rollout import home, planning, up, update
from hostler.rollout.observe import Observation
from hostler.stackfile import updating

GOOD = ("ready", "asleep")  # one that sleeps is as it should be
LOOK_S = 6 * 3600.0  # registries and hubs are not asked more often
AGAIN_S = 20 * 3600.0  # what failed without going back (a pull, a download) is tried once a night


type Hold = Callable[[], str]


def nobody() -> str:
    return ""


def turn(it: Turn, hold: Hold = nobody) -> None:
    """`hold`: why somebody wants nothing to be done at this moment, empty: nobody does. Raises nothing that a person should
    mend elsewhere than in what is told."""
    try:
        _turn(it, hold)
    except LockedError as error:
        it.become("deferred", reason(error))
    except HostlerError as error:
        it.become("deferred", reason(error))
        it.tell("deferred", f"updates wait: {reason(error)}")
    if it.state != "deferred":
        it.quiet("deferred")


def _turn(it: Turn, hold: Hold) -> None:
    observation = up.look(it.file, up.Options(yes=True), pulumi=False)
    record = home.running(observation)
    if it.memory.halted:
        it.become("halted", f"{it.memory.halted}; `hostler update --go-on` when it is mended")
        return
    if record.journal:
        if why := hold():
            it.become("paused", f"{why}; a change was interrupted, and waits: `hostler rollout status`")
        else:
            interrupted.settle(it, record.journal)
        return
    live = live_release(record)
    if live is None:
        it.become("deferred", "no release is live: `hostler up` first")
        return
    _freeze(it, live)
    if why := hold():
        it.become("paused", why)
        return
    one = _due(it)
    if one is None and not packages.due(it):
        return
    what = one.words if one else "security fixes of the hosts"
    why = _speaks_against(it, observation, record, live)
    if one and not why:
        why = update.went_back(one.model, one.runs, record)
    if why := why or hold():
        it.become("deferred", f"{what} waits: {why}")
        it.tell("deferred", f"{what} waits: {why}")
    elif one:
        _take(it, observation, one)
    else:  # at the turns at which no model is due: one thing at a time
        packages.take(it)


def _freeze(it: Turn, live: Release) -> None:
    """What is new waits from now on."""
    known = frozen.let_go(it.memory.frozen, live)
    if it.now - it.memory.looked >= LOOK_S:
        _, found = update.candidates(it.file, it.out, list(live.models), yes=True)
        models = [one for one in found if isinstance(one, update.Candidate)]
        known = frozen.renewed(known, models, live, it.now)
        unknown = {one.model: one.why_not for one in models if one.bar == "unknown"}
        it.keep(looked=it.now, unknown=unknown)
        for model, why in unknown.items():
            it.tell(f"unknown {model}", f"what is newer of {model} is {why}", model=model)
        for event in [name for name in it.memory.told if name.startswith("unknown ")]:
            if event.removeprefix("unknown ") not in unknown:
                it.quiet(event)
    it.keep(frozen=known)
    for one in known.values():
        verdict = frozen.verdict(one, it.updates, it.memory.took.get(one.model, 0.0), it.now)
        then = (
            f"`hostler update {one.model} --apply` takes it"
            if verdict == "report"
            else f"it is taken from {date(_from(it, one))} on"
        )
        text = f"newer: {one.words}; {then}"
        it.tell(f"new {one.model}", text, same=str(one.seen), model=one.model, changed=list(one.changed))
    for event in [name for name in it.memory.told if name.startswith("new ") and name[4:] not in known]:
        it.quiet(event)


def _from(it: Turn, one: Frozen) -> float:
    """From when on it may be taken: old enough, and in a window."""
    old = frozen.ripens(one, it.updates, it.memory.took.get(one.model, 0.0)) or it.now
    soonest = max(old, it.now, it.memory.failed.get(one.model, 0.0) + AGAIN_S)
    return updating.window(it.updates.window).opens(soonest) if it.updates.window else soonest


def _due(it: Turn) -> Frozen | None:
    """The one to take now; else it is said what is waited for."""
    waiting = list(it.memory.frozen.values())
    if not waiting:
        unknown = [f"{model}: {why}" for model, why in it.memory.unknown.items()]
        it.become("waiting" if unknown else "idle", "; ".join(unknown) or "nothing newer")
        return None
    ripe = frozen.ripe(it.memory.frozen, it.updates, it.memory.took, it.now)
    ripe = [one for one in ripe if it.now - it.memory.failed.get(one.model, 0.0) >= AGAIN_S]
    if not ripe:
        it.become("waiting", "; ".join(_waits(it, one) for one in waiting))
        return None
    if why := closed(it, it.memory.lasted.get(ripe[0].model, 0.0)):
        it.become("waiting", f"{ripe[0].words}: {why}")
        return None
    return ripe[0]


def _waits(it: Turn, one: Frozen) -> str:
    if frozen.ripens(one, it.updates, 0.0) is None:
        return f"{one.words} (reported only)"
    failed = it.memory.failed.get(one.model, 0.0)
    again = f"; it failed {date(failed)}" if failed and one.seen < failed else ""
    return f"{one.words}, from {date(_from(it, one))} on{again}"


def _speaks_against(it: Turn, observation: Observation, record: Record, live: Release) -> str:
    """Why nothing is changed now: empty, nothing does."""
    if record.applied != it.file.text:
        return "the stack file here is not the one that was applied last; `hostler up` brings it"
    if silent := sorted(name for name, seen in observation.seen.items() if not seen.reached):
        return f"no answer from {', '.join(silent)}"
    found = status.report(observation.hosts, observation.seen, record)
    states = {row["id"]: row["state"] for row in found["replicas"]}
    if ill := [f"{name} ({state})" for name, state in sorted(states.items()) if state not in GOOD]:
        return f"not everything serves: {', '.join(ill)}"
    if lost := [f"{row['host']}: {row['name']}" for row in found["cards"] if row["state"] == "missing"]:
        return f"cards are missing: {', '.join(lost)}"
    planned = planning.make(observation, release=live).plan.changes
    if changes := [change for change in planned if not leftovers.goes_last(change)]:  # of one that went back
        first = f"{changes[0].host}: {changes[0].item} ({changes[0].why})"
        return f"the hosts are not as they were left, {len(changes)} changes, first {first}; `hostler plan` shows them"
    return ""


def _take(it: Turn, observation: Observation, one: Frozen) -> None:
    """The update itself; what came of it is kept and told."""
    it.out.say(f"taking {one.words}")
    candidate = update.Candidate(model=one.model, runs=one.runs, changed=one.changed)
    tried = Last(model=one.model, what="; ".join(one.changed), at=it.now)
    it.keep(last=tried)  # whose it is, if it is cut short
    begun = time.monotonic()
    try:
        update.apply(it.file, observation, [candidate], it.out, options(it))
    except RolledBackError as error:
        why = reason(error)
        ended(it, replace(tried, ended="went back", why=why))
        it.become("idle", f"{one.words} went back: {why}")
        it.tell("went back", f"{one.words} went back, what ran before serves: {why}", model=one.model)
    except RefusedError as error:
        it.become("deferred", f"{one.words} waits: {reason(error)}")
        it.tell("deferred", f"{one.words} waits: {reason(error)}", model=one.model)
    except LockedError:
        raise
    except HostlerError as error:
        why = reason(error)
        it.keep(last=replace(tried, ended="failed", why=why), failed={**it.memory.failed, one.model: it.now})
        interrupted.forget(it)
        it.become("deferred", f"{one.words} failed: {why}")
        it.tell("failed", f"{one.words} failed: {why}", model=one.model)
    else:
        it.keep(lasted={**it.memory.lasted, one.model: time.monotonic() - begun})
        ended(it, replace(tried, ended="good"))
        it.become("idle", f"updated {one.words}")
        it.tell(f"updated {one.model}", f"updated {one.words}", model=one.model)
