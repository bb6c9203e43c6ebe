"""The stack files that rent: they load, what they say of cards is so, and what they ask for fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.cloud import catalogue
from hostler.cloud.candidates import limit
from hostler.models.bandwidth import card_named
from hostler.stackfile.load import load
from hostler.stackfile.sections import Aws, Stack

ROOT = Path(__file__).resolve().parents[3]
STACKS = ROOT / "stacks"
WORKED: dict[str, dict[str, Any]] = {
    case["file"]: case for case in yaml.safe_load((ROOT / "tests/cases/stacks.yaml").read_text())
}
DRIVER_MIB = 320  # of each card, kept by the driver


def stack(name: str) -> Stack:
    return load(STACKS / f"{name}.yaml").stack


def rented(name: str) -> dict[str, Aws]:
    return {pool: section.aws for pool, section in stack(name).pools.items() if section.aws}


RENTING = sorted(path.stem for path in STACKS.glob("*.yaml") if rented(path.stem))


def test_there_are_some() -> None:
    assert {"aws-a10g", "hybrid"} <= set(RENTING)


@pytest.mark.parametrize("name", RENTING)
def test_its_machines_are_known(name: str) -> None:
    for aws in rented(name).values():
        kinds = [catalogue.kind(instance) for instance in aws.instances]
        assert all(kind.cards == 1 and card_named(kind.card) for kind in kinds)
        limit(aws.max_price)  # in what AWS counts in


# a model of a stack that rents, the worked case with just these weights, context and slots, and the cards it may be on
SAME = [
    ("aws-a10g", "chat", "llama-3-8b-a10g", ["NVIDIA A10G"]),
    ("hybrid", "fast", "mistral-7b-a10g", ["NVIDIA A10G", "NVIDIA L4", "NVIDIA GeForce RTX 3090"]),
    ("hybrid", "chat", "llama-3-8b-a10g", ["NVIDIA GeForce RTX 3090"]),
]


@pytest.mark.parametrize(("name", "model", "case", "cards"), SAME, ids=[f"{s[0]}-{s[1]}" for s in SAME])
def test_it_takes_what_its_comments_say(name: str, model: str, case: str, cards: list[str]) -> None:
    asked, worked = stack(name).models[model], stack(case).models["chat"]
    for key in ("source", "cards", "context", "slots", "cache"):
        assert getattr(asked, key) == getattr(worked, key)
    assert f" {WORKED[case]['gib']:.1f} " in (STACKS / f"{name}.yaml").read_text(encoding="utf-8")
    for card in cards:
        found = card_named(card)
        assert found is not None
        assert WORKED[case]["gib"] * 1024 <= found.memory_mib - DRIVER_MIB


def test_the_rented_cards_are_those_of_the_comments() -> None:
    assert [catalogue.kind(one).card for one in rented("aws-a10g")["cloud"].instances] == ["NVIDIA A10G"] * 2
    assert [catalogue.kind(one).card for one in rented("hybrid")["burst"].instances] == [
        "NVIDIA A10G",
        "NVIDIA L4",
    ]


def test_the_second_replica_of_a_hybrid_has_no_room_at_home() -> None:
    """Else `up` would never want what is rented."""
    card = card_named("NVIDIA GeForce RTX 3090")
    assert card is not None
    chat, fast = WORKED["llama-3-8b-a10g"]["gib"], WORKED["mistral-7b-a10g"]["gib"]
    hybrid = stack("hybrid")
    assert (chat + fast) * 1024 > card.memory_mib < 2 * fast * 1024
    homes = len(hybrid.pools["rack"].hosts)
    assert hybrid.models["chat"].replicas + hybrid.models["fast"].replicas == homes + hybrid_count(hybrid)


def hybrid_count(hybrid: Stack) -> int:
    count = hybrid.pools["burst"].count
    assert count is not None
    assert count.low == 0
    return count.high
