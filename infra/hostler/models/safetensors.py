"""Checkpoints of safetensors as vLLM loads them: what config.json and the index of the weights tell.

No weights are read. Numbers of a model with pictures stand under text_config.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from hostler.models.kv import Attention

INDEX = "model.safetensors.index.json"
ReadFile = Callable[[str], bytes | None]  # a small file of the repository by name; None: it is not there

_DTYPE_BYTES = {"float32": 4.0, "float8_e4m3fn": 1.0}  # all others: 2
_WINDOW_EVERY = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2}
_BESIDE = (".json", ".model", ".txt", ".jinja", ".tiktoken")  # configuration, tokenizer, template
_EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts")


class CheckpointError(ValueError):
    """Not a checkpoint that can be read; one line that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`weights` in bytes of all files, `active` what one token reads of them; each layer's width is that
    of all heads. `latent`: MLA, whose cache is not divided among cards. `group`: columns that share a
    scale in a quantization, 0: unknown."""

    weights: int
    active: int
    attention: tuple[Attention, ...]
    heads: int
    heads_kv: int
    hidden: int
    intermediate: int
    trained_context: int
    dtype: str = "bfloat16"
    quantization: str = ""  # awq, gptq, fp8, ... as config.json says
    group: int = 0
    latent: bool = False
    kind: str = ""  # model_type: llama, qwen3, ...


def read_checkpoint(read: ReadFile, sizes: Mapping[str, int]) -> Checkpoint:
    """`sizes` in bytes of the repository's files. Raises CheckpointError."""
    config = _json(read, "config.json")
    if config is None:
        raise CheckpointError("there is no config.json")
    index = _json(read, INDEX)
    metadata: Any = (index or {}).get("metadata")
    total = int(metadata.get("total_size") or 0) if isinstance(metadata, dict) else 0  # type: ignore[arg-type]
    # a folder holds another form of the same model
    files = (size for name, size in sizes.items() if name.endswith(".safetensors") and "/" not in name)
    weights = total or sum(files)
    if not weights:
        raise CheckpointError("there are no safetensors files")
    return checkpoint_of(config, weights)


def names_of(names: Collection[str], index: Collection[str] = ()) -> tuple[str, ...]:
    """The files that vLLM needs of a repository, the first weights first. `index`: those that its index names;
    without one all weights count but Mistral's own second copy. Other forms of the same model stay where they are."""
    there = sorted(name for name in names if "/" not in name)
    weights = [
        name for name in there if name.endswith(".safetensors") and not name.startswith("consolidated")
    ]
    chosen = [name for name in weights if name in index] if index else weights
    if "model.safetensors" in chosen and not index:
        chosen = ["model.safetensors"]
    beside = [name for name in there if name.endswith(_BESIDE) and not name.endswith(".bin.index.json")]
    return (*chosen, *beside)


def indexed(index: bytes | None) -> frozenset[str]:
    """The files that an index of weights names. Raises CheckpointError."""
    found = (_json(lambda _: index, INDEX) or {}).get("weight_map")
    return (
        frozenset(map(str, cast("dict[str, Any]", found).values()))
        if isinstance(found, dict)
        else frozenset()
    )


def checkpoint_of(config: Mapping[str, Any], weights: int) -> Checkpoint:
    """Raises CheckpointError where config.json lacks a number."""
    text: Mapping[str, Any] = {**config, **(config.get("text_config") or {})}
    heads = _number(text, "num_attention_heads")
    quantization: Mapping[str, Any] = (
        config.get("quantization_config") or text.get("quantization_config") or {}
    )
    dtype = str(text.get("dtype") or text.get("torch_dtype") or "bfloat16")
    return Checkpoint(
        weights=weights,
        active=max(weights // 50, weights - int(_unused_experts(text, quantization, dtype))),
        attention=_attention(text, heads),
        heads=heads,
        heads_kv=int(text.get("num_key_value_heads") or heads),
        hidden=_number(text, "hidden_size"),
        intermediate=int(text.get("intermediate_size") or 0),
        trained_context=int(text.get("max_position_embeddings") or 0),
        dtype=dtype,
        quantization=str(quantization.get("quant_method") or ""),
        group=max(0, int(quantization.get("group_size") or 0)),
        latent=bool(text.get("kv_lora_rank")),
        kind=str(config.get("model_type") or ""),
    )


def _attention(text: Mapping[str, Any], heads: int) -> tuple[Attention, ...]:
    layers = _number(text, "num_hidden_layers")
    width = _width(text, heads)
    window = int(text.get("sliding_window") or 0) if text.get("use_sliding_window", True) else 0
    return tuple(
        Attention(width, window if window and _slides(text, layer) else 0) for layer in range(layers)
    )


def _width(text: Mapping[str, Any], heads: int) -> int:
    if text.get("kv_lora_rank"):
        return int(text["kv_lora_rank"]) + int(text.get("qk_rope_head_dim") or 0)
    length = int(text.get("head_dim") or _number(text, "hidden_size") // heads)
    return 2 * int(text.get("num_key_value_heads") or heads) * length


def _slides(text: Mapping[str, Any], layer: int) -> bool:
    """Does the window slide over this layer? Without a word on it: over each."""
    kinds: Any = text.get("layer_types")
    if isinstance(kinds, list):
        named = cast("list[str]", kinds)
        return layer < len(named) and named[layer] == "sliding_attention"
    every = int(text.get("sliding_window_pattern") or _WINDOW_EVERY.get(str(text.get("model_type")), 0))
    return layer % every < every - 1 if every else True


def _unused_experts(text: Mapping[str, Any], quantization: Mapping[str, Any], dtype: str) -> float:
    """Bytes of the experts that one token does not ask: three matrices each."""
    there = next((int(text[name]) for name in _EXPERTS if text.get(name)), 0)
    used = int(text.get("num_experts_per_tok") or 0)
    if not there or not used:
        return 0.0
    layers = _number(text, "num_hidden_layers") - int(text.get("first_k_dense_replace") or 0)
    inner = int(text.get("moe_intermediate_size") or text.get("intermediate_size") or 0)
    weights = layers * (there - used) * 3 * _number(text, "hidden_size") * inner
    return weights * _weight_bytes(quantization, dtype)


def _weight_bytes(quantization: Mapping[str, Any], dtype: str) -> float:
    """Bytes of one weight, scales included."""
    method = quantization.get("quant_method")
    if not method:
        return _DTYPE_BYTES.get(dtype, 2.0)
    bits = int(quantization.get("bits") or (4 if method in ("awq", "gptq", "mxfp4") else 8))
    return bits / 8 * 1.03


def _json(read: ReadFile, name: str) -> Mapping[str, Any] | None:
    data = read(name)
    if data is None:
        return None
    try:
        value = json.loads(data)
    except ValueError as error:
        raise CheckpointError(f"{name} is not JSON") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} is not an object")
    return cast("dict[str, Any]", value)


def _number(text: Mapping[str, Any], name: str) -> int:
    value = text.get(name)
    if not isinstance(value, int) or value <= 0:
        raise CheckpointError(f"its config.json has no {name}")
    return value
