"""Which models a plan takes away, for how long, and whose requests wait meanwhile."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure.types import Change
from hostler.console.out import Out
from hostler.errors import RefusedError
from hostler.hosts.types import Seen, Value
from hostler.manifest.items import Effect, Part
from hostler.models.types import Placement
from hostler.rollout import downtime, roll
from worlds import configure_world as world

ENGINE = Value({"health": 200, "draining": False}, world.AT)
HOLDS = {f"path:{downtime.HOLDS}": Value({"type": "file"}, world.AT)}


def seen(second: str = "UP", holds: bool = True, **containers: bool) -> dict[str, Seen]:
    """chat-0 and chat-1 are ready; `second`: what the gateway thinks of chat-1."""
    routes = {f"route:chat-{i}": Value({"status": s}, world.AT) for i, s in enumerate(("UP", second))}
    doors = {f"container:{name}": Value({"running": runs}, world.AT) for name, runs in containers.items()}
    first = {"replica:chat-0": ENGINE, **routes, **doors, **(HOLDS if holds else {})}
    return {
        "gpu-1": replace(world.bare(1), observed=first),
        "gpu-2": replace(world.bare(2), observed={"replica:chat-1": ENGINE, **doors}),
    }


def change(item: str = "container:chat-0", effect: Effect = Effect.DRAIN, **more: Any) -> Change:
    replica = "chat-0" if item == "container:chat-0" or effect is Effect.REBOOT else ""
    values: dict[str, Any] = {"host": "gpu-1", "part": Part.ENGINE, "now": "a", "then": "b", "why": ""}
    return Change(
        **(values | {"item": item, "action": "change", "effect": effect, "replica": replica} | more)
    )


def scene(found: dict[str, Seen], hold: str = "", size: int = 1000) -> downtime.Scene:
    text = world.STACK.replace("replicas: 2", f"replicas: 2{', hold: ' + hold if hold else ''}")
    assert not hold or hold in text
    weights = replace(world.runs().weights, size=size)
    return downtime.Scene(
        file=world.stack(text), seen=found, gateway="gpu-1", release=world.release(weights=weights)
    )


def only(found: dict[str, downtime.Gap]) -> downtime.Gap:
    assert set(found) == {"chat"}
    return found["chat"]


ONE = world.placement("gpu-1")


def test_requests_for_an_only_replica_wait() -> None:
    gap = only(downtime.gaps(scene(seen()), [change()], ONE))
    assert (gap.held, gap.seconds) == (True, 15)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"hold": "none"}, "hold: none"),
        ({"hold": "{for: 10s}"}, "at most 10 s"),
        ({"size": 100 << 30}, "at most 120 s"),
    ],
    ids=["told not to", "shorter than a start", "weights too large"],
)
def test_what_cannot_wait_says_why(given: dict[str, Any], why: str) -> None:
    gap = only(downtime.gaps(scene(seen(), **given), [change()], ONE))
    assert not gap.held
    assert why in gap.why


NEW = change(item=f"path:{downtime.HOLDS}", effect=Effect.RELOAD, detail='+  { serves = "model_chat" }\n')


@pytest.mark.parametrize(("holds", "changes"), [(False, ()), (True, (NEW,))], ids=["not at all", "not chat"])
def test_a_gateway_that_does_not_hold_yet_is_told(holds: bool, changes: tuple[Change, ...]) -> None:
    gap = only(downtime.gaps(scene(seen(holds=holds)), [change(), *changes], ONE))
    assert "only after this change" in gap.why


def test_another_model_s_limits_change_nothing() -> None:
    other = replace(NEW, detail='+  { serves = "model_other" }\n   { serves = "model_chat" }\n')
    assert only(downtime.gaps(scene(seen()), [change(), other], ONE)).held


def test_a_reboot_is_not_waited_for() -> None:
    gap = only(downtime.gaps(scene(seen()), [change(), change(item="reboot", effect=Effect.REBOOT)], ONE))
    assert gap.why == "gpu-1 starts again"


@pytest.mark.parametrize(
    ("word", "alone"), [("UP", False), ("DOWN", True), ("NOLB", True)], ids=["served", "down", "drains"]
)
def test_a_replica_without_requests_does_not_serve_meanwhile(word: str, alone: bool) -> None:
    """Two engines are ready, and clients reach just one of them."""
    assert bool(downtime.gaps(scene(seen(word)), [change()], world.placement())) is alone


@pytest.mark.parametrize("door", ["gateway", "edge"])
def test_a_door_that_is_exchanged_takes_nothing_away(door: str) -> None:
    away = change(item=f"container:{door}", effect=Effect.RESTART, host="gpu-1")
    assert downtime.gaps(scene(seen(gateway=True, edge=True)), [away], ONE) == {}


def rolled(hold: str) -> tuple[str, str]:
    """What is said, and what it is refused with."""
    err = io.StringIO()
    out = Out(stdout=io.StringIO(), stderr=err)
    placed: Placement = ONE
    record = world.record(replicas=placed.replicas, release=1)
    observation: Any = scene(seen(), hold=hold)  # has the file and what was seen
    try:
        roll._alone(observation, record, placed.replicas[0], out)
    except RefusedError as error:
        return err.getvalue(), str(error)
    return err.getvalue(), ""


def test_a_roll_of_an_only_replica_says_how_long_requests_wait() -> None:
    assert "held: chat waits about 15 s" in rolled("")[0]
    assert "hold: none" in rolled("none")[1]
