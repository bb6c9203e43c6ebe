"""What models for embeddings take: no cache where a text is worked on at once, and buffers as long as it."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.models.gguf import bytes_reader, read_header
from hostler.models.memory import Shape, need, shape_of

from . import builders

MIB = 2**20


def shape(architecture: str, **more: Any) -> Shape:
    """As of a MiniLM: six layers, 384 wide, 12 heads."""
    metadata = {
        "general.architecture": architecture,
        **{f"{architecture}.{key}": value for key, value in {
            "block_count": 6, "embedding_length": 384, "context_length": 512, "attention.head_count": 12, **more,
        }.items()},
    }  # fmt: skip
    data = builders.header(metadata, [("token_embd.weight", (384, 30522), 0)])
    return shape_of(read_header(bytes_reader(data), 90 * MIB))


ENCODER = {"pooling_type": 1, "attention.causal": False}


@pytest.mark.parametrize(("context", "measured"), [(512, 18.26), (2048, 229.05), (4096, 874.11)])
def test_an_encoder_takes_what_was_measured(context: int, measured: float) -> None:
    """llama-server 11669 on MiniLM without flash attention: weights, and one buffer. Never too little."""
    model = shape("bert", **ENCODER)
    assert model.cache(context, "f16") == 0
    buffer = need(model, context=context, in_memory=True).total(0) - 90
    assert measured <= buffer <= measured * 1.4 + 2


def test_a_decoder_for_embeddings_keeps_its_cache() -> None:
    model = shape("qwen3", pooling_type=3)
    assert model.embeds
    assert model.cache(1, "f16") == 6 * 2 * 384 * 2


def test_a_chat_model_is_none_of_them() -> None:
    model = shape("llama")
    assert not model.embeds
    assert model.compute(512) == model.compute(4096) == 512 * (30522 + 384) * 4
