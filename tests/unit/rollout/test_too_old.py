"""A driver that is too old for an engine's image stops the plan, before anything is pulled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.hosts.types import Absent, Driver
from hostler.manifest.items import ImagePin
from hostler.rollout import gates, planning
from hostler.rollout.observe import Observation
from worlds import configure_world as world

CUDA_13 = ImagePin(name="ghcr.io/ggml-org/llama.cpp", tag="server-cuda13", digest="sha256:" + "0" * 64)


def test_the_plan_is_refused_with_both_versions() -> None:
    release, hosts, record = world.release(image=CUDA_13), world.hosts(), world.record()
    seen = world.seen_hosts()
    old = world.facts(2, driver=Driver(state="working", version="570.211.01"))
    new = world.facts(1, driver=Driver(state="working", version="580.95.05"))
    gone = {f"image:{CUDA_13.ref}": Absent(world.AT)}
    seen = {
        "gpu-1": replace(seen["gpu-1"], facts=new, observed={**seen["gpu-1"].observed, **gone}),
        "gpu-2": replace(seen["gpu-2"], facts=old, observed={**seen["gpu-2"].observed, **gone}),
    }
    observation = Observation(
        file=world.stack(), hosts=hosts, gone=(), seen=seen, record=record, gateway=hosts[0]
    )
    plan = planning.draft(observation, record, release, world.placement()).plan
    with pytest.raises(gates.PlanRefused) as error:
        gates.refuse(plan, allow_downtime=True)
    (problem,) = error.value.problems
    assert problem.where == "gpu-2"
    assert "driver here is 570.211.01" in problem.got
    assert "needs 580.65 or newer" in problem.got
