"""What is known of a host that is watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hostler.hosts.types import Host, Seen, Value

FRESH_S = 20.0  # as old may a look be that something is decided by
SHOWN_S = 60.0  # and one that is only shown: a host's own looks are 20 s apart
STATE = "/run/hostler/idle/state.json"  # where a host keeps what it judged (node/idle/keeping.py)


METERED_S = 130.0  # a meter is read each minute, and may take some seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What the stack file's `power.meter` said last (node/idle/meter.py): watts of the whole machine, None: none, and `why`.
    `at` on this process' monotonic clock."""

    watts: float | None
    why: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is known of a host. `looked`: its last look (node/idle/keeping.py), which came at `at`, on this process'
    monotonic clock; `seen`: its last answer to the probe's questions; `metered` None: its meter was not heard; `error`: why
    there is nothing newer."""

    host: Host
    looked: Mapping[str, Any] = field(default_factory=dict[str, Any])
    at: float = 0.0
    seen: Seen | None = None
    metered: Metered | None = None
    error: str = ""
    oldest_s: float = FRESH_S

    def fresh(self, now: float) -> bool:
        return bool(self.looked) and now - self.at <= self.oldest_s

    def watts(self, now: float) -> float | None:
        """At the wall; None: nothing said it of late."""
        found = self.metered
        return found.watts if found and now - found.at <= METERED_S else None

    def last_word(self, now: float) -> Mapping[str, Any]:
        """{"do", "at", ...} of a host that said that it goes, and was not heard since; empty for any other."""
        said: Mapping[str, Any] = self.looked.get("end") or {}
        at, looked = float(said.get("at") or 0.0), float(self.looked.get("wall") or 0.0)
        return said if said and not self.fresh(now) and at >= looked - 1 else {}

    def ahead_s(self, other: View) -> float:
        """By how much its host's clock is ahead of another's; 0 where it said nothing yet."""
        if not self.looked:
            return 0.0
        return (float(self.looked["at"]) - self.at) - (float(other.looked["at"]) - other.at)

    def boottime(self, now: float) -> float:
        """The host's own clock at this moment: it goes on as ours does."""
        return float(self.looked["at"]) + (now - self.at)


def of_seen(host: Host, seen: Seen, now: float) -> View:
    """Of a host that was asked once: what it judged last by itself, as old as its clock and ours say."""
    found = seen.observed.get(f"json:{STATE}")
    state: Mapping[str, Any] = found.value if isinstance(found, Value) else {}
    looked: Mapping[str, Any] = state.get("looked") or {}
    age = max(0.0, seen.at - float(looked.get("wall") or 0.0))
    return View(host=host, looked=looked, at=now - age, seen=seen, error=seen.error, oldest_s=SHOWN_S)
