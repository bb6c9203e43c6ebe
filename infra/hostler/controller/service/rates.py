"""How fast models answer: tokens a second over the last minute, from engines' own counters. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from hostler.leases.view import View
from hostler.models.types import Replica

OVER_S = 60.0
HOW = "the engines' counters, 1 min"


class Sample(NamedTuple):
    at: float  # its host's boottime
    born: str
    generated: float


class Rates:
    def __init__(self) -> None:
        self._samples: dict[str, deque[Sample]] = {}

    def add(self, views: Mapping[str, View], replicas: Iterable[Replica], now: float) -> None:
        """What the newest look of each says; one that was added already changes nothing. Of a host that is silent, and of
        what is no replica any more, nothing is known. `now`: on the clock of the views."""
        replicas = tuple(replicas)
        self._samples = {one.id: self._samples[one.id] for one in replicas if one.id in self._samples}
        for replica in replicas:
            view = views.get(replica.members[0].host)
            rows: Mapping[str, Any] = (view.looked.get("replicas") or {}) if view and view.fresh(now) else {}
            row: Mapping[str, Any] = rows.get(replica.id) or {}
            work = row.get("work") or ()
            if view is None or len(work) < 2 or not row.get("born"):
                self._samples.pop(replica.id, None)
                continue
            self._keep(replica.id, Sample(float(view.looked["at"]), str(row["born"]), float(work[1])))

    def _keep(self, replica: str, new: Sample) -> None:
        kept = self._samples.setdefault(replica, deque())
        if kept and (kept[-1].born != new.born or new.generated < kept[-1].generated):
            kept.clear()
        if not kept or new.at > kept[-1].at:
            kept.append(new)
        while len(kept) > 2 and kept[1].at <= new.at - OVER_S:
            kept.popleft()

    def of(self, replica: str) -> float | None:
        """None: it was not seen twice yet, or counts nothing."""
        kept = self._samples.get(replica)
        if not kept or len(kept) < 2:
            return None
        return (kept[-1].generated - kept[0].generated) / (kept[-1].at - kept[0].at)

    def models(self, rows: Iterable[Mapping[str, Any]], replicas: Iterable[Replica]) -> list[dict[str, Any]]:
        """Rows of models with `tokens_per_s`; unknown where one that is awake is."""
        every = list(replicas)
        return [{**row, **self._of_model(row, every)} for row in rows]

    def _of_model(self, row: Mapping[str, Any], replicas: list[Replica]) -> dict[str, Any]:
        found = [self.of(one.id) for one in replicas if one.model == row["name"]]
        known = [one for one in found if one is not None]
        whole = len(known) == len(found) - int(row.get("asleep") or 0) and known
        return {"tokens_per_s": round(sum(known), 1) if whole else None, "tokens_how": HOW if whole else None}
