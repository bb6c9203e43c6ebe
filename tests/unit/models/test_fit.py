"""Which cards, contexts and engines work for a model, and why the others do not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from hostler.errors import UsageError
from hostler.models.fit import Fit, Subject, fit, scaled
from hostler.models.imagined import card_room, common_rooms
from hostler.models.memory import shape_of
from hostler.models.rooms import CardRoom, Room
from hostler.models.safetensors import INDEX, read_checkpoint

from . import headers
from .test_vllm_memory import CASES


def gguf(name: str) -> Subject:
    return Subject(name=name, source=name, shape=shape_of(headers.header_of(name)))


def checkpoint(number: int) -> Subject:
    case = CASES[number]
    files = {
        "config.json": json.dumps(case["config"]).encode(),
        INDEX: json.dumps({"metadata": {"total_size": case["total_size"]}}).encode(),
    }
    return Subject(name=case["id"], source="hf:x/y", checkpoint=read_checkpoint(files.get, {}))


def told(found: Fit) -> list[tuple[int, str, str, int]]:
    return [(row.cards, row.engine, row.cache, row.context) for row in found.works]


def test_an_8b_on_one_3090() -> None:
    found = fit(gguf("llama-3-8b"), [card_room("RTX 3090*1")])
    assert told(found) == [(1, "llama.cpp", "f16", 8192)]
    row = found.works[0]
    assert (row.kind, row.where, row.card_mib // 1024) == ("RTX 3090", "RTX 3090*1", 5)
    assert row.tokens_s
    assert 90 < row.tokens_s < 140


def test_a_70b_wants_two() -> None:
    found = fit(gguf("llama-3-70b"), [card_room("RTX 3090*4")])
    assert told(found) == [
        (2, "llama.cpp", "f16", 12288),
        (2, "llama.cpp", "q8_0", 24576),
        (2, "llama.cpp", "q4_0", 49152),
        (4, "llama.cpp", "f16", 131072),
    ]
    assert [(no.cards, no.engine) for no in found.fails] == [(1, "llama.cpp")]
    assert "GiB on one card with 1024 tokens" in found.fails[0].reason
    assert "free" in found.fails[0].reason


def test_a_70b_awq_in_vllm() -> None:
    found = fit(checkpoint(1), [card_room("RTX 3090*4")])
    assert told(found) == [(2, "vllm", "f16", 4096), (4, "vllm", "f16", 131072)]
    assert "lacks" in found.fails[0].reason
    assert (found.works[1].tokens_s or 0) > (found.works[0].tokens_s or 0) > 0


def test_three_cards_do_not_divide_heads() -> None:
    found = fit(checkpoint(0), [card_room("A10G*3")])
    assert [row.cards for row in found.works] == [1, 2]
    assert [no.reason for no in found.fails] == ["32 heads cannot be divided among 3 cards"]


def test_an_old_card_in_vllm() -> None:
    found = fit(checkpoint(7), [card_room("Tesla T4*1")])
    assert found.fails[0].reason == "fp8 needs compute capability 8.0, this card has 7.5"


def test_what_others_take_is_not_there() -> None:
    card = CardRoom(
        uuid="a",
        index=0,
        name="NVIDIA RTX 3090",
        memory_mib=24576,
        free_mib=20000,
        note="4576 MiB taken by X",
    )
    room = Room(host="gpu1", pool="home", cards=(card,), memory_mib=60000)
    assert told(fit(gguf("llama-3-8b"), [room])) == [(1, "llama.cpp", "f16", 8192)]
    (yes,) = fit(checkpoint(0), [room]).works  # vLLM takes what is left
    assert yes.card_mib <= 20000
    full = replace(room, cards=(replace(card, free_mib=9000, note="15576 MiB taken by X"),))
    no = fit(checkpoint(0), [full]).fails[0]
    assert (no.where, no.cards) == ("gpu1", 1)
    assert "15576 MiB taken by X" in no.reason
    asked = fit(replace(checkpoint(0), part=0.92), [room]).fails[
        0
    ]  # more than is left, in the user's own words
    assert asked.reason == "takes 21.7 GiB of each, 19.5 GiB free (4576 MiB taken by X)"


def test_a_host_without_cards() -> None:
    room = Room(host="nas", pool="home", memory_mib=16000)
    assert told(fit(gguf("llama-3-8b"), [room])) == [(0, "llama.cpp", "f16", 8192)]
    assert fit(gguf("llama-3-8b"), [room]).works[0].tokens_s is None
    assert fit(checkpoint(0), [room]).fails[0].reason == "vllm runs on cards, and there are none"
    large = fit(gguf("llama-3-70b"), [room])
    assert "of main memory" in large.fails[0].reason


def test_hosts_that_say_nothing_say_why() -> None:
    rooms = [
        Room(host="off", pool="home", gone="it does not answer"),
        Room(host="bad", pool="home", blocked="NVIDIA's driver is not installed"),
    ]
    found = fit(gguf("llama-3-8b"), rooms)
    assert [(no.where, no.reason) for no in found.fails] == [
        ("off", "it does not answer"),
        ("bad", "NVIDIA's driver is not installed"),
    ]


def test_a_mixed_box_is_taken_whole_where_one_kind_does_not_do() -> None:
    def card(index: int, name: str, memory: int) -> CardRoom:
        return CardRoom(uuid=str(index), index=index, name=name, memory_mib=memory, free_mib=memory)

    cards = (card(0, "RTX 3090", 24256), card(1, "RTX 4090", 24256))
    found = fit(gguf("llama-3-70b"), [Room(host="mix", pool="home", cards=cards)])
    assert {row.kind for row in found.works} == {"RTX 3090 + RTX 4090"}
    assert told(found)[0] == (2, "llama.cpp", "f16", 12288)


def test_the_table_alone_shows_the_fewest_cards_of_each_kind() -> None:
    found = fit(gguf("llama-3-70b"), common_rooms(), brief=True)
    first = {row.kind: row for row in reversed(found.works)}
    assert first["RTX 3090"].cards == 2
    assert first["H100"].cards == 1
    assert len({(row.kind, row.cards) for row in found.works}) == len(first)
    assert {no.kind for no in found.fails} == {"RTX 3060"}


@pytest.mark.parametrize("word", ["RTX 9090", "RTX 3090*0", "RTX 3090*x", "*2", "RTX 3090*99"])
def test_cards_that_are_not_known(word: str) -> None:
    with pytest.raises(UsageError) as error:
        card_room(word)
    assert error.value.problems[0].next_step


def test_rows_are_plain() -> None:
    found = fit(gguf("llama-3-8b"), [card_room("3090")])
    assert yaml.safe_load(json.dumps(found.works[0].row()))["cards"] == 1


def test_other_quantizations_follow_with_the_fewest_cards_each() -> None:
    subject = gguf("llama-3-70b")
    assert subject.shape
    others = (scaled(subject, "Q2_K", 0.62), scaled(subject, "Q8_0", 1.76))
    found = fit(replace(subject, weights="Q4_K_M", others=others), [card_room("RTX 3090*4")])
    assert {(row.weights, row.cards) for row in found.works} == {
        ("Q4_K_M", 2),
        ("Q4_K_M", 4),
        ("Q2_K", 2),
        ("Q8_0", 4),
    }
    assert [(no.weights, no.cards) for no in found.fails] == [("Q4_K_M", 1)]
    assert [(no.weights, no.cards) for no in fit(others[1], [card_room("RTX 3090*2")]).fails] == [
        ("Q8_0", 1),
        ("Q8_0", 2),
    ]


def test_a_scaled_shape_keeps_its_cache() -> None:
    subject = gguf("mixtral-8x7b")
    other = scaled(subject, "Q8_0", 2.0)
    assert subject.shape
    assert other.shape
    assert other.shape.weights == pytest.approx(2 * subject.shape.weights, rel=1e-6)
    assert other.shape.active == pytest.approx(2 * subject.shape.active, rel=1e-6)
    assert other.shape.cache(1000, "f16") == subject.shape.cache(1000, "f16")
    assert sum(other.shape.blocks) < other.shape.weights


def test_every_slot_has_the_whole_context() -> None:
    one, four = gguf("gemma-3-27b"), replace(gguf("gemma-3-27b"), slots=4)
    assert fit(one, [card_room("RTX 3090")]).works[0].context == 65536
    assert fit(four, [card_room("RTX 3090")]).works[0].context == 12288
    host = Room(host="nas", pool="home", memory_mib=22000)
    assert fit(four, [host]).works[0].context < fit(one, [host]).works[0].context
