"""How much memory a llama.cpp replica takes, from the numbers in a GGUF header.

Bytes inside, MiB outside. kv.py says how wide each layer's cache is; what is not known is counted in
full: never too little.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from hostler.models.gguf import Header, Skipped
from hostler.models.kv import UBATCH, Attention, attention_of, number, per_layer
from hostler.models.types import Need

MIB = 2**20
CACHE_BYTES = {"f16": 2.0, "q8_0": 1.0625, "q4_0": 0.5625}  # an element
CUDA_CONTEXT = 358 * MIB  # 0.35 GiB a card
WIDE, HEADS = (
    16,
    16,
)  # embeddings: values of a token in work at once, in widths of it; heads where they are not known
SPREAD = 1024 * MIB  # a card more than one: copies of buffers for working in parallel
MOST_CARDS = 16
DEFAULT_CONTEXT = 8192
# what a context is rounded down to when it is chosen here
CONTEXTS = (1024, 2048, 4096, 8192, 12288, 16384, 24576, 32768, 49152, 65536, 98304, 131072)

_BLOCK = re.compile(r"blk\.(\d+)\.")
_EXPERTS = re.compile(r"_exps\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What memory depends on. Bytes on the card: `weights` of all, `blocks` of each layer (none: not
    known, as if all were alike), `active` what one token reads of them (of experts only those used)."""

    weights: int
    attention: tuple[Attention, ...]
    vocabulary: int
    embedding: int
    trained_context: int
    active: int
    blocks: tuple[int, ...] = ()
    how: str = "header"
    heads: int = 0  # of attention, where they are known
    embeds: bool = False  # made for embeddings: the header says how vectors become one

    @property
    def layers(self) -> int:
        return len(self.attention)

    @property
    def cache_width(self) -> int:
        """Elements of key and value in one token of all layers."""
        return sum(layer.width for layer in self.attention)

    def caches(self, tokens: int, kind: str, slots: int = 1) -> list[float]:
        """Bytes of each layer's key-value cache for so many tokens in each slot."""
        return [slots * layer.width * layer.tokens(tokens) * CACHE_BYTES[kind] for layer in self.attention]

    def cache(self, tokens: int, kind: str, slots: int = 1) -> int:
        """Bytes of the whole key-value cache."""
        return math.ceil(sum(self.caches(tokens, kind, slots)))

    def compute(self, context: int) -> int:
        """Bytes of the compute buffer. For embeddings a text of `context` tokens is worked on at once, and no word
        is chosen; every head's scores, and a mask, are counted in full, as without flash attention. Measured on a MiniLM, 384
        wide with 12 heads: 18, 229 and 874 MiB at 512, 2,048 and 4,096 tokens."""
        if self.embeds:
            return context * (WIDE * self.embedding + (1 + (self.heads or HEADS)) * context) * 4
        return UBATCH * (self.vocabulary + self.embedding) * 4


def shape_of(header: Header) -> Shape:
    """Raises GgufError where the header lacks a number."""
    attention = attention_of(header)
    blocks = _blocks(header, len(attention))
    weights = _on_card(header)
    return Shape(
        weights=weights,
        attention=attention,
        vocabulary=_vocabulary(header),
        embedding=number(header, "embedding_length"),
        trained_context=int(header.of_model("context_length", 0)),
        active=weights - _unused_experts(header),
        blocks=blocks if all(blocks) else (),
        heads=max(per_layer(header.of_model("attention.head_count"), 1)),
        embeds=bool(header.of_model("pooling_type")),
    )


