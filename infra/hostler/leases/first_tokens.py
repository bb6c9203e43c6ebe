"""How long requests of a model waited for their first token: p95 of what its engines counted of late. Pure.

Hosts say it (node/idle/firsts.py): a histogram of each replica, and what of it was counted within the last ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hostler.leases.view import View
from hostler.models.types import Replica
from hostler.node.idle import looks

P95 = 0.95
NONE = "its engine exports no such times, as llama-server does not"
ONCE = "its engine was looked at only once so far"
NO_REQUEST = "no request came to a first token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """`counts` cumulative: of each bound, in seconds, and one more for all."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    def __add__(self, other: Buckets) -> Buckets:
        """Over the bounds that both have: of these each knows its counts."""
        both = sorted(set(self.bounds) & set(other.bounds))
        pairs = [dict(zip(one.bounds, one.counts, strict=False)) for one in (self, other)]
        counts = (*(sum(one[bound] for one in pairs) for bound in both), self.counts[-1] + other.counts[-1])
        return Buckets(bounds=tuple(both), counts=counts)


def quantile(part: float, found: Buckets) -> tuple[float, bool] | None:
    """As Prometheus' histogram_quantile: evenly within a bucket, the first from 0 on. (seconds, whether it is more than that:
    above the highest bound nobody knows). None: nothing was counted, or there is no bound."""
    total = found.counts[-1]
    if not total > 0 or not found.bounds:
        return None
    rank = part * total
    edges = [(0.0, 0.0), *zip(found.bounds, found.counts, strict=False)]
    for (start, before), (end, count) in pairwise(edges):
        if count >= rank:
            return (
                end if count == before else start + (end - start) * (rank - before) / (count - before)
            ), False
    return found.bounds[-1], True


def models(
    rows: Iterable[Mapping[str, Any]], replicas: Sequence[Replica], views: Mapping[str, View], now: float
) -> list[dict[str, Any]]:
    """Rows of models with `first_token_p95_s`, None: unknown, and `first_token_how`: how it is known, or why not. `now`: on the
    clock of the views."""
    return [{**row, **_of_model(str(row["name"]), replicas, views, now)} for row in rows]


def said(replica: Replica, views: Mapping[str, View], now: float) -> Mapping[str, Any] | None:
    """The host's row of a replica; None: it said nothing of it of late."""
    view = views.get(replica.members[0].host)
    rows: Mapping[str, Any] = (view.looked.get("replicas") or {}) if view and view.fresh(now) else {}
    return rows.get(replica.id)


def _of_model(
    name: str, replicas: Sequence[Replica], views: Mapping[str, View], now: float
) -> dict[str, Any]:
    found = list[Mapping[str, Any]]()
    for replica in replicas:
        if replica.model != name:
            continue
        row = said(replica, views, now)
        if row is None:
            return _unknown(f"nobody looked at {replica.id} of late")
        if row.get("word") == looks.ASLEEP:
            continue
        told = row.get("first_token")
        if told is None:
            return _unknown(f"the engine of {replica.id} did not say it")
        if not told:
            return _unknown(NONE)
        found.append(told)
    return _together(found) if found else _unknown(None)


def _together(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    over = max(float(one["over_s"]) for one in found)
    if not over > 0:
        return _unknown(ONCE)
    every = [Buckets(bounds=tuple(one["bounds"]), counts=tuple(one["recent"])) for one in found]
    whole = sum(every[1:], every[0])
    minutes = f"{over / 60:.0f} min" if over >= 60 else f"{over:.0f} s"
    p95 = quantile(P95, whole)
    if p95 is None:
        return _unknown(f"{NO_REQUEST} in {minutes}")
    seconds, more = p95
    requests = f"{whole.counts[-1]:.0f} request{'' if whole.counts[-1] == 1 else 's'}"
    words = "; more than that, its highest bound" if more else ""
    how = f"vLLM's histogram, {minutes}, {requests}{words}"
    return {"first_token_p95_s": round(seconds, 4), "first_token_how": how}


def _unknown(why: str | None) -> dict[str, Any]:
    return {"first_token_p95_s": None, "first_token_how": why}
