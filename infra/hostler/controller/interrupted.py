"""What the controller does with a change that did not end, and with one of its own that failed half-way."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hostler.controller.stand import Turn, closed, date, ended, options, reason
from hostler.errors import HostError, HostlerError, LockedError, RolledBackError
from hostler.hosts import ways
from hostler.record.types import Journal
from hostler.rollout import rollouts

LEFT_S = 3600.0  # a change of a person that takes longer was interrupted


def mine(journal: Journal) -> bool:
    return journal.who.partition("@")[0] == ways.ACCOUNT


def settle(it: Turn, journal: Journal) -> None:
    """A change that did not end. A person's is left to people. Our own goes on once, in the window; else, and where that
    fails, it goes back. What cannot be put right halts everything: nobody goes on over it."""
    if not mine(journal):
        text = f"a change by {journal.who} since {date(journal.since)} is under way, or was interrupted"
        it.become("deferred", text)
        if it.now - journal.since > LEFT_S:
            it.tell("deferred", f"updates wait: {text}; `hostler rollout status`")
        return
    release = str(journal.release)
    back = it.memory.resumed == release or bool(closed(it))
    tried = replace(it.memory.last, at=it.now)
    try:
        if not back:
            back = not _went_on(it, release)
        if back:
            rollouts.abort(it.file, it.out, yes=True, cut=False)
    except (LockedError, HostError):
        raise
    except RolledBackError as error:
        ended(it, replace(tried, ended="went back", why=reason(error)))
        it.become("idle", f"release {release} went back: {reason(error)}")
        it.tell("went back", f"an update that was interrupted went back: {reason(error)}", same=release)
    except HostlerError as error:
        it.keep(halted=f"release {release} was interrupted and could not be put right: {reason(error)}")
        it.become("halted", it.memory.halted)
        it.tell("halted", f"updates are halted: {it.memory.halted}")
    else:
        ended(it, replace(tried, ended="went back" if back else "good", why="it was interrupted"))
        done = "went back" if back else "went on and is done"
        it.become("idle", f"release {release} was interrupted; it {done}")
        it.tell("interrupted", f"an update was interrupted: release {release} {done}")


def _went_on(it: Turn, release: str) -> bool:
    """Whether going on made it; that it was tried is kept before it is. Where somebody else is at work, or a host does not
    answer, it was not tried."""
    before = it.memory.resumed
    it.keep(resumed=release)
    try:
        rollouts.resume(it.file, it.out, options(it))
    except (LockedError, HostError):
        it.keep(resumed=before)
        raise
    except RolledBackError:
        raise
    except HostlerError as error:
        it.out.say(f"it does not go on: {reason(error)}")
        return False
    return True


def forget(it: Turn) -> None:
    """What failed before anything was exchanged is forgotten by the record as well; else the next turn looks at it."""
    with suppress(HostlerError):
        rollouts.abort(it.file, it.out, yes=True, cut=False)
