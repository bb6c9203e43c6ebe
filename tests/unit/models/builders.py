"""Headers, rooms and values for the tests of models."""

from __future__ import annotations

import struct
from typing import Any

GIB = 2**30


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(data: Any) -> bytes:
    if isinstance(data, bool):
        return struct.pack("<I?", 7, data)
    if isinstance(data, int):
        return struct.pack("<II", 4, data)
    if isinstance(data, float):
        return struct.pack("<If", 6, data)
    if isinstance(data, str):
        return struct.pack("<I", 8) + text(data)
    assert isinstance(data, list)
    if data and isinstance(data[0], str):
        return struct.pack("<IIQ", 9, 8, len(data)) + b"".join(text(word) for word in data)
    return struct.pack("<IIQ", 9, 4, len(data)) + struct.pack(f"<{len(data)}I", *data)


def header(
    metadata: dict[str, Any], tensors: list[tuple[str, tuple[int, ...], int]], version: int = 3
) -> bytes:
    """`tensors`: name, shape, offset."""
    parts = [b"GGUF", struct.pack("<IQQ", version, len(tensors), len(metadata))]
    parts += [text(key) + value(data) for key, data in metadata.items()]
    for name, shape, offset in tensors:
        parts.append(
            text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", 12, offset)
        )
    return b"".join(parts)


def llama(
    *,
    layers: int,
    embedding: int,
    heads: int,
    heads_kv: int,
    vocabulary: int,
    on_card_gib: float,
    embedding_gib: float,
    trained: int = 131072,
    **more: Any,
) -> tuple[bytes, int]:
    """A header as of a Llama, and the file's size: token embedding, then all else."""
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": layers,
        "llama.embedding_length": embedding,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": heads_kv,
        "llama.context_length": trained,
        "tokenizer.ggml.tokens": [f"w{n}" for n in range(vocabulary)],
        **more,
    }  # fmt: skip
    end = int(embedding_gib * GIB)
    data = header(
        metadata,
        [("token_embd.weight", (embedding, vocabulary), 0), ("output.weight", (embedding, vocabulary), end)],
    )
    start = -(-len(data) // 32) * 32
    return data, start + end + int(on_card_gib * GIB)


def llama_8b() -> tuple[bytes, int]:
    return llama(
        layers=32,
        embedding=4096,
        heads=32,
        heads_kv=8,
        vocabulary=128256,
        on_card_gib=4.30,
        embedding_gib=0.275,
    )


def llama_70b() -> tuple[bytes, int]:
    return llama(
        layers=80,
        embedding=8192,
        heads=64,
        heads_kv=8,
        vocabulary=128256,
        on_card_gib=39.04,
        embedding_gib=0.55,
    )
