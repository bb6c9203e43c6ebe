"""Memory of the common families, from headers as their files have them."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.models.memory import cards_needed, fitting_context, need, shape_of, split

from . import headers

GIB = 2**30
CASES = {name: headers.case(name) for name in headers.NAMES}


def each(part: str) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}-{case['context']}-{case.get('cache', 'f16')}")
        for name, told in CASES.items()
        for case in told.get(part, ())
    ]


@pytest.mark.parametrize("name", headers.NAMES)
def test_file_is_as_large_as_the_published_one(name: str) -> None:
    size = headers.header_of(name).file_size
    assert size / 1e9 == pytest.approx(CASES[name]["file_gb"], rel=0.015)
    assert size / GIB == pytest.approx(CASES[name].get("file_gib", size / GIB), rel=0.01)


@pytest.mark.parametrize("name", headers.NAMES)
def test_weights_and_cache(name: str) -> None:
    shape = shape_of(headers.header_of(name))
    assert shape.weights / GIB == pytest.approx(CASES[name]["on_card_gib"], rel=0.02)
    assert shape.active / GIB == pytest.approx(CASES[name]["active_gib"], rel=0.03)
    assert shape.cache(1, "f16") == CASES[name]["token_kib"] * 1024


@pytest.mark.parametrize(("name", "case"), each("needs"))
def test_needs(name: str, case: dict[str, Any]) -> None:
    shape = shape_of(headers.header_of(name))
    taken = need(shape, context=case["context"], cache=case.get("cache", "f16"))
    assert taken.total(case.get("cards", 1)) / 1024 == pytest.approx(case["gib"], rel=0.05)


@pytest.mark.parametrize(("name", "case"), each("fits"))
def test_fits(name: str, case: dict[str, Any]) -> None:
    """What is chosen is what was measured."""
    shape = shape_of(headers.header_of(name))
    free = [case["free_mib"]] * case["cards"]
    assert fitting_context(shape, [free], cache=case["cache"], limit=131072) == case["context"]
    taken = need(shape, context=case["context"], cache=case["cache"])
    assert cards_needed(taken, [case["free_mib"]] * 4) == case["cards"]


@pytest.mark.parametrize("cards", [2, 3, 4])
@pytest.mark.parametrize("name", headers.NAMES)
def test_cards_share_all_layers(name: str, cards: int) -> None:
    shape = shape_of(headers.header_of(name))
    parts = split(shape, cards, context=8192)
    assert len(parts) == cards
    assert sum(parts) == pytest.approx(shape.weights + shape.cache(8192, "f16"), rel=1e-6)
    assert need(shape, context=8192).per_card(cards) * 2**20 > max(parts)


def test_the_last_card_carries_the_output() -> None:
    """Gemma's is as large as four layers: dividing evenly would promise too much room."""
    shape = shape_of(headers.header_of("gemma-3-27b"))
    first, last = split(shape, 2, context=8192)
    assert 0.6 * GIB < last - first < 1.2 * GIB


def test_a_window_is_kept_for_each_slot() -> None:
    shape = shape_of(headers.header_of("gemma-3-27b"))
    one, two = shape.cache(8192, "f16"), shape.cache(8192, "f16", slots=2)
    assert two == 2 * one
    assert need(shape, context=8192, slots=2).divided_mib < need(shape, context=16384).divided_mib + 1300


def test_older_files_of_deepseek_expand_every_head() -> None:
    from dataclasses import replace

    header = headers.header_of("deepseek-v2-lite")
    metadata = {key: value for key, value in header.metadata.items() if not key.endswith("_mla")}
    metadata |= {
        "deepseek2.attention.head_count_kv": 16,
        "deepseek2.attention.key_length": 192,
        "deepseek2.attention.value_length": 128,
    }
    assert shape_of(replace(header, metadata=metadata)).cache(1, "f16") == 27 * 16 * (192 + 128) * 2


@pytest.mark.parametrize(
    ("more", "windows"),
    [
        ({}, 52),
        ({"gemma3.attention.sliding_window_pattern": 2}, 31),
        ({"gemma3.attention.sliding_window_pattern": (True, False) + (False,) * 60}, 1),
        ({"gemma3.attention.sliding_window": 0}, 0),
        ({"general.architecture": "gemma3"}, 52),
    ],
)
def test_the_header_may_say_which_layers_slide(more: dict[str, Any], windows: int) -> None:
    from dataclasses import replace

    header = headers.header_of("gemma-3-27b")
    shape = shape_of(replace(header, metadata={**header.metadata, **more}))
    assert sum(bool(layer.window) for layer in shape.attention) == windows
