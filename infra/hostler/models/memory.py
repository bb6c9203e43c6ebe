"""How much memory a llama.cpp replica takes, from the numbers in a GGUF header.

Bytes inside, MiB outside. The whole key-value cache is counted for every layer, also where a model
slides its window over some: never too little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from hostler.models.gguf import GgufError, Header, Skipped
from hostler.models.types import Need

MIB = 2**20
CACHE_BYTES = {"f16": 2.0, "q8_0": 1.0625, "q4_0": 0.5625}  # an element
UBATCH = 512  # llama-server's default
CUDA_CONTEXT = 358 * MIB  # 0.35 GiB a card
SPREAD = 1024 * MIB  # a card more than one: copies of buffers for working in parallel
DEFAULT_CONTEXT = 8192
# what a context is rounded down to when it is chosen here
CONTEXTS = (1024, 2048, 4096, 8192, 12288, 16384, 24576, 32768, 49152, 65536, 98304, 131072)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What memory depends on. `weights` in bytes on the card; `cache_width` bytes of key and value in
    one token of all layers, at one byte an element."""

    weights: int
    layers: int
    cache_width: int
    vocabulary: int
    embedding: int
    trained_context: int
    how: str = "header"

    def cache(self, tokens: int, kind: str) -> int:
        """Bytes of the key-value cache for so many tokens."""
        return math.ceil(tokens * self.cache_width * CACHE_BYTES[kind])

    @property
    def compute(self) -> int:
        """Bytes of the compute buffer."""
        return UBATCH * (self.vocabulary + self.embedding) * 4


def shape_of(header: Header) -> Shape:
    """Raises GgufError where the header lacks a number."""
    layers = _number(header, "block_count")
    embedding = _number(header, "embedding_length")
    heads = _heads(header.of_model("attention.head_count"), 1)[0]
    key_length = int(header.of_model("attention.key_length") or embedding // max(1, heads))
    value_length = int(header.of_model("attention.value_length") or embedding // max(1, heads))
    cache_heads = sum(_heads(header.of_model("attention.head_count_kv", heads), layers))
    return Shape(
        weights=_on_card(header),
        layers=layers,
        cache_width=cache_heads * (key_length + value_length),
        vocabulary=_vocabulary(header),
        embedding=embedding,
        trained_context=int(header.of_model("context_length", 0)),
    )


def shape_from_size(file_size: int, why: str) -> Shape:
    """When the header cannot be read: a dense model with grouped-query attention of that size, its
    cache a quarter wider than those of Llama 3 (128 KiB a token at 8B, 320 KiB at 70B)."""
    parameters = file_size / 0.6  # bytes a weight at Q4_K_M
    cache_width = int(80 * 1024 * math.sqrt(parameters / 8e9))
    layers = max(8, int(16 * (parameters / 1e9) ** 0.36))
    return Shape(
        weights=file_size,
        layers=layers,
        cache_width=cache_width,
        vocabulary=152_064,
        embedding=8192,
        trained_context=0,
        how=f"estimated from the file's size: {why}",
    )


def need(shape: Shape, *, context: int, slots: int = 1, cache: str = "f16", in_memory: bool = False) -> Need:
    """`context` in tokens a request; every slot has the whole of it."""
    divided = shape.weights + shape.cache(context * slots, cache)
    # layers are not cut: one card of several gets up to a layer more than its part
    layer = divided / max(1, shape.layers)
    return Need(
        divided_mib=math.ceil(divided / MIB),
        card_mib=math.ceil((shape.compute + (0 if in_memory else CUDA_CONTEXT)) / MIB),
        spread_mib=math.ceil((SPREAD + layer) / MIB),
        how=shape.how,
    )


def cards_needed(wanted: Need, free_mib: Sequence[int], cards: int | None = None) -> int | None:
    """The smallest number of one host's cards that hold it, each with enough free; None: it does not fit."""
    counts = range(1, len(free_mib) + 1) if cards is None else [cards]
    for count in counts:
        if sum(free >= wanted.per_card(count) for free in free_mib) >= max(1, count):
            return count
    return None


def fitting_context(
    shape: Shape,
    hosts: Sequence[Sequence[int]],
    *,
    cards: int | None = None,
    slots: int = 1,
    cache: str = "f16",
    limit: int = DEFAULT_CONTEXT,
    in_memory: bool = False,
) -> int:
    """The largest context up to `limit` (and to what the model was trained for) that fits on some
    host; `hosts` has the free MiB of each card (main memory as one card). If none fits, the smallest:
    placement then says what is lacking. No host at all: nothing says that `limit` would not fit."""
    top = min(limit, shape.trained_context or limit)
    steps = sorted({top, *(step for step in CONTEXTS if step < top)}, reverse=True)
    if not hosts:
        return top
    for context in steps:
        wanted = need(shape, context=context, slots=slots, cache=cache, in_memory=in_memory)
        if any(cards_needed(wanted, free, cards) for free in hosts):
            return context
    return steps[-1]


def _on_card(header: Header) -> int:
    """The token embedding stays in main memory, unless it is the output matrix too."""
    embedding = header.tensors.get("token_embd.weight")
    tied = "output.weight" not in header.tensors
    return header.file_size - (0 if tied or embedding is None else embedding.size)


def _vocabulary(header: Header) -> int:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Skipped):
        return tokens.count
    embedding = header.tensors.get("token_embd.weight")
    if embedding and len(embedding.shape) == 2:
        return embedding.shape[1]
    return int(header.of_model("vocab_size", 0))


def _heads(value: Any, layers: int) -> list[int]:
    """One number for every layer, or one for each."""
    if isinstance(value, tuple):
        return [int(one) for one in cast("tuple[int, ...]", value)] or [0]
    return [int(value)] * layers if isinstance(value, (int, float)) else [0]


def _number(header: Header, name: str) -> int:
    value = header.of_model(name)
    if not isinstance(value, int) or value <= 0:
        raise GgufError(f"its header has no {header.architecture or 'architecture'}.{name}")
    return value


def as_gib(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB"
