"""Room for weights, as the plan sees it: what is there, or has begun to come, is not counted again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import difference, disk_room, leftovers, render, variables
from hostler.hosts.types import Absent, Seen, Value
from hostler.models import kept
from hostler.models.kept import Kept
from worlds import configure_world as world

MANIFEST = world.manifests()["gpu-1"]
PATH = MANIFEST.models[0].path
HERE = Value({"size": 1000, "sha256": world.digest("weights")}, world.AT)
NOTHING = Kept()


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
    found = disk_room.notices({"gpu-1": MANIFEST}, {"gpu-1": seen}, NOTHING)
    assert [n.where for n in found] == ["gpu-1"] * warned


def test_all_files_are_counted_together() -> None:
    """Each would find room alone."""
    second = replace(MANIFEST.models[0], path=f"{PATH}-2")
    both = replace(MANIFEST, models=(MANIFEST.models[0], second))
    seen = host(1999, Absent(world.AT))
    seen = replace(seen, observed={**seen.observed, f"model:{second.path}": Absent(world.AT)})
    (notice,) = disk_room.notices({"gpu-1": both}, {"gpu-1": seen}, NOTHING)
    assert notice.level == "warning"


COMING = world.release_of(6, "tiny")  # what MANIFEST wants, 1000 bytes
OLD = {number: world.release_of(number, f"weights-{number}", ended="good") for number in (1, 2, 3, 4, 5)}
PATHS = {number: next(iter(kept.files_of(release))) for number, release in OLD.items()}
KEPT = kept.of(tuple(OLD.values()), 5, COMING)  # 6, 5 and 4


def crowded(free: int, *numbers: int) -> Seen:
    """The weights of earlier releases are here, 400 bytes each."""
    seen = host(free, Absent(world.AT), ours={"models": tuple(PATHS[number] for number in numbers)})
    old = {f"model:{PATHS[number]}": Value({"size": 400, "sha256": ""}, world.AT) for number in numbers}
    return replace(seen, observed={**seen.observed, **old})


@pytest.mark.parametrize(
    ("free", "here", "gone", "told"),
    [
        (1000, (3, 4, 5), (), ""),
        (700, (3, 4, 5), (1, 2, 3), ""),
        (300, (3, 4, 5), (1, 2, 3, 4), "rollback to release 4 would have to download again"),
        (700, (4, 5), (1, 2, 3, 4), "rollback to release 4 would have to download again"),
        (100, (3, 4, 5), (), "make room, or place the model elsewhere"),
        (0, (4, 5), (), "make room, or place the model elsewhere"),
    ],
    ids=[
        "room enough",
        "what is not kept goes first",
        "a release that is kept goes, too",
        "only what is here makes room",
        "all would not do",
        "the live one never goes",
    ],
)
def test_older_weights_make_room(free: int, here: tuple[int, ...], gone: tuple[int, ...], told: str) -> None:
    seen = crowded(free, *here)
    assert disk_room.given_up(MANIFEST, seen, KEPT) == gone
    said = [notice.text for notice in disk_room.notices({"gpu-1": MANIFEST}, {"gpu-1": seen}, KEPT)]
    assert [text.endswith(told) for text in said] == [True] * bool(told)
    first = {PATHS[number] for number in gone if number in here}
    changes = [c for c in difference.difference(MANIFEST, seen, KEPT) if c.item.startswith("model:")]
    assert {c.item.removeprefix("model:") for c in changes if leftovers.makes_room(c)} == first
    taken = variables.retired(changes)
    assert {path for e in taken.get("engine_room", ()) if (path := e["path"]).endswith(".gguf")} == first
    last = {e["path"] for e in taken.get("engine_remove", ())}
    assert not last & first, "what makes room is gone by then"


def test_each_is_done_in_its_play() -> None:
    """Room is made before weights begin to come; what nothing needs goes in the last play of all."""
    changes = difference.difference(MANIFEST, crowded(700, 2, 3, 5), KEPT)
    groups = render.groups({"gpu-1": variables.retired([c for c in changes if leftovers.makes_room(c)])})
    assert [name for name, hosts in groups.items() if hosts] == ["hostler", "hostler_prepare"]
    image = replace(changes[0], item="image:x@sha256:1", action="remove")
    groups = render.groups({"gpu-1": variables.retired([image])})
    assert [name for name, hosts in groups.items() if hosts] == ["hostler", "hostler_retire"]


def test_two_releases_share_what_goes() -> None:
    """A file that the live release has as well makes no room, whoever else names it."""
    shared = world.release_of(4, "weights-5", ended="good")
    keep = kept.of((OLD[3], shared, OLD[5]), 5, COMING)
    assert disk_room.given_up(MANIFEST, crowded(700, 5), keep) == ()
    assert disk_room.given_up(MANIFEST, crowded(700, 3, 5), keep) == (3,)
