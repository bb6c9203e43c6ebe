"""Whether a replica is stalled: requests run, no token comes, and nothing in it computes; for so long, so many looks long.

Pure: (state, look, now) -> (state, verdict), where `now` is the kernel's monotonic clock, which no clock's change moves
and which stands still while a host sleeps. What progress is: counters that move with each step (`marks`), or work that
the kernel counts (processor time, pages that come from disk, a card's use) where an engine counts a step when it is over,
which a long prompt's may not be for minutes. What is not known counts neither way.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

GAP_S = 300.0  # looks that are further apart say nothing together: the timer stood still
State = Dict[str, Any]  # "born", "first", "at", "ready", "alive", "moved", "silent", "marks"

LOADING = "loading"  # it was not seen ready yet, and may still load
IDLE = "idle"
SERVING = "serving"
COMPUTING = "computing"  # no token, but it works: a long prompt
UNKNOWN = "unknown"
SILENT = "silent"  # no token and no work, not for long enough yet
STALLED = "stalled"


class Limits(NamedTuple):
    stalled_s: float = 120.0
    checks: int = 3
    spins_s: float = 600.0  # of an engine whose steps are short: computing without one of them ends
    restarts: int = 3  # in `within_s`; a stall after these is left out
    within_s: float = 3600.0
    starts: int = 5  # that end before the engine was ready once

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Limits":
        """As a file names them; what it does not name, or not as a number, is as above."""
        known = {
            name: type(getattr(cls(), name))(value)
            for name, value in values.items()
            if name in cls._fields and isinstance(value, (int, float)) and value > 0
        }
        return cls(**known)


class Look(NamedTuple):
    """`born`: which run of which container; `healthy` None: it takes the question and does not answer; `requests`: in
    flight, None: nobody tells; `works`: whether anything in it computes, asked for where `suspect`; `steps`: it counts
    each of its steps, and none of them takes minutes; `load_s`: after so many it has loaded, or never will."""

    born: str
    healthy: Optional[bool]
    requests: Optional[int] = None
    marks: Optional[List[float]] = None
    works: Optional[bool] = None
    steps: bool = False
    load_s: float = 0.0

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it: a request, or the question after its health."""
        return self.healthy is None or bool(self.requests)


def follows(state: State, look: Look, now: float) -> bool:
    """Whether a look can be compared with the last one."""
    return state.get("born") == look.born and 0 <= now - float(state.get("at", 0.0)) <= GAP_S


def suspect(state: State, look: Look, now: float) -> bool:
    """Whether `works` decides: it was ready, is wanted, and no counter moved."""
    asked = look.healthy is not False and follows(state, look, now) and look.wanted
    return asked and _ready(state, look, now) and not _moved(state, look)


def _ready(state: State, look: Look, now: float) -> bool:
    """Seen to be so, or for so long that it is no load any more."""
    late = look.load_s > 0 and now - float(state.get("first", now)) > look.load_s
    return late or look.healthy is True or bool(state.get("ready"))


def _moved(state: State, look: Look) -> bool:
    return look.marks is not None and look.marks != state.get("marks")


def judge(state: State, look: Look, now: float, limits: Limits) -> Tuple[State, str]:
    if not follows(state, look, now):
        same = state.get("born") == look.born and now >= float(state.get("first", 0.0))
        known: State = {key: state[key] for key in ("first", "ready") if same and key in state}
        new: State = {"born": look.born, "first": now, "ready": False, "marks": None}
        state = {**new, **known, "alive": now, "moved": now, "silent": 0}
    suspected = suspect({**state, "at": now}, look, now)
    state = {**state, "at": now, "ready": _ready(state, look, now)}
    if look.marks is not None:
        state["marks"] = look.marks
    if look.healthy is False:
        return _alive(state, now, moved=True), LOADING if not state["ready"] else UNKNOWN
    if not suspected:
        return _quiet(state, look, now)
    if look.works is None:
        return state, UNKNOWN
    if look.works:
        state = _alive(state, now, moved=False)
        spins = look.steps and look.marks is not None and now - state["moved"] >= limits.spins_s
        return state, STALLED if spins else COMPUTING
    state["silent"] += 1
    over = now - state["alive"] >= limits.stalled_s and state["silent"] >= limits.checks
    return state, STALLED if over else SILENT


def _quiet(state: State, look: Look, now: float) -> Tuple[State, str]:
    """Nothing to suspect: it moved, has nothing to do, or cannot be compared yet."""
    if not state["ready"]:
        return _alive(state, now, moved=True), LOADING
    if look.wanted:
        return _alive(state, now, moved=True), SERVING
    if look.requests is None:
        return _alive(state, now, moved=False), UNKNOWN
    return _alive(state, now, moved=True), IDLE


def _alive(state: State, now: float, moved: bool) -> State:
    state = {**state, "alive": now, "silent": 0}
    return {**state, "moved": now} if moved else state


def silence(state: State, now: float) -> float:
    """Seconds since the last token, as far as looks tell."""
    return max(0.0, now - float(state.get("moved", now)))
