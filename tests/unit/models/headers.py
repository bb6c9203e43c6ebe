"""GGUF headers of common families from tests/cases/models/headers, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hostler.models.gguf import Header, bytes_reader, read_header
from hostler.models.memory import Shape, shape_of

from . import builders

FOLDER = Path(__file__).parents[2] / "cases" / "models" / "headers"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
# bytes of so many elements
TYPES = {"F32": (4, 1), "Q8_0": (34, 32), "Q5_0": (22, 32), "MXFP4": (17, 32), "Q4_K": (144, 256),
         "Q5_K": (176, 256), "Q6_K": (210, 256)}  # fmt: skip


def case(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def header_of(name: str) -> Header:
    data, size = made(name)
    return read_header(bytes_reader(data), size)


def shape(name: str) -> Shape:
    return shape_of(header_of(name))


def made(name: str) -> tuple[bytes, int]:
    """The header's bytes, and the size of the file that it would stand in."""
    return parts(name)[0]


def parts(name: str, count: int = 1, matrices: str = "") -> list[tuple[bytes, int]]:
    """The same of each part of a split file: the first one has the metadata. `matrices`: the type of all of them."""
    told = case(name)
    layers = next(value for key, value in told["metadata"].items() if key.endswith(".block_count"))
    every = list(_tensors(told["tensors"], layers))
    each = -(-len(every) // count)
    return [
        _part(
            told["metadata"] if not number else {"split.no": number, "split.count": count},
            every[number * each : (number + 1) * each],
            matrices,
        )
        for number in range(count)
    ]


def _part(
    metadata: dict[str, Any], told: list[tuple[str, tuple[int, int], str]], matrices: str
) -> tuple[bytes, int]:
    tensors: list[tuple[str, tuple[int, ...], int]] = []
    at = 0
    for tensor, shape, kind in told:
        tensors.append((f"{tensor}.weight", shape, at))
        size, elements = TYPES[kind if kind == "F32" or not matrices else matrices]
        at += -(-shape[0] * shape[1] * size // elements // 32) * 32
    data = builders.header(metadata, tensors)
    return data, -(-len(data) // 32) * 32 + at


def _tensors(told: dict[str, Any], layers: int) -> Iterator[tuple[str, tuple[int, int], str]]:
    """`blk.` in every layer, `blk0.` in the first, `blk+.` in all but the first."""
    for name, (rows, columns, kind) in told.items():
        where, _, rest = name.partition(".")
        at = {"blk": range(layers), "blk0": range(1), "blk+": range(1, layers)}.get(where)
        for layer in at if at is not None else (-1,):
            full = name if at is None else f"blk.{layer}.{rest}"
            yield full, (rows, columns), _kind(kind, layer, layers)


def _kind(kind: str, layer: int, layers: int) -> str:
    """`Q6_K/Q4_K`: the first where llama-quantize spends more bits, half of the layers."""
    more, _, less = kind.partition("/")
    eighth = layers // 8
    spends = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    return more if spends or not less else less
