"""First tokens for Prometheus: a histogram a model, which only grows as long as the controller runs. Pure.

What an engine had counted before it was seen here for the first time is not in it, so that a start of the controller brings
no requests that nobody sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostler.controller.page.source import Histogram
from hostler.leases import first_tokens
from hostler.leases.first_tokens import Buckets
from hostler.leases.view import View
from hostler.models.types import Replica


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    born: str
    buckets: Buckets
    total_s: float


class Waits:
    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._found: dict[str, tuple[Buckets, float]] = {}  # by model, with the sum

    def add(self, views: Mapping[str, View], replicas: Sequence[Replica], now: float) -> None:
        """What the newest look of each says; one that was added already adds nothing. `now`: on the clock of the views."""
        self._seen = {one.id: self._seen[one.id] for one in replicas if one.id in self._seen}
        for replica in replicas:
            row = first_tokens.said(replica, views, now)
            told: Mapping[str, Any] = (row.get("first_token") or {}) if row else {}
            if row is None or not told or not row.get("born"):
                continue
            buckets = Buckets(bounds=tuple(told["bounds"]), counts=tuple(told["counts"]))
            new = _Seen(born=str(row["born"]), buckets=buckets, total_s=float(told["sum"]))
            more, seconds = _more(self._seen.get(replica.id), new)
            self._seen[replica.id] = new
            before = self._found.get(replica.model)
            self._found[replica.model] = (
                (before[0] + more, before[1] + seconds) if before else (more, seconds)
            )

    def histograms(self) -> dict[str, Histogram]:
        return {
            model: Histogram(bounds_s=found.bounds, counts=found.counts, total_s=total)
            for model, (found, total) in self._found.items()
        }


def _more(before: _Seen | None, new: _Seen) -> tuple[Buckets, float]:
    """What was counted since the look before; after a restart all that the engine has."""
    counts = new.buckets.counts
    if before is None:
        return Buckets(bounds=new.buckets.bounds, counts=(0.0,) * len(counts)), 0.0
    if before.born == new.born and before.buckets.bounds == new.buckets.bounds:
        deltas = tuple(now - then for then, now in zip(before.buckets.counts, counts, strict=True))
        if min(deltas) >= 0:
            return Buckets(bounds=new.buckets.bounds, counts=deltas), max(0.0, new.total_s - before.total_s)
    return new.buckets, new.total_s
