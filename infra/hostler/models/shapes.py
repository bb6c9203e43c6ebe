"""What memory depends on, read from the headers of a resolved model in GGUF: for `up` and `fit` alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hostler.errors import StackFileError
from hostler.models import memory
from hostler.models.gguf import GgufError, Read, joined, read_header
from hostler.models.memory import Shape
from hostler.models.resolve import Weights
from hostler.models.types import ModelSource, WeightsFile


def shape_of(found: ModelSource, weights: Weights) -> Shape:
    """From all its parts' headers; by its size where one cannot be read. Raises StackFileError or
    UnreachableError."""
    try:
        headers = [read_header(_reader(found, file, weights), file.size) for file in found.files]
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


def _reader(found: ModelSource, file: WeightsFile, weights: Weights) -> Read:
    if not found.local:
        return weights.reader(found, file)
    return _file_reader(Path(file.url.removeprefix("file:")), file.size)


def _file_reader(path: Path, size: int) -> Read:
    """The operator's own machine may be the host; the same path with the same size is that file."""

    def read(offset: int, count: int) -> bytes:
        try:
            if path.stat().st_size != size:
                raise GgufError("the file is on the host")
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(count)
        except OSError as error:
            raise GgufError("the file is on the host") from error

    return read
