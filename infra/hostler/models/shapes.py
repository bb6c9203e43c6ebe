"""What memory depends on, read from the headers of a resolved model in GGUF: for `up` and `fit` alike."""

from __future__ import annotations

from dataclasses import replace

from hostler.errors import StackFileError
from hostler.models import memory
from hostler.models.gguf import GgufError, joined, read_header
from hostler.models.memory import Shape
from hostler.models.resolve import Weights
from hostler.models.types import ModelSource


def shape_of(found: ModelSource, weights: Weights) -> Shape:
    """From all its parts' headers; by its size where one cannot be read. Raises StackFileError or
    UnreachableError."""
    try:
        headers = [read_header(weights.reader(found, file), file.size) for file in found.files]
        return memory.shape_of(joined(headers))
    except GgufError as error:
        return memory.shape_from_size(found.total, str(error))


def as_served(shape: Shape, engine: str | None, *, named: str, where: str) -> Shape:
    """A chat's weights may make vectors; those made for vectors cannot chat. Raises StackFileError."""
    if engine == "embeddings":
        return replace(shape, embeds=True)
    if shape.embeds:
        raise StackFileError.of(
            where,
            expected="`engine: embeddings` for a model that is made for embeddings",
            got=f"none beside {named}",
            next_step="add `engine: embeddings`, or name a model for chat",
        )
    return shape
