"""Whether a replica or a host is idle, since when, and what is due then. Pure: state and a look in, state and verdict out.

Three enforce by this code, each from its own looks: the controller, a host's own dead man's switch `SWITCH_EXTRA_S`
later, and whoever is asked to end something judges once more. So it says idle only of what was proven: each look of the
window succeeded and saw nothing in flight, by the same run of the engine and the same processes of the doors, and no
counter is another one now than when the window began. Anything else begins the window anew. Time is CLOCK_BOOTTIME.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import hours
from .looks import (
    ASLEEP,
    BUSY,
    IDLE,
    LOADING,
    REPLACE,
    UNKNOWN,
    Door,
    Due,
    Look,
    Policy,
    Presence,
    Verdict,
)

__all__ = [
    "ASLEEP",
    "BUSY",
    "GAP_S",
    "IDLE",
    "LOADING",
    "REPLACE",
    "STALE_S",
    "STALLED_S",
    "SWITCH_EXTRA_S",
    "UNKNOWN",
    "Door",
    "Due",
    "Look",
    "Policy",
    "Presence",
    "State",
    "Verdict",
    "asleep",
    "due",
    "judge",
    "presence",
    "span",
    "together",
]

GAP_S = 300.0  # between looks: more, and the timer was dead or the host was suspended
STALE_S = 60.0  # a last look that is older proves nothing
STALLED_S = 1800.0  # busy, and nothing at all moved
SWITCH_EXTRA_S = 300.0  # the dead man's switch waits that much longer than the controller
State = Dict[str, Any]  # as JSON; what is not as it was written here is as if nothing had been kept

_NUMBER, _MAYBE = (int, float), (int, float, type(None))
_REPLICA: Dict[str, Any] = {
    "born": str,
    "at": _NUMBER,  # of the last look
    "first": _NUMBER,  # of the first look of this run
    "ready": bool,  # it was seen to be so in this run
    "width": int,  # so many counters of work were seen in this run
    "marks": dict,  # counters, and the doors' processes, as of the last look
    "load": dict,  # requests in flight then
    "since": _MAYBE,  # the window's begin
    "still": _MAYBE,  # since when nothing moved, busy or not
    "gap": _MAYBE,  # the look that ended a long gap, until the window is trusted again
    "why": str,
}
_HOST: Dict[str, Any] = {"boot": str, "at": _NUMBER, "since": _MAYBE, "why": str}


def _kept(state: State, kinds: Dict[str, Any]) -> State:
    try:
        right = all(map(isinstance, [state[key] for key in kinds], kinds.values()))
    except KeyError:
        return {}
    return state if right else {}


def judge(state: State, look: Optional[Look], at: Optional[float] = None) -> Tuple[State, Verdict]:
    """A replica, after one more look; None: it could not be looked at, `at` this time."""
    kept = _kept(state, _REPLICA)
    if look is None or not math.isfinite(look.at):
        kept, why = _failed(kept, at), "it could not be looked at"
        failed: State = {**kept, "since": None, "still": None, "gap": None, "why": why}
        return failed, Verdict(UNKNOWN, None, why, kept.get("at"), kept.get("first"))
    same = kept.get("born") == look.born
    last: float = kept["at"] if same else look.at
    new: State = {
        "born": look.born,
        "at": max(look.at, last),  # one that comes late must not turn time back
        "first": kept["first"] if same else look.at,
        "ready": look.ready is True or bool(same and kept["ready"]),
        "width": max(len(look.work or ()), kept["width"] if same else 0),
        "marks": _marks(look),
        "load": _load(look),
    }
    changed = _changed(kept, new, late=look.at < last)
    unknown = _unknown(look, new["width"])
    word, why = _word(look, unknown, ready=new["ready"])
    gap = new["at"] - last > GAP_S
    new.update(since=None, gap=None, still=None, why=why)
    if not unknown and (
        look.work or word != BUSY
    ):  # without counters nobody knows what a request in flight does
        holds = not changed and not gap and kept["load"] == new["load"] and kept["still"] is not None
        new["still"] = kept["still"] if holds else new["at"]
    if word == IDLE:
        goes_on = not changed and kept["since"] is not None
        new["since"] = kept["since"] if goes_on else new["at"]
        new["why"] = kept["why"] if goes_on or (same and kept["since"] is None) else changed
        new["gap"] = _gap(kept, new["at"], gap) if goes_on else None
        why = "nothing in flight, and no counter moved; before: %s" % new["why"]
        if new["gap"] is not None:
            word, why = UNKNOWN, "nobody looked for more than %s, until now" % span(GAP_S)
    since = new["since"] if word == IDLE else None
    return new, Verdict(word, since, why, new["at"], new["first"], new["still"])


def _failed(kept: State, at: Optional[float]) -> State:
    """An older look that comes after one that failed comes late."""
    known = kept and at is not None and math.isfinite(at)
    return {**kept, "at": max(kept["at"], at)} if known else kept


def _gap(kept: State, at: float, gap: bool) -> Optional[float]:
    """Counters cover a gap, and yet a host that has just resumed is not due at once: not before the window has a second
    look, GAP_S later."""
    began: Optional[float] = at if gap else kept["gap"]
    return None if began is None or at - began >= GAP_S else began


def _marks(look: Look) -> State:
    doors = {name: [door.total, door.born] for name, door in look.doors.items() if door is not None}
    return {"work": list(look.work or ()), "doors": doors}


def _load(look: Look) -> State:
    doors = {name: door.busy for name, door in look.doors.items() if door is not None}
    return {"running": look.running, "waiting": look.waiting, "doors": doors}


def _changed(kept: State, new: State, *, late: bool) -> str:
    """Why a look cannot go on with the window of the last one; empty: it can."""
    if not kept:
        return "it was looked at for the first time"
    if kept["born"] != new["born"]:
        return "its engine was started"
    if late:
        return "a look came late"
    if kept["marks"].get("doors") != new["marks"]["doors"]:
        return "a request came, or a door was restarted"
    return "" if kept["marks"] == new["marks"] else "it worked"


def _word(look: Look, unknown: List[str], *, ready: bool) -> Tuple[str, str]:
    doors = [(door.busy, "at " + name) for name, door in look.doors.items() if door is not None]
    told = [(look.running, "running"), (look.waiting, "waiting"), *doors]
    flying = ["%d %s" % (count, where) for count, where in told if count]
    if flying:
        return BUSY, ", ".join(flying)
    if not ready:
        return LOADING, "it was not ready yet"
    if look.ready is not True:
        unknown = ["its health" if look.ready is None else "why it is not ready any more", *unknown]
    return (UNKNOWN, "not known: " + ", ".join(unknown)) if unknown else (IDLE, "")


def _unknown(look: Look, width: int) -> List[str]:
    work = look.work
    lacks = work is None or len(work) < width or not all(math.isfinite(one) for one in work)
    told = {"running": look.running is None, "waiting": look.waiting is None, "its counters": lacks}
    names = [name for name, unknown in told.items() if unknown]
    return names + [name for name, door in look.doors.items() if door is None]


def presence(state: State, look: Optional[Presence], at: Optional[float] = None) -> Tuple[State, Verdict]:
    """The host itself, after one more look; None: it could not be looked at, `at` this time. What it asks for is counted
    nowhere, so a long gap begins the window anew."""
    kept = _kept(state, _HOST)
    if look is None or not math.isfinite(look.at):
        kept, why = _failed(kept, at), "the host could not be looked at"
        return {**kept, "since": None, "why": why}, Verdict(UNKNOWN, None, why, kept.get("at"))
    same = kept.get("boot") == look.boot
    last: float = kept["at"] if same else look.at
    at = max(look.at, last)
    word, why = _host_word(look)
    since: Optional[float] = None
    if word == IDLE:
        changed = _host_changed(kept, look, last)
        goes_on = not changed and kept["since"] is not None
        since = kept["since"] if goes_on else at
        before = kept["why"] if goes_on else changed or kept["why"]
        why = "nobody is there; before: %s" % before
    else:
        before = why
    return {"boot": look.boot, "at": at, "since": since, "why": before}, Verdict(
        word, since, why, at, 0.0, since
    )


def _host_word(look: Presence) -> Tuple[str, str]:
    told = [(look.sessions, "sessions"), (look.foreign, "processes on its cards that are not ours")]
    there = ["%d %s" % (count, what) for count, what in told if count] + list(look.tasks or ())
    if there:
        return BUSY, ", ".join(there)
    unknown = [what for count, what in told if count is None] + (["tasks"] if look.tasks is None else [])
    return (UNKNOWN, "not known: " + ", ".join(unknown)) if unknown else (IDLE, "")


def _host_changed(kept: State, look: Presence, last: float) -> str:
    if not kept:
        return "it was looked at for the first time"
    if kept["boot"] != look.boot:
        return "it was booted or resumed"
    if look.at < last:
        return "a look came late"
    return "nobody looked for %s" % span(look.at - last) if look.at - last > GAP_S else ""


def asleep(since: float, why: str) -> Verdict:
    """Of a replica that was put to sleep on purpose. `since`: when it last did anything, or was told to sleep by hand, so
    that a host's window is no longer for it; in an earlier boot: 0."""
    return Verdict(ASLEEP, since, why)


