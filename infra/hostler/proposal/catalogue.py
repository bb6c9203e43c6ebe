"""Models to begin with, for each use, the best first: all under an open licence, in GGUF, from the hub. Pure data.

Where the numbers come from: sizes as the repositories list them (10^9 bytes, all parts, rounded); layers, heads,
widths, windows and vocabulary as in the published config.json of the model that was converted; the part that a
token reads of a mixture of experts from its model card (active of all parameters). They were written down without
the hub at hand and not read from it again: `hostler fit SOURCE` shows what the header says. All of the file is
counted as if it lay on a card, also what llama.cpp leaves in main memory, so that a header should never ask for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hostler.models.kv import Attention
from hostler.models.memory import DEFAULT_CONTEXT, Shape

Use = Literal["chat", "code", "embeddings"]
USES: tuple[Use, ...] = ("chat", "code", "embeddings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`quantization` empty: there is one file; `size_gb` of it in 10^9 bytes; `kv_heads` and `head` give the cache's width; `window` slides over every
    second layer; `active`: the part of the weights that one token reads; `kept` False: an encoder, without cache."""

    use: Use
    title: str
    repo: str
    quantization: str
    licence: str
    size_gb: float
    layers: int
    heads: int
    kv_heads: int
    head: int
    width: int
    vocabulary: int
    trained: int
    note: str
    active: float = 1.0
    window: int = 0
    kept: bool = True

    @property
    def source(self) -> str:
        return f"hf:{self.repo}" + (f":{self.quantization}" if self.quantization else "")

    @property
    def size(self) -> int:
        """Bytes to download."""
        return int(self.size_gb * 1e9)

    @property
    def context(self) -> int:
        """Tokens to begin with: a passage for embeddings, else what is usual."""
        return min(self.trained, 2048 if self.use == "embeddings" else DEFAULT_CONTEXT)

    @property
    def shape(self) -> Shape:
        width = 2 * self.kv_heads * self.head if self.kept else 0
        slides = [self.window and layer % 2 == 0 for layer in range(self.layers)]
        return Shape(
            weights=self.size,
            attention=tuple(Attention(width, self.window if window else 0) for window in slides),
            vocabulary=self.vocabulary,
            embedding=self.width,
            trained_context=self.trained,
            active=int(self.size * self.active),
            heads=self.heads,
            embeds=self.use == "embeddings",
        )


CATALOGUE = (
    Entry(use="chat", title="gpt-oss 120B", repo="ggml-org/gpt-oss-120b-GGUF", quantization="MXFP4",
          licence="Apache 2.0", size_gb=63.39, layers=36, heads=64, kv_heads=8, head=64, width=2880,
          vocabulary=201088, trained=131072, window=128, active=0.06,
          note="the strongest here; it thinks before it answers"),
    Entry(use="chat", title="Qwen3 30B A3B", repo="unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF", quantization="Q4_K_M",
          licence="Apache 2.0", size_gb=18.56, layers=48, heads=32, kv_heads=4, head=128, width=2048,
          vocabulary=151936, trained=262144, active=0.11, note="strong, and quick for its size"),
    Entry(use="chat", title="gpt-oss 20B", repo="ggml-org/gpt-oss-20b-GGUF", quantization="MXFP4",
          licence="Apache 2.0", size_gb=12.11, layers=24, heads=64, kv_heads=8, head=64, width=2880,
          vocabulary=201088, trained=131072, window=128, active=0.21,
          note="quick for its strength; it thinks before it answers"),
    Entry(use="chat", title="Qwen3 14B", repo="Qwen/Qwen3-14B-GGUF", quantization="Q4_K_M",
          licence="Apache 2.0", size_gb=9.01, layers=40, heads=40, kv_heads=8, head=128, width=5120,
          vocabulary=151936, trained=32768, note="a good all-rounder; it thinks before it answers"),
    Entry(use="chat", title="Qwen3 8B", repo="Qwen/Qwen3-8B-GGUF", quantization="Q4_K_M",
          licence="Apache 2.0", size_gb=5.03, layers=36, heads=32, kv_heads=8, head=128, width=4096,
          vocabulary=151936, trained=32768, note="a good all-rounder; it thinks before it answers"),
    Entry(use="chat", title="Qwen3 4B", repo="unsloth/Qwen3-4B-Instruct-2507-GGUF", quantization="Q4_K_M",
          licence="Apache 2.0", size_gb=2.50, layers=36, heads=32, kv_heads=8, head=128, width=2560,
          vocabulary=151936, trained=262144, note="small and quick"),
    Entry(use="chat", title="Qwen2.5 1.5B", repo="bartowski/Qwen2.5-1.5B-Instruct-GGUF", quantization="Q4_K_M",
          licence="Apache 2.0", size_gb=0.99, layers=28, heads=12, kv_heads=2, head=128, width=1536,
          vocabulary=151936, trained=32768, note="for little memory"),
    Entry(use="chat", title="SmolLM2 135M", repo="HuggingFaceTB/SmolLM2-135M-Instruct-GGUF", quantization="",
          licence="Apache 2.0", size_gb=0.15, layers=30, heads=9, kv_heads=3, head=64, width=576,
          vocabulary=49152, trained=8192, note="tiny: to try the whole way"),
    Entry(use="code", title="Qwen3 Coder 30B A3B", repo="unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF",
          quantization="Q4_K_M", licence="Apache 2.0", size_gb=18.56, layers=48, heads=32, kv_heads=4, head=128,
          width=2048, vocabulary=151936, trained=262144, active=0.11, note="made for agents that write code, and quick"),
    Entry(use="code", title="Qwen2.5 Coder 14B", repo="bartowski/Qwen2.5-Coder-14B-Instruct-GGUF",
          quantization="Q4_K_M", licence="Apache 2.0", size_gb=8.99, layers=48, heads=40, kv_heads=8, head=128,
          width=5120, vocabulary=152064, trained=32768, note="writes and completes code"),
    Entry(use="code", title="Qwen2.5 Coder 7B", repo="bartowski/Qwen2.5-Coder-7B-Instruct-GGUF",
          quantization="Q4_K_M", licence="Apache 2.0", size_gb=4.69, layers=28, heads=28, kv_heads=4, head=128,
          width=3584, vocabulary=152064, trained=32768, note="completes code quickly"),
    Entry(use="code", title="Qwen2.5 Coder 1.5B", repo="bartowski/Qwen2.5-Coder-1.5B-Instruct-GGUF",
          quantization="Q4_K_M", licence="Apache 2.0", size_gb=0.99, layers=28, heads=12, kv_heads=2, head=128,
          width=1536, vocabulary=151936, trained=32768, note="completes lines, for little memory"),
    Entry(use="embeddings", title="Qwen3 Embedding 0.6B", repo="Qwen/Qwen3-Embedding-0.6B-GGUF", quantization="Q8_0",
          licence="Apache 2.0", size_gb=0.64, layers=28, heads=16, kv_heads=8, head=128, width=1024,
          vocabulary=151669, trained=32768, note="vectors of 1,024 numbers, in a hundred languages"),
    Entry(use="embeddings", title="Nomic Embed 1.5", repo="nomic-ai/nomic-embed-text-v1.5-GGUF", quantization="Q8_0",
          licence="Apache 2.0", size_gb=0.15, layers=12, heads=12, kv_heads=12, head=64, width=768,
          vocabulary=30528, trained=2048, kept=False, note="vectors of 768 numbers, for English"),
)  # fmt: skip


def entries(use: Use) -> tuple[Entry, ...]:
    """The best first."""
    return tuple(entry for entry in CATALOGUE if entry.use == use)
