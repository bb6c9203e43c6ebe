"""Cards by name, and the tokens a second to expect."""

from __future__ import annotations

import pytest

from hostler.models.bandwidth import CARDS, card_named, speed


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("NVIDIA GeForce RTX 3090", 936),
        ("RTX 3090", 936),
        ("rtx3090", 936),
        ("3090", 936),
        ("NVIDIA GeForce RTX 3090 Ti", 1008),
        ("NVIDIA GeForce RTX 4090", 1008),
        ("NVIDIA A10G", 600),
        ("NVIDIA A10", 600),
        ("NVIDIA L4", 300),
        ("NVIDIA L40S", 864),
        ("NVIDIA A100-SXM4-80GB", 2039),
        ("NVIDIA A100 80GB PCIe", 1935),
        ("NVIDIA A100-SXM4-40GB", 1555),
        ("NVIDIA H100 80GB HBM3", 3350),
        ("NVIDIA H100 PCIe", 2000),
        ("NVIDIA RTX A6000", 768),
        ("NVIDIA RTX 6000 Ada Generation", 960),
        ("Tesla T4", 320),
    ],
)
def test_names_as_the_driver_says_them(name: str, gigabytes: int) -> None:
    found = card_named(name)
    assert found
    assert found.gigabytes_s == gigabytes


def test_unknown_stays_unknown() -> None:
    assert card_named("NVIDIA GeForce RTX 9090") is None
    assert card_named("") is None
    assert speed(["NVIDIA GeForce RTX 9090"], 5 * 2**30, 0) is None
    assert speed([], 5 * 2**30, 0) is None


def test_every_card_is_found_by_its_own_name() -> None:
    assert [card_named(card.name) for card in CARDS] == list(CARDS)


def test_llama_8b_on_a_3090() -> None:
    """4.3 GiB of weights and 1 GiB of cache at 8k: 936 GB/s read them 164 times a second."""
    tokens = speed(["RTX 3090"], 4.3 * 2**30, 2**30)
    assert tokens == pytest.approx(0.65 * 936e9 / (5.3 * 2**30), rel=0.01)


def test_layers_take_turns_and_tensors_work_together() -> None:
    one = speed(["RTX 3090"], 40 * 2**30, 0)
    taking_turns = speed(["RTX 3090"] * 2, 40 * 2**30, 0)
    together = speed(["RTX 3090"] * 2, 40 * 2**30, 0, together=True)
    assert one is not None
    assert together is not None
    assert taking_turns == one
    assert 1.4 * one < together < 2 * one


def test_the_slower_card_slows() -> None:
    mixed = speed(["RTX 4090", "Tesla T4"], 10 * 2**30, 0)
    assert mixed
    assert mixed == pytest.approx(0.65 / (5 * 2**30 / 1008e9 + 5 * 2**30 / 320e9), rel=0.01)
