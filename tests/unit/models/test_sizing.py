"""How many cards vLLM takes, which part of them, and with which context: before placement, for the cards there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.engines.base import Seat
from hostler.engines.vllm import part
from hostler.models.rooms import CardRoom, Room
from hostler.models.safetensors import Checkpoint, checkpoint_of
from hostler.models.sizing import Asked, Sized, by_layers, by_tensors, usable, with_args
from hostler.models.types import Wanted
from hostler.placement.place import place

from . import headers

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "models" / "sizing.yaml").read_text()
)
LLAMA = {
    "model_type": "llama",
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
MODELS = {
    "8b": checkpoint_of(
        {**LLAMA, "torch_dtype": "bfloat16", "num_hidden_layers": 32, "num_attention_heads": 32,
         "hidden_size": 4096, "intermediate_size": 14336},
        16060522496,
    ),
    "awq": checkpoint_of(
        {**LLAMA, "torch_dtype": "float16", "num_hidden_layers": 80, "num_attention_heads": 64,
         "hidden_size": 8192, "intermediate_size": 28672,
         "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}},
        39767785472,
    ),
}  # fmt: skip
DRIVER_MIB = 320


def rooms(hosts: list[list[list[Any]]]) -> list[Room]:
    return [
        Room(
            host=f"h{at}",
            pool="rack",
            cards=tuple(
                CardRoom(
                    uuid=f"h{at}-{n}",
                    index=n,
                    name=name,
                    memory_mib=mib,
                    free_mib=free[0] if free else mib - DRIVER_MIB,
                )
                for n, (name, mib, *free) in enumerate(cards)
            ),
        )
        for at, cards in enumerate(hosts)
    ]


def sized_of(case: dict[str, Any]) -> tuple[Sized, list[Room]]:
    there = rooms(case["hosts"])
    model = with_args(MODELS[case["model"]], case.get("args", ()))
    return by_tensors(model, Asked(**case.get("asked", {})), there), there


def wanted(sized: Sized) -> Wanted:
    return Wanted(
        model="chat",
        pool=("rack",),
        replicas=1,
        need=sized.need,
        cards=sized.cards or None,
        parallel=sized.parallel,
        counts=sized.counts,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_what_it_takes(case: dict[str, Any]) -> None:
    found, _ = sized_of(case)
    assert (found.cards, found.context, found.slots, found.parallel) == (
        case["sized"]["cards"],
        case["sized"]["context"],
        64,
        "tensor",
    )
    assert len({found.need.per_card(count) for count in range(1, 17)}) == 1, "it is the same on any number"
    if "mib" in case["sized"]:
        assert found.need.per_card(found.cards) == case["sized"]["mib"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_placement_finds_room_just_where_it_was_worked_out(case: dict[str, Any]) -> None:
    found, there = sized_of(case)
    placed = place([wanted(found)], there)
    if not case.get("placed", True):
        assert placed.missing == ("chat-0",)
        reasons = " ".join(line.reason for line in placed.rejected)
        assert ("GiB" if case["sized"]["cards"] in found.counts else "can be divided among") in reasons
        return
    (replica,) = placed.replicas
    assert len(replica.members[0].cards) == found.cards


@pytest.mark.parametrize("case", [c for c in CASES if c.get("placed", True)], ids=lambda case: case["id"])
def test_what_is_said_to_vllm_is_what_was_worked_out(case: dict[str, Any]) -> None:
    """In three digits, also on a card of another size, and never more than others leave of it."""
    found, there = sized_of(case)
    (replica,) = place([wanted(found)], there).replicas
    seats = {card.uuid: card for room in there for card in room.cards}
    cards = [seats[uuid] for uuid in replica.members[0].cards]
    least = min(card.memory_mib for card in cards)
    mib = found.need.per_card(found.cards)
    said = float(part(Seat(model_path="/m", port=1, cards=found.cards, card_mib=least, each_mib=mib)))
    assert least * 0.983 * said == pytest.approx(mib, abs=0.0006 * least)
    assert all(mib <= card.free_mib for card in cards)


def test_slots_that_are_asked_for() -> None:
    there = rooms([[["RTX 3090", 24576]]])
    assert by_tensors(MODELS["8b"], Asked(slots=8), there).slots == 8
    shape = headers.shape("llama-3-8b")
    assert by_layers(shape, Asked(), there).slots == 1
    four = by_layers(shape, Asked(slots=4), there)
    assert (four.slots, four.parallel, four.cards, four.counts) == (4, "layers", 0, ())
    assert four.need.per_card(1) == pytest.approx(8.9 * 1024, rel=0.01)


def test_a_short_model_has_no_more_context_than_it_knows() -> None:
    short = checkpoint_of(
        {**LLAMA, "torch_dtype": "bfloat16", "num_hidden_layers": 30, "num_attention_heads": 8,
         "hidden_size": 576, "intermediate_size": 1536, "max_position_embeddings": 2048},
        270_000_000,
    )  # fmt: skip
    assert by_tensors(short, Asked(), rooms([[["RTX 3090", 24576]]])).context == 2048


def test_where_no_host_answers_it_is_the_usual_context() -> None:
    found = by_tensors(MODELS["8b"], Asked(), [])
    assert (found.cards, found.context) == (1, 8192)


OLD, NEW, STRANGE = ["Tesla T4", 15360], ["A10G", 23028], ["Card X", 24576]


@pytest.mark.parametrize(
    ("model", "hosts", "why"),
    [
        (MODELS["8b"], [[OLD]], "bfloat16 needs compute capability 8.0, this card has 7.5"),
        (MODELS["8b"], [[OLD], [NEW]], ""),
        (MODELS["8b"], [[OLD], [STRANGE]], ""),
        (MODELS["8b"], [[]], ""),
        (with_args(MODELS["8b"], ["--dtype", "half"]), [[OLD]], ""),
        (with_args(MODELS["8b"], ["--dtype=float16"]), [[OLD]], ""),
        (with_args(MODELS["8b"], ["--dtype", "auto"]), [[OLD]], "bfloat16 needs"),
        (MODELS["awq"], [[OLD]], ""),
        (MODELS["awq"], [[["Tesla V100 32GB", 32768]]], "awq needs compute capability 7.5, this card has 7.0"),
    ],
)  # fmt: skip
def test_cards_that_are_too_old(model: Checkpoint, hosts: list[list[list[Any]]], why: str) -> None:
    found = usable(model, rooms(hosts))
    assert found.startswith(why) if why else not found