def together(verdicts: Mapping[str, Verdict], presence: Verdict) -> Verdict:
    """The host, by its replicas by name and by itself: idle since the latest of all, proven until the earliest."""
    everyone = [("", presence), *sorted(verdicts.items())]
    ats = [verdict.at for _, verdict in everyone if verdict.word != ASLEEP]
    at = None if None in ats else min(one for one in ats if one is not None)
    stills = [_still(verdict, at or 0.0) for _, verdict in everyone]
    still = None if None in stills else max(one for one in stills if one is not None)
    for word in (BUSY, LOADING, UNKNOWN):
        told = [_told(name, verdict) for name, verdict in everyone if verdict.word == word]
        if told:
            return Verdict(word, None, "; ".join(told), at, presence.first, still)
    if at is None or any(verdict.since is None for _, verdict in everyone):
        return Verdict(UNKNOWN, None, "not known since when, or until when", at, presence.first)
    sinces = {name: _since(verdict, at) for name, verdict in everyone}
    latest = max(sinces, key=lambda name: sinces[name])
    why = _told(latest, dict(everyone)[latest])
    return Verdict(IDLE, sinces[latest], why, at, presence.first, still)


def _since(verdict: Verdict, at: float) -> float:
    """One that fell asleep later than now did so in an earlier boot."""
    since = verdict.since or 0.0
    return 0.0 if verdict.word == ASLEEP and since > at + STALE_S else since


