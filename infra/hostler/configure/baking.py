"""Which replicas of a run are baked: watched for a while before the next one is exchanged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostler.configure import ordering
from hostler.configure.types import Change
from hostler.manifest.items import Effect, Manifest, Part


def seconds(
    hosts: Sequence[str],
    manifests: Mapping[str, Manifest],
    changes: Sequence[Change] | None,
    least_s: int = 0,
    order: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Variables by host: the first replica of each model that is exchanged, in the order of the run (one host after
    the other, as they are given), where its model or this run (`least_s`) asks for it. One that is only started has
    nothing to go back to."""
    exchanged = None if changes is None else {(c.host, c.replica) for c in changes if _exchanges(c)}
    found: dict[str, dict[str, int]] = {}
    models: set[str] = set()
    for host in hosts:
        here = {one.id: one for one in manifests[host].containers}
        for one in (here[name] for name in ordering.replicas(here, order)):
            due = exchanged is None or (host, one.id) in exchanged
            bake_s = max(one.bake_s, least_s)
            if one.part is Part.ENGINE and due and bake_s and one.model not in models:
                models.add(one.model)
                found.setdefault(host, {})[one.id] = bake_s
    return {host: {"engine_bakes": ids} for host, ids in found.items()}


def _exchanges(change: Change) -> bool:
    return (
        change.item.startswith("container:") and change.action == "change" and change.effect is Effect.DRAIN
    )
