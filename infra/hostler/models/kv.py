"""How wide the key-value cache of each layer is in llama.cpp, from the numbers in a GGUF header.

Three things make it narrower than heads times length: grouped heads (also a number for each layer),
windows that slide over some layers, and the compressed latent of MLA. What a build does not know how to
narrow (Phi 3's and Mistral's windows, models without a pattern here) is counted in full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from hostler.models.gguf import GgufError, Header

UBATCH = 512  # tokens, llama-server's default
_PAD = 256  # a window's cache is rounded up to so many tokens


@dataclass(frozen=True, slots=True)
class Attention:
    """One layer. `width` in elements of key and value a token; `window` in tokens, 0: no window."""

    width: int
    window: int = 0

    def tokens(self, context: int) -> int:
        """Tokens that are kept for a request of `context` tokens: a window and one batch."""
        if not self.window:
            return context
        return min(context, -(-(self.window + UBATCH) // _PAD) * _PAD)


# architecture -> does the window slide over layer n (from 0)? As llama.cpp sets it, header or not
_EVERY: dict[str, int] = {"gemma2": 2, "gpt-oss": 2, "cohere2": 4, "gemma3": 6, "gemma3n": 5, "olmo2": 4}
_FULL_FIRST: dict[str, int] = {"smallthinker": 4}
_DEFAULT_WINDOW = {"gemma2": 4096, "smallthinker": 4096}


def attention_of(header: Header) -> tuple[Attention, ...]:
    """One for each layer. Raises GgufError where the header lacks a number."""
    layers = number(header, "block_count")
    if header.of_model("attention.causal") is False:
        return (Attention(0),) * layers  # an encoder works on a text at once, and keeps nothing
    widths = _widths(header, layers)
    window = int(header.of_model("attention.sliding_window") or _DEFAULT_WINDOW.get(header.architecture, 0))
    slides = _slides(header) if window else _never
    return tuple(
        Attention(width, window if width and slides(layer) else 0) for layer, width in enumerate(widths)
    )


def _widths(header: Header, layers: int) -> list[int]:
    latent = _latent(header)
    if latent:
        return [latent] * layers
    embedding = number(header, "embedding_length")
    heads = per_layer(header.of_model("attention.head_count"), 1)[0]
    key = int(header.of_model("attention.key_length") or embedding // max(1, heads))
    value = int(header.of_model("attention.value_length") or embedding // max(1, heads))
    counts = per_layer(header.of_model("attention.head_count_kv", heads), layers)
    kept = _kept(header, [count * (key + value) for count in counts])
    return (kept + [0] * layers)[:layers]


def _latent(header: Header) -> int:
    """MLA: keys' compressed latent and rotated part, one for all heads; values are read from the same.
    Files from before `key_length_mla` are run with every head expanded."""
    if not header.of_model("attention.key_length_mla"):
        return 0
    rank = int(header.of_model("attention.kv_lora_rank", 0))
    return rank + int(header.of_model("rope.dimension_count", 0)) if rank else 0


def _kept(header: Header, widths: list[int]) -> list[int]:
    """Some layers have no cache: those that share an earlier one's, and recurrent ones between."""
    shared = int(header.of_model("attention.shared_kv_layers", 0))
    every = int(header.of_model("full_attention_interval", 0))
    return [
        0 if layer >= len(widths) - shared or (every and (layer + 1) % every) else width
        for layer, width in enumerate(widths)
    ]


def _slides(header: Header) -> Callable[[int], bool]:
    pattern: Any = header.of_model("attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        flags = [bool(one) for one in cast("tuple[Any, ...]", pattern)]
        return lambda layer: layer < len(flags) and flags[layer]
    name = header.architecture
    every = int(pattern or _EVERY.get(name, 0))
    if name in _FULL_FIRST:
        return lambda layer: layer % _FULL_FIRST[name] != 0
    return (lambda layer: layer % every < every - 1) if every else _never


def _never(_: int) -> bool:
    return False


def per_layer(value: Any, layers: int) -> list[int]:
    """One number for every layer, or one for each."""
    if isinstance(value, tuple):
        return [int(one) for one in cast("tuple[int, ...]", value)] or [0]
    return [int(value)] * layers if isinstance(value, (int, float)) else [0]


def number(header: Header, name: str) -> int:
    """A number that must be there and not 0. Raises GgufError."""
    value = header.of_model(name)
    if not isinstance(value, int) or value <= 0:
        raise GgufError(f"its header has no {header.architecture or 'architecture'}.{name}")
    return value