def _told(name: str, verdict: Verdict) -> str:
    return "%s: %s" % (name, verdict.why) if name else verdict.why


def _still(verdict: Verdict, at: float) -> Optional[float]:
    if verdict.word in (IDLE, ASLEEP):
        return _since(verdict, at)
    return verdict.still if verdict.word == BUSY else None


def due(policy: Policy, verdict: Verdict, now: float, wall: float, extra_s: float = 0.0) -> Optional[Due]:
    """What is to be done with a replica or a host now, if anything; `wall` in seconds since 1970, for `hours`. `extra_s`:
    whoever asks waits that much longer."""
    if policy.do == "" or not policy.after_s > 0 or verdict.word == ASLEEP:
        return None
    at, first = verdict.at, verdict.first
    if at is None or abs(now - at) > STALE_S:
        return None
    proven = min(now, at)
    may = not policy.kept and not hours.within(policy.hours, wall)
    since = verdict.since if verdict.word == IDLE else None
    if may and since is not None and proven - since >= policy.after_s + extra_s:
        return _ends(policy, "idle for %s: %s" % (span(proven - since), verdict.why), since)
    if not policy.max_age_s > 0 or first is None or proven - first < policy.max_age_s + extra_s:
        return None
    still = verdict.still if verdict.word == BUSY else None
    if may and still is not None and proven - still >= STALLED_S + extra_s:
        told = "%s old, and nothing moved for %s" % (span(proven - first), span(proven - still))
        return _ends(policy, "%s: %s" % (told, verdict.why), still)
    return Due(REPLACE, "%s old: to be replaced (%s)" % (span(proven - first), verdict.why), first)


def _ends(policy: Policy, why: str, since: float) -> Due:
    return Due("", "would %s: %s" % (policy.do, why), since) if policy.shadow else Due(policy.do, why, since)


def span(seconds: float) -> str:
    """40 s, 20 min, 3.5 h"""
    if seconds < 120:
        return "%d s" % seconds
    return "%d min" % (seconds // 60) if seconds < 7200 else "%.1f h" % (seconds / 3600)
