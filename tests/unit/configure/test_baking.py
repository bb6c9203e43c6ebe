"""The first replica of a model that a run exchanges is watched for a while; no other one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.configure import difference, render
from hostler.configure.connections import Connections
from hostler.configure.types import Change
from hostler.manifest.items import Effect, Part
from worlds import configure_world as world

BAKED = world.STACK.replace("replicas: 2", "replicas: 2, bake: 5m")


def bakes(changes: list[Change] | None, text: str = BAKED) -> dict[str, dict[str, int]]:
    made = world.manifests(file=world.stack(text))
    found = render.inventory(world.hosts(), made, changes, {}, Connections(folder="/x"), {})
    return {name: values["engine_bakes"] for name, values in found.hosts.items() if "engine_bakes" in values}


def exchange(host: str, replica: str, effect: Effect = Effect.DRAIN, action: str = "change") -> Change:
    assert action in ("add", "change", "remove")
    return Change(
        host=host,
        part=Part.ENGINE,
        item=f"container:{replica}",
        action=action,
        now="",
        then="",
        why="",
        effect=effect,
        replica=replica,
    )


BOTH = [exchange("gpu-1", "chat-0"), exchange("gpu-2", "chat-1")]
CASES: list[tuple[str, list[Change] | None, dict[str, dict[str, int]]]] = [
    ("by hand", None, {"gpu-1": {"chat-0": 300}}),
    ("both", BOTH, {"gpu-1": {"chat-0": 300}}),
    ("the order is the run's", BOTH[::-1], {"gpu-1": {"chat-0": 300}}),
    ("the second alone", BOTH[1:], {"gpu-2": {"chat-1": 300}}),
    (
        "the first is only started",
        [exchange("gpu-1", "chat-0", Effect.NONE), BOTH[1]],
        {"gpu-2": {"chat-1": 300}},
    ),
    ("the first is new", [exchange("gpu-1", "chat-0", action="add"), BOTH[1]], {"gpu-2": {"chat-1": 300}}),
    ("nothing", [], {}),
]


@pytest.mark.parametrize(("changes", "found"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_first_that_is_exchanged(changes: list[Change] | None, found: dict[str, dict[str, int]]) -> None:
    assert bakes(changes) == found


def test_a_model_that_does_not_ask_for_it() -> None:
    assert bakes(BOTH, world.STACK) == {}


def test_another_image_is_an_exchange() -> None:
    """As the plan has it, of what a probe sees."""
    file = world.stack(BAKED)
    before, after = world.manifests(file=file), world.manifests(file=file)
    changes: list[Change] = []
    for number, name in enumerate(after, 1):
        first, *rest = before[name].containers
        older = replace(before[name], containers=(replace(first, context=1), *rest))
        changes += difference.difference(after[name], world.as_wanted(older, number))
    assert bakes(changes) == {"gpu-1": {"chat-0": 300}}


def test_a_longer_bake_is_no_other_container() -> None:
    one, other = world.manifests(), world.manifests(file=world.stack(BAKED))
    assert one["gpu-1"].containers[0].digest == other["gpu-1"].containers[0].digest
    assert (one["gpu-1"].containers[0].bake_s, other["gpu-1"].containers[0].bake_s) == (0, 300)