def shape_from_size(file_size: int, why: str) -> Shape:
    """When the header cannot be read: a dense model with grouped-query attention of that size, its
    cache a quarter wider than those of Llama 3 (128 KiB a token at 8B, 320 KiB at 70B)."""
    parameters = file_size / 0.6  # bytes a weight at Q4_K_M
    cache_width = int(80 * 1024 * math.sqrt(parameters / 8e9))
    layers = max(8, int(16 * (parameters / 1e9) ** 0.36))
    return Shape(
        weights=file_size,
        attention=(Attention(-(-cache_width // layers)),) * layers,
        vocabulary=152_064,
        embedding=8192,
        trained_context=0,
        active=file_size,
        how=f"estimated from the file's size: {why}",
    )


def need(shape: Shape, *, context: int, slots: int = 1, cache: str = "f16", in_memory: bool = False) -> Need:
    """`context` in tokens a request; every slot has the whole of it."""
    divided = shape.weights + shape.cache(context, cache, slots)
    ends = _ends(shape, context, slots, cache)
    fullest = [max(_dealt(ends, count)) for count in range(2, MOST_CARDS + 1)]
    return Need(
        divided_mib=math.ceil(divided / MIB),
        card_mib=math.ceil((shape.compute(context) + (0 if in_memory else CUDA_CONTEXT)) / MIB),
        # layers are not cut: beyond those counts a card gets up to a layer more than its part
        spread_mib=math.ceil((SPREAD + divided / max(1, shape.layers)) / MIB),
        fullest_mib=tuple(math.ceil((part + SPREAD) / MIB) for part in fullest),
        how=shape.how,
    )


def split(shape: Shape, cards: int, *, context: int, slots: int = 1, cache: str = "f16") -> tuple[float, ...]:
    """Bytes of weights and cache on each card when layers are dealt out evenly, as llama-server does
    it with equal parts: the output matrix counts as one more layer and goes to the last card."""
    return _dealt(_ends(shape, context, slots, cache), cards)


def _ends(shape: Shape, context: int, slots: int, cache: str) -> list[float]:
    """Bytes up to each layer's end, from 0 on; the output matrix is the last."""
    rest = shape.weights - sum(shape.blocks) if shape.blocks else 0
    blocks = shape.blocks or (shape.weights / max(1, shape.layers),) * shape.layers
    caches = shape.caches(context, cache, slots)
    return list(accumulate((*(b + c for b, c in zip(blocks, caches, strict=True)), rest), initial=0.0))


def _dealt(ends: Sequence[float], cards: int) -> tuple[float, ...]:
    units = len(ends) - 1
    cuts = [ends[-(-card * units // cards)] for card in range(cards + 1)]
    return tuple(after - before for before, after in pairwise(cuts))


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
        if any(cards_needed(wanted, free, cards) is not None for free in hosts):
            return context
    return steps[-1]


def _on_card(header: Header) -> int:
    """The token embedding stays in main memory, unless it is the output matrix too; Gemma 3n's for each
    layer always does."""
    tied = "output.weight" not in header.tensors
    stays = [header.tensors.get("per_layer_token_embd.weight")]
    if not tied:
        stays.append(header.tensors.get("token_embd.weight"))
    return header.file_size - sum(tensor.size for tensor in stays if tensor)


def _vocabulary(header: Header) -> int:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Skipped):
        return tokens.count
    embedding = header.tensors.get("token_embd.weight")
    if embedding and len(embedding.shape) == 2:
        return embedding.shape[1]
    return int(header.of_model("vocab_size", 0))


def _blocks(header: Header, layers: int) -> tuple[int, ...]:
    """Bytes of each layer's tensors."""
    sizes = [0] * layers
    for tensor in header.tensors.values():
        found = _BLOCK.match(tensor.name)
        if found and int(found[1]) < layers:
            sizes[int(found[1])] += tensor.size
    return tuple(sizes)


def _unused_experts(header: Header) -> int:
    """Bytes of the experts that one token does not ask."""
    there, used = header.of_model("expert_count", 0), header.of_model("expert_used_count", 0)
    if not there or not used:
        return 0
    experts = sum(tensor.size for tensor in header.tensors.values() if _EXPERTS.search(tensor.name))
    return int(experts * (1 - min(1.0, used / there)))


def as_gib(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB"
