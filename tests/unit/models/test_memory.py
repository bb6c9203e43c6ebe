"""The worked cases of what fits, and the header reader they start from."""

from __future__ import annotations

import struct

import pytest

from hostler.models.gguf import GgufError, Header, Skipped, bytes_reader, read_header
from hostler.models.memory import Shape, cards_needed, fitting_context, need, shape_from_size, shape_of

from . import builders

CARD_3090 = 24576 - 320  # MiB, less what the driver keeps


def shape(made: tuple[bytes, int]) -> Shape:
    data, size = made
    return shape_of(read_header(bytes_reader(data), size))


@pytest.mark.parametrize(("context", "gib"), [(8192, 5.9), (32768, 8.9), (131072, 20.9)])
def test_llama_8b_on_one_card(context: int, gib: float) -> None:
    taken = need(shape(builders.llama_8b()), context=context).total(1) / 1024
    assert taken == pytest.approx(gib, rel=0.05)


@pytest.mark.parametrize(("cache", "context"), [("f16", 12288), ("q8_0", 24576)])
def test_llama_70b_on_two_cards(cache: str, context: int) -> None:
    """What is chosen is what was measured, and it fills the two cards to within 5%."""
    big = shape(builders.llama_70b())
    assert fitting_context(big, [[CARD_3090] * 2], cache=cache, limit=131072) == context
    taken = need(big, context=context, cache=cache)
    assert cards_needed(taken, [CARD_3090] * 4) == 2
    assert taken.total(2) == pytest.approx(2 * 24576, rel=0.05)


def test_a_token_of_llama_8b_costs_128_kib() -> None:
    assert shape(builders.llama_8b()).cache(1, "f16") == 128 * 1024
    assert shape(builders.llama_70b()).cache(1, "q8_0") == 170 * 1024


def test_every_slot_has_the_whole_context() -> None:
    small = shape(builders.llama_8b())
    assert need(small, context=4096, slots=2) == need(small, context=8192)


def test_tied_embedding_counts_as_weights() -> None:
    data = builders.header(
        {"general.architecture": "llama", "llama.block_count": 1, "llama.embedding_length": 64,
         "llama.attention.head_count": 2}, [("token_embd.weight", (64, 1000), 0)]
    )  # fmt: skip
    tied = shape_of(read_header(bytes_reader(data), 10_000_000))
    assert tied.weights == 10_000_000
    assert (tied.vocabulary, tied.cache_width) == (1000, 2 * (32 + 32))


def test_heads_for_each_layer_and_own_key_length() -> None:
    made = builders.llama(
        layers=3, embedding=64, heads=4, heads_kv=1, vocabulary=9, on_card_gib=0.1, embedding_gib=0.01,
        **{"llama.attention.head_count_kv": [0, 2, 3], "llama.attention.key_length": 20, "llama.attention.value_length": 30},
    )  # fmt: skip
    assert shape(made).cache_width == 5 * 50


def test_context_is_eight_thousand_or_what_fits() -> None:
    small = shape(builders.llama_8b())
    assert fitting_context(small, [[24000]]) == 8192
    assert fitting_context(small, [[5600]]) == 4096
    assert fitting_context(small, [[100]]) == 1024
    trained = shape(
        builders.llama(
            layers=2,
            embedding=64,
            heads=2,
            heads_kv=2,
            vocabulary=9,
            on_card_gib=0.1,
            embedding_gib=0.01,
            trained=2048,
        )
    )
    assert fitting_context(trained, [[24000]]) == 2048
    assert fitting_context(small, []) == 8192, "no host answers: nothing says that it would not fit"


def test_estimate_says_so_and_is_not_too_small() -> None:
    exact = need(shape(builders.llama_8b()), context=8192)
    _, size = builders.llama_8b()
    guess = need(shape_from_size(size, "the server was busy"), context=8192)
    assert guess.how == "estimated from the file's size: the server was busy"
    assert exact.total(1) < guess.total(1) < 1.3 * exact.total(1)


def test_main_memory_has_no_cuda_context() -> None:
    small = shape(builders.llama_8b())
    assert need(small, context=8192).total(0) - need(small, context=8192, in_memory=True).total(0) == 358


def test_context_in_main_memory_that_is_asked_for() -> None:
    small = shape(builders.llama_8b())
    assert fitting_context(small, [[16000]], cards=0, in_memory=True) == 8192


def read(data: bytes, size: int = 10**6) -> Header:
    return read_header(bytes_reader(data), size)


@pytest.mark.parametrize("version", [2, 3])
def test_header_values(version: int) -> None:
    data = builders.header(
        {"general.architecture": "x", "x.flag": True, "x.rate": 0.5, "x.list": [1, 2], "x.long": list(range(5000)),
         "x.words": ["a", "bc", ""], "general.alignment": 64}, [("b", (2,), 128), ("a", (2, 3), 0)], version
    )  # fmt: skip
    found = read(data)
    assert (found.version, found.architecture, found.data_start % 64) == (version, "x", 0)
    assert [found.of_model(name) for name in ("flag", "rate", "list")] == [True, 0.5, (1, 2)]
    assert (found.of_model("long"), found.of_model("words")) == (Skipped(5000), Skipped(3))
    assert (found.tensors["a"].size, found.tensors["b"].size) == (128, 10**6 - found.data_start - 128)


def test_header_is_read_in_few_growing_pieces() -> None:
    data, size = builders.llama_8b()
    asked: list[tuple[int, int]] = []

    def counting(offset: int, count: int) -> bytes:
        asked.append((offset, count))
        return data[offset : offset + count]

    read_header(counting, size)
    assert asked == [(0, 2**20), (2**20, 2**21)]


def test_header_that_arrives_in_crumbs() -> None:
    data, size = builders.llama(
        layers=2, embedding=64, heads=2, heads_kv=2, vocabulary=300, on_card_gib=0.1, embedding_gib=0.01
    )
    found = read_header(lambda offset, count: data[offset : offset + min(count, 7)], size)
    assert found == read_header(bytes_reader(data), size)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends within its header"),
        (b"PK\x03\x04" + b"\0" * 64, "does not start as a GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "more than any header"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + builders.text("k") + struct.pack("<I", 99), "type 99"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**50), "longer than any real one"),
        (builders.llama_8b()[0][:100_000], "ends within its header"),
    ],
)
def test_bad_headers_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(GgufError, match=reason):
        read(data)


def test_missing_numbers_say_which() -> None:
    with pytest.raises(GgufError, match=r"llama\.block_count"):
        shape_of(read(builders.header({"general.architecture": "llama"}, [])))
