"""Which replicas of a run are baked: watched for a while before the next one is exchanged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostler.configure.types import Change
from hostler.manifest.items import Effect, Manifest, Part


def seconds(
    hosts: Sequence[str], manifests: Mapping[str, Manifest], changes: Sequence[Change] | None
) -> dict[str, dict[str, Any]]:
    """Variables by host: the first replica of each model that is exchanged, in the order of the run (one host after
    the other, as they are named), where its model asks for it. One that is only started has nothing to go back to."""
    exchanged = None if changes is None else {(c.host, c.replica) for c in changes if _exchanges(c)}
    found: dict[str, dict[str, int]] = {}
    models: set[str] = set()
    for host in hosts:
        for one in manifests[host].containers:
            due = exchanged is None or (host, one.id) in exchanged
            if one.part is Part.ENGINE and due and one.bake_s and one.model not in models:
                models.add(one.model)
                found.setdefault(host, {})[one.id] = one.bake_s
    return {host: {"engine_bakes": ids} for host, ids in found.items()}


def _exchanges(change: Change) -> bool:
    return (
        change.item.startswith("container:") and change.action == "change" and change.effect is Effect.DRAIN
    )
