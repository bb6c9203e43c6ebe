"""GGUF headers (versions 2 and 3): metadata and tensor positions, from the first megabytes alone.

`read(offset, n)` gives the bytes: a slice of a file, or an HTTP range. Long arrays (a tokenizer's
words) are counted, not kept.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Read = Callable[[int, int], bytes]

_FIRST_CHUNK = 2**20
_LARGEST_CHUNK = 8 * 2**20
_LIMIT = 96 * 2**20  # a header is never that long
_KEPT = 1024  # numbers; a value for each layer is kept, a vocabulary's scores are not
_MANY = 10_000_000  # more entries than any header has
_ARRAY, _STRING = 9, 8
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_U64 = struct.Struct("<Q")


class GgufError(ValueError):
    """Not a GGUF header that can be read; one line that says why."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An array that was passed over."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """`size` in bytes with padding; `offset` from the start of the data."""

    name: str
    shape: tuple[int, ...]
    kind: int  # ggml's number of the type
    offset: int
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    version: int
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    data_start: int
    file_size: int

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def of_model(self, name: str, default: Any = None) -> Any:
        """A value of the architecture's own: `of_model("block_count")` is llama.block_count."""
        return self.metadata.get(f"{self.architecture}.{name}", default)


def joined(headers: Sequence[Header]) -> Header:
    """The parts of a split file as one: the first has the metadata, each has its own tensors."""
    tensors = {name: tensor for header in headers for name, tensor in header.tensors.items()}
    return replace(headers[0], tensors=tensors, file_size=sum(header.file_size for header in headers))


class _Cursor:
    """Reads forward in chunks that grow, so that a header costs few range requests."""

    def __init__(self, read: Read) -> None:
        self.read, self.data, self.at, self.chunk = read, bytearray(), 0, _FIRST_CHUNK

    def need(self, count: int) -> None:
        while len(self.data) < self.at + count:
            if self.at + count > _LIMIT:
                raise GgufError("the header is longer than any real one")
            more = self.read(len(self.data), self.chunk)
            if not more:
                raise GgufError("the file ends within its header")
            self.data += more
            self.chunk = min(self.chunk * 2, _LARGEST_CHUNK)

    def number(self, code: str) -> Any:
        size = struct.calcsize(f"<{code}")
        self.need(size)
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += size
        return value

    def count(self) -> int:
        value = self.number("Q")
        if value > _MANY:
            raise GgufError(f"{value} entries are more than any header has")
        return value

    def text(self) -> str:
        length = self.number("Q")
        self.need(length)
        raw = bytes(self.data[self.at : self.at + length])
        self.at += length
        return raw.decode("utf-8", "replace")

    def skip_texts(self, count: int) -> None:
        """The hot loop: hundreds of thousands of words in a tokenizer."""
        unpack, at, end = _U64.unpack_from, self.at, len(self.data)
        for _ in range(count):
            if at + 8 > end:
                at, end = self._refill(at, 8)
            at += 8 + unpack(self.data, at)[0]
        self.at = at

    def _refill(self, at: int, count: int) -> tuple[int, int]:
        self.at = at
        self.need(count)
        return at, len(self.data)

    def array(self) -> Any:
        kind, count = self.number("I"), self.count()
        if kind == _STRING:
            self.skip_texts(count)
            return Skipped(count)
        if kind == _ARRAY:
            return tuple(self.array() for _ in range(count))
        code = _code(kind)
        size = struct.calcsize(f"<{code}") * count
        self.need(size)
        kept = struct.unpack_from(f"<{count}{code}", self.data, self.at) if count <= _KEPT else Skipped(count)
        self.at += size
        return kept

    def value(self) -> Any:
        kind = self.number("I")
        if kind == _STRING:
            return self.text()
        return self.array() if kind == _ARRAY else self.number(_code(kind))


def read_header(read: Read, file_size: int) -> Header:
    """`file_size` in bytes gives the last tensor its size. Raises GgufError."""
    cursor = _Cursor(read)
    version = _version(cursor)
    tensor_count, value_count = cursor.count(), cursor.count()
    metadata = {cursor.text(): cursor.value() for _ in range(value_count)}
    tensors = [_tensor(cursor) for _ in range(tensor_count)]
    alignment = int(metadata.get("general.alignment", 32)) or 32
    start = -(-cursor.at // alignment) * alignment
    return Header(
        version=version,
        metadata=metadata,
        tensors={tensor.name: tensor for tensor in _sized(tensors, file_size - start)},
        data_start=start,
        file_size=file_size,
    )


def bytes_reader(data: bytes) -> Read:
    return lambda offset, count: data[offset : offset + count]


def _code(kind: int) -> str:
    if kind not in _NUMBERS:
        raise GgufError(f"type {kind} of a value is not known")
    return _NUMBERS[kind]


def _version(cursor: _Cursor) -> int:
    cursor.need(8)
    if bytes(cursor.data[:4]) != b"GGUF":
        raise GgufError("it does not start as a GGUF file does")
    cursor.at = 4
    version = cursor.number("I")
    if version not in (2, 3):
        raise GgufError(f"GGUF version {version if version < 2**16 else 'big-endian'} (2 and 3 are read)")
    return version


def _tensor(cursor: _Cursor) -> Tensor:
    name = cursor.text()
    dimensions = cursor.number("I")
    if dimensions > 8:
        raise GgufError(f"tensor {name!r} has {dimensions} dimensions")
    shape = tuple(cursor.number("Q") for _ in range(dimensions))
    return Tensor(name=name, shape=shape, kind=cursor.number("I"), offset=cursor.number("Q"))


def _sized(tensors: list[Tensor], data_size: int) -> list[Tensor]:
    """Sizes from the next tensor's offset: right for types that this code has never heard of."""
    ordered = sorted(tensors, key=lambda tensor: tensor.offset)
    ends = [*(tensor.offset for tensor in ordered), data_size][1:]
    return [
        replace(tensor, size=max(0, end - tensor.offset)) for tensor, end in zip(ordered, ends, strict=True)
    ]
