"""How long requests waited for their first token, by an engine's own histogram: what it counted within ten minutes. Pure:
state and a look in, state and row out, as JSON."""

from __future__ import annotations

import math
import operator
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..base import engines
from ..base.protocol import as_dict

OVER_S = 600.0
STEP_S = 30.0  # between two counts that are kept; the newest is always known
NOTHING: Dict[str, Any] = {}  # of an engine that has no such histogram

Json = Dict[str, Any]
Mark = Tuple[float, List[float]]  # when, and what had grown until then

_NAMES = "|".join(map(re.escape, engines.FIRST_TOKEN))
_BUCKET = re.compile(r'^(?:%s)_bucket\{(?:[^}]*,)?le="([^"]+)"[^}]*\}\s+([0-9.eE+-]+)' % _NAMES, re.MULTILINE)
_SUM = re.compile(r"^(?:%s)_sum(?:\{[^}]*\})?\s+([0-9.eE+-]+)" % _NAMES, re.MULTILINE)


def parsed(page: str) -> Json:
    """{"bounds", "counts", "sum"} of a page of metrics: bounds in seconds, counts cumulative and one more for all, over all of
    its engines and models. NOTHING: it has none, or one that is damaged."""
    found: Dict[float, float] = {}
    try:
        for bound, count in _BUCKET.findall(page):
            at = float(bound)
            found[at] = found.get(at, 0.0) + float(count)
        total = sum(float(value) for value in _SUM.findall(page))
    except ValueError:
        return NOTHING
    bounds = sorted(found)
    counts = [found[bound] for bound in bounds]
    if len(bounds) < 2 or bounds[-1] != math.inf or counts != sorted(counts):
        return NOTHING
    return {"bounds": bounds[:-1], "counts": counts, "sum": total}


def kept(state: Json, at: float, born: str, seen: Json) -> Json:
    """After one more look, at `at` (CLOCK_BOOTTIME) at the run `born` of the engine. `grown`: what was counted since the first
    look, over restarts of the engine; `marks`: [time, `grown` then], the oldest first. A state that is damaged, or of other
    bounds, is as none."""
    counts: List[float] = seen["counts"]
    grown, marks = _before(state, at, born, seen)
    if not grown:
        grown, marks = [0.0] * len(counts), []
    if not marks or at - marks[-1][0] >= STEP_S:
        marks.append((at, grown))
    return {
        "born": born,
        "at": at,
        "bounds": seen["bounds"],
        "counts": counts,
        "grown": grown,
        "marks": marks,
    }


def _before(state: Json, at: float, born: str, seen: Json) -> Tuple[List[float], List[Mark]]:
    """What has grown until now, and the marks that are young enough; both empty: it begins anew."""
    try:
        more = _more(state["counts"], seen["counts"], state["born"] == born)
        grown = list(map(operator.add, state["grown"], more))
        marks: List[Mark] = [(float(when), list(then)) for when, then in state["marks"]]
        goes_on = state["bounds"] == seen["bounds"] and state["at"] <= at
    except (KeyError, TypeError, ValueError):
        return [], []
    whole = all(len(one) == len(seen["counts"]) for one in (grown, *(then for _, then in marks)))
    if not goes_on or not whole:
        return [], []
    return grown, [one for one in marks if one[0] >= at - OVER_S - STEP_S / 2]


def _more(before: Sequence[float], now: Sequence[float], same: bool) -> List[float]:
    """A counter that fell began anew at 0, and all of them with it."""
    deltas = list(map(operator.sub, now, before))
    return deltas if same and min(deltas) >= 0 else list(now)


def row(state: Json, seen: Json) -> Json:
    """`seen` with `recent`: its counts within the last `over_s` seconds, 0: it was seen once; ten minutes at most, but for
    half a step."""
    when, then = state["marks"][0]
    recent = list(map(operator.sub, state["grown"], then))
    return {**seen, "recent": recent, "over_s": state["at"] - when}


def after(state: Json, name: str, at: float, born: str, seen: Optional[Json]) -> Optional[Json]:
    """A replica's row, and `state` by replica goes on with it. `seen` None: it did not say, and what it counts meanwhile is
    counted with its next word."""
    if seen is None:
        return None
    if not seen:
        state.pop(name, None)
        return NOTHING
    before = state.get(name)
    state[name] = kept(as_dict(before), at, born, seen)
    return row(state[name], seen)
