"""What `fit` asks about: a source becomes the numbers that memory depends on. A header, or two small
files, are read; never weights."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from hostler.errors import StackFileError
from hostler.models import memory
from hostler.models.fit import Subject, scaled
from hostler.models.gguf import GgufError, Read, read_header
from hostler.models.memory import Shape
from hostler.models.resolve import Weights
from hostler.models.safetensors import Checkpoint, CheckpointError, read_checkpoint
from hostler.models.source import HubSource, Parsed, PathSource, label
from hostler.models.types import ModelSource


def read_subject(name: str, source: Parsed, weights: Weights, *, where: str = "source") -> Subject:
    """Raises StackFileError or UnreachableError."""
    try:
        checkpoint = _checkpoint(source, weights, where)
        if not checkpoint:
            return _of_gguf(name, source, weights, where)
    except OSError as error:
        raise StackFileError.of(
            where,
            expected=f"to read {source}",
            got=error.strerror or str(error),
            next_step="check its permissions",
        ) from error
    except CheckpointError as error:
        raise StackFileError.of(
            where,
            expected=f"a model that vLLM loads at {source}",
            got=str(error),
            next_step="name a repository with GGUF files; their names usually end in -GGUF",
        ) from error
    kind = checkpoint.quantization or checkpoint.dtype
    return Subject(name=name, source=str(source), checkpoint=checkpoint, weights=kind)


def _checkpoint(source: Parsed, weights: Weights, where: str) -> Checkpoint | None:
    """None: the source is of GGUF."""
    if isinstance(source, HubSource):
        return None if source.quantization else weights.checkpoint(source, where=where)
    folder = Path(source.path) if isinstance(source, PathSource) else None
    return _in_folder(folder) if folder and folder.is_dir() else None


def _in_folder(folder: Path) -> Checkpoint:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    return read_checkpoint(lambda name: (folder / name).read_bytes() if name in sizes else None, sizes)


def _of_gguf(name: str, source: Parsed, weights: Weights, where: str) -> Subject:
    here = Path(source.path) if isinstance(source, PathSource) else None
    if here and here.is_file():
        shape = _from_header(partial(_part, here), here.stat().st_size)
        return Subject(name=name, source=str(source), shape=shape, weights=label(here.name))
    found = weights.resolve(source, where=where)
    shape = _resolved(found, weights)
    subject = Subject(name=name, source=str(source), shape=shape, weights=label(found.file))
    if not isinstance(source, HubSource) or source.quantization:
        return subject
    files = weights.quantizations(source, where=where)
    others = (scaled(subject, label(file.name), file.size / max(1, found.size)) for file in files)
    return replace(subject, others=tuple(other for other in others if other.weights != subject.weights))


def _resolved(found: ModelSource, weights: Weights) -> Shape:
    if found.local:
        return memory.shape_from_size(found.size, "the file is on the host")
    return _from_header(weights.reader(found), found.size)


def _from_header(read: Read, size: int) -> Shape:
    try:
        return memory.shape_of(read_header(read, size))
    except GgufError as error:
        return memory.shape_from_size(size, str(error))


def _part(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)
