"""A driver that does not work, or is too old: what is said, and what to type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.configure import driver, too_old
from hostler.hosts.types import Card, Driver, Seen, Value
from worlds import configure_world as world

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "configure" / "driver.yaml").read_text()
)
CUDA, GEFORCE, A10G = "server-cuda", "NVIDIA GeForce RTX 3090", "NVIDIA A10G"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_what_is_wrong_and_what_to_type(case: dict[str, Any]) -> None:
    state = Driver(**{**case["driver"], "half": tuple(case["driver"].get("half", ()))})
    found = driver.refusals(world.bare(1, facts=world.facts(1, cards=(), driver=state, **case["facts"])))
    said, _, typed = found[0].text.partition(", type there:\n")
    assert found[0].level == "refuse"
    assert [line.strip() for line in typed.splitlines()] == case["typed"]
    assert not [words for words in case.get("says", ()) if words not in said]
    assert not [words for words in case.get("never", ()) if words in found[0].text]


def host(version: str, card: str, **observed: Any) -> Seen:
    cards = (Card(index=0, uuid="GPU-1", name=card, memory_mib=24576),)
    facts = world.facts(1, driver=Driver(state="working", version=version), cards=cards)
    return replace(world.bare(1, facts=facts), observed=observed)


@pytest.mark.parametrize(
    ("tag", "card", "version", "least"),
    [
        (CUDA, GEFORCE, "550.144.03", "570"),
        (CUDA, GEFORCE, "570.86", ""),
        (CUDA, A10G, "550.144.03", ""),
        (CUDA, A10G, "470.256.02", "525.60"),
        ("server-cuda-b4000", GEFORCE, "550.144.03", ""),
        ("server-cuda-b4000", GEFORCE, "525.53", "525.60"),
        ("server-cuda13", A10G, "570.211.01", "580.65"),
        ("server-cuda13", A10G, "580.95.05", ""),
        ("mine", GEFORCE, "470.256.02", ""),
        (CUDA, GEFORCE, "", ""),
    ],
)
def test_a_driver_that_is_older_than_the_image_needs(tag: str, card: str, version: str, least: str) -> None:
    image = world.pin("ghcr.io/ggml-org/llama.cpp", tag)
    found = list(
        too_old.notices(world.release(image=image), world.placement("gpu-1"), {"gpu-1": host(version, card)})
    )
    assert len(found) == bool(least)
    for notice in found:
        assert (notice.level, notice.where) == ("refuse", "gpu-1")
        assert f"driver here is {version}" in notice.text
        assert f"llama.cpp:{tag} (CUDA " in notice.text
        assert f"needs {least} or newer" in notice.text
        assert "sudo reboot" in notice.text


def test_an_image_that_is_there_was_started_before() -> None:
    release = world.release()
    ref = release.models["chat"].runs.image.ref
    there = host("550.144.03", GEFORCE, **{f"image:{ref}": Value({"id": "sha256:id", "size": 1}, world.AT)})
    placement = world.placement("gpu-1")
    assert not list(too_old.notices(release, placement, {"gpu-1": there}))
    assert list(too_old.notices(release, placement, {"gpu-1": host("550.144.03", GEFORCE)}))


def test_one_sentence_a_host_however_many_replicas() -> None:
    placement = world.placement("gpu-1", "gpu-1")
    assert len(list(too_old.notices(world.release(), placement, {"gpu-1": host("550.1", GEFORCE)}))) == 1


def test_a_replica_in_main_memory_needs_no_driver() -> None:
    one = world.placement("gpu-1")
    member = replace(one.replicas[0].members[0], cards=())
    placement = replace(one, replicas=(replace(one.replicas[0], members=(member,)),))
    assert not list(too_old.notices(world.release(), placement, {"gpu-1": host("470.1", GEFORCE)}))
