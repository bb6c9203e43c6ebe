"""The words of a difference, and how one is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from hostler.configure.types import Change
from hostler.hosts.types import Unknown
from hostler.manifest.items import Effect, Manifest, Part

Changes = Iterator[Change]
ABSENT = "not there"
ALONE = "updates without anyone"
FIRST = "part of every host of the stack"


def change(
    manifest: Manifest,
    part: Part,
    item: str,
    now: str,
    then: str,
    why: str,
    *,
    action: Literal["add", "change", "remove"] = "change",
    effect: Effect = Effect.NONE,
    detail: str = "",
    replica: str = "",
) -> Change:
    return Change(
        host=manifest.host,
        part=part,
        item=item,
        action=action,
        now=now,
        then=then,
        why=why,
        effect=effect,
        detail=detail,
        replica=replica,
    )


def unknown(manifest: Manifest, part: Part, item: str, found: Unknown, then: str) -> Change:
    return change(
        manifest, part, item, f"unknown: {found.reason}", then, "could not be seen, so it is made sure"
    )
