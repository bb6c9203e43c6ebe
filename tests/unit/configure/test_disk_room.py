"""Room for weights, as the plan sees it: what is there, or has begun to come, is not counted again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import disk_room
from hostler.hosts.types import Absent, Seen, Value
from worlds import configure_world as world

MANIFEST = world.manifests()["gpu-1"]
PATH = MANIFEST.models[0].path
HERE = Value({"size": 1000, "sha256": world.digest("weights")}, world.AT)


def host(free: int, observed: Any, **more: Any) -> Seen:
    facts = replace(world.facts(1), disk_free=free)
    return replace(world.bare(1, facts=facts), observed={f"model:{PATH}": observed}, **more)


@pytest.mark.parametrize(
    ("seen", "warned"),
    [
        (host(999, Absent(world.AT)), True),
        (host(1000, Absent(world.AT)), False),
        (host(0, HERE), False),
        (host(0, Absent(world.AT), ours={"models": (f"{PATH}.part",)}), False),
        (world.dead(1), False),
    ],
    ids=["too little", "just enough", "already here", "some of it here", "a dead host"],
)
def test_room(seen: Seen, warned: bool) -> None:
    assert [n.where for n in disk_room.notices({"gpu-1": MANIFEST}, {"gpu-1": seen})] == ["gpu-1"] * warned


def test_all_files_are_counted_together() -> None:
    """Each would find room alone."""
    second = replace(MANIFEST.models[0], path=f"{PATH}-2")
    both = replace(MANIFEST, models=(MANIFEST.models[0], second))
    seen = host(1999, Absent(world.AT))
    seen = replace(seen, observed={**seen.observed, f"model:{second.path}": Absent(world.AT)})
    (notice,) = disk_room.notices({"gpu-1": both}, {"gpu-1": seen})
    assert notice.level == "warning"
