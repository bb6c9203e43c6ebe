"""What vLLM makes of cards: it takes a part of each, loads its share of the weights, measures what a
batch needs, and gives the rest to the key-value cache. Bytes of one card inside, MiB of cards outside.

    cache = T * u - W / TP - A - N - G        tokens = cache / bytes of a token on a card

T memory of the card, u the part taken, W weights, A activations, N NCCL's buffers, G CUDA graphs. A and
G are as measured: they grow with the model's width and depth within the bounds that were seen.
"""

from __future__ import annotations

from hostler.engines.vllm import VISIBLE
from hostler.models.memory import CONTEXTS, MIB, as_gib
from hostler.models.safetensors import Checkpoint

UTILISATION = 0.92  # vLLM's default of --gpu-memory-utilization
NCCL = 100 * MIB  # with several cards
CACHE_BYTES = 2  # an element; a cache in FP8 has to be asked for
BATCH = 2048  # tokens of one step, which a window keeps besides
_GIB = 2**30
_ACTIVATIONS_GIB = (0.2, 1.3)
_GRAPHS_GIB = (0.3, 0.6)
# quantization -> least compute capability that vLLM has kernels for
_LEAST = {"awq": 7.5, "gptq": 7.0, "fp8": 8.0, "mxfp4": 8.0, "compressed-tensors": 7.5, "bitsandbytes": 7.0}
_LEAST_BFLOAT16 = 8.0


def token_bytes(model: Checkpoint, cards: int) -> int:
    """Bytes of one token on each card."""
    return sum(_on_card(model, layer.width, cards) for layer in model.attention)


def request(model: Checkpoint, cards: int, context: int) -> int:
    """Bytes on each card of one request of `context` tokens."""
    return sum(
        _on_card(model, layer.width, cards)
        * (min(context, layer.window + BATCH) if layer.window else context)
        for layer in model.attention
    )


def taken_mib(memory_mib: int, part: float = UTILISATION) -> int:
    """MiB that vLLM takes of a card for itself."""
    return int(memory_mib * VISIBLE * part)


def fixed(model: Checkpoint, cards: int) -> int:
    """Bytes on each card of all but the cache."""
    nccl = NCCL if cards > 1 else 0
    return int(model.weights / cards + _activations(model) + nccl + _graphs(model))


def cache_room(model: Checkpoint, cards: int, memory_mib: int, part: float = UTILISATION) -> int:
    """Bytes of cache on each card; negative: not even the weights fit."""
    return int(memory_mib * MIB * VISIBLE * part) - fixed(model, cards)


def tokens(model: Checkpoint, cards: int, memory_mib: int) -> int:
    """How many tokens the cache holds, windows not counted."""
    return max(0, cache_room(model, cards, memory_mib)) // max(1, token_bytes(model, cards))


def longest(model: Checkpoint, cards: int, memory_mib: int, part: float = UTILISATION) -> int:
    """The longest request that fits, up to what the model was trained for; 0: none."""
    top = model.trained_context or CONTEXTS[-1]
    room = cache_room(model, cards, memory_mib, part)
    steps = sorted({top, *(step for step in CONTEXTS if step < top)}, reverse=True)
    return next((step for step in steps if request(model, cards, step) <= room), 0)


def refusal(
    model: Checkpoint,
    cards: int,
    memory_mib: int,
    *,
    context: int = CONTEXTS[0],
    compute: str = "",
    part: float = UTILISATION,
) -> str:
    """Why vLLM would not start on so many cards; empty: it would. `compute`: their capability, 8.6."""
    return (
        undividable(model, cards)
        or too_old(model, compute)
        or _too_large(model, cards, context, cache_room(model, cards, memory_mib, part))
    )


def undividable(model: Checkpoint, cards: int) -> str:
    """Why tensor parallel cannot share it among so many cards; empty: it can."""
    if model.heads % cards:
        return f"{model.heads} heads cannot be divided among {cards} cards"
    if not model.latent and model.heads_kv % cards and cards % model.heads_kv:
        return f"{model.heads_kv} heads of keys and values cannot be divided among {cards} cards"
    if model.group and model.intermediate % (cards * model.group):
        return (
            f"rows of {model.intermediate} in groups of {model.group} cannot be divided among {cards} cards"
        )
    return ""


def too_old(model: Checkpoint, compute: str) -> str:
    """Why cards of that capability cannot run it; empty: they can, or it is not known."""
    if not compute:
        return ""
    method = model.quantization or model.dtype
    least = _LEAST.get(method, _LEAST_BFLOAT16 if method == "bfloat16" else 0.0)
    return (
        f"{method} needs compute capability {least}, this card has {compute}"
        if float(compute) < least
        else ""
    )


def _too_large(model: Checkpoint, cards: int, context: int, room: int) -> str:
    wanted = request(model, cards, context)
    if room >= wanted:
        return ""
    lacking = (wanted - room) / MIB
    return f"lacks {as_gib(lacking)} on each card for {context} tokens"


def _on_card(model: Checkpoint, width: int, cards: int) -> int:
    """Heads are divided; where there are fewer than cards each card copies one. A latent is whole on each."""
    if model.latent:
        return width * CACHE_BYTES
    return width * CACHE_BYTES * max(1, model.heads_kv // cards) // model.heads_kv


def _activations(model: Checkpoint) -> float:
    least, most = _ACTIVATIONS_GIB
    return min(most, max(least, 0.16 * model.hidden / 1024)) * _GIB


def _graphs(model: Checkpoint) -> float:
    least, most = _GRAPHS_GIB
    return min(most, max(least, least + (len(model.attention) - 16) / 64 * (most - least))) * _GIB
