"""The plan as a value: saved, shown, applied verbatim or refused because the world moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hostler.manifest.items import Effect, Manifest, Part
from hostler.models.types import Placement, Release
from hostler.placement.vacate import Vacated


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference that a person can read."""

    host: str  # empty: the stack itself (Pulumi, the record)
    part: Part | Literal["pulumi", "record", "account"]  # account: of AWS, what no state knows
    item: str  # kind:name, as in hosts.types.Seen
    action: Literal["add", "change", "remove"]
    now: str
    then: str
    why: str
    effect: Effect = Effect.NONE
    detail: str = ""  # a text's diff
    replica: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a person should know that is no change: TLS off on a private address, a card that is missing. What
    refuses a plan may say what was expected, and what to do; `downtime` refuses one that may have none."""

    level: Literal["note", "warning", "downtime", "refuse"]
    text: str
    where: str = ""
    expected: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """How a replica that serves is expected to be exchanged. `in_place`: why not beside the old one, empty: beside it;
    `alone`: nothing else serves its model; `must_stay`: nor do requests wait for it, so in place would be downtime."""

    replica: str
    model: str
    host: str
    in_place: str
    alone: bool = False
    must_stay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`file` and `observed` are digests: the plan is void when either has moved. `secrets`: of a saved one, the seal over
    their values (rollout/sealed.py); empty: it has none, or their digests are in the manifests."""

    stack: str
    file: str
    observed: str
    release: Release
    placement: Placement
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...] = ()
    manifests: Mapping[str, Manifest] = field(default_factory=dict[str, Manifest])
    removed_hosts: tuple[str, ...] = ()
    downtime_s: Mapping[str, float] = field(
        default_factory=dict[str, float]
    )  # model: seconds it cannot answer
    downtime_why: Mapping[str, str] = field(default_factory=dict[str, str])
    held_s: Mapping[str, float] = field(
        default_factory=dict[str, float]
    )  # model: seconds that its requests wait
    exchanges: tuple[Exchange, ...] = ()  # of replicas that serve, in the order of the run
    provision: tuple[Mapping[str, Any], ...] = ()
    vacated: tuple[Vacated, ...] = ()  # leave before anything starts: their cards are needed
    secrets: str = ""

    @property
    def empty(self) -> bool:
        return not self.changes
