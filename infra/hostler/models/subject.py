"""What `fit` asks about: a source becomes the numbers that memory depends on. A header, or two small
files, are read; never weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hostler.engines.registry import format_named
from hostler.engines.vllm import asked_part
from hostler.errors import StackFileError
from hostler.models import folders, memory, sizing
from hostler.models.fit import Subject, scaled
from hostler.models.gguf import GgufError, joined, read_header
from hostler.models.memory import Shape
from hostler.models.resolve import Weights
from hostler.models.safetensors import Checkpoint, CheckpointError, read_checkpoint
from hostler.models.shapes import as_served, shape_of
from hostler.models.source import HubSource, OperatorSource, Parsed, PathSource, format_of, is_split, label
from hostler.models.types import ModelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the model's section says of how it is served; nothing, where a source is asked about."""

    engine: str | None = None
    slots: int = 1
    args: tuple[str, ...] = ()


ANYTHING = Wanted()


def read_subject(
    name: str, source: Parsed, weights: Weights, wanted: Wanted = ANYTHING, *, where: str = "source"
) -> Subject:
    """Raises StackFileError or UnreachableError."""
    try:
        subject = _read(name, source, weights, wanted, where)
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
    others = tuple(replace(other, slots=wanted.slots, engine=subject.engine) for other in subject.others)
    return replace(subject, slots=wanted.slots, others=others)


def _read(name: str, source: Parsed, weights: Weights, wanted: Wanted, where: str) -> Subject:
    here = Path(source.path) if isinstance(source, PathSource | OperatorSource) else None
    if here and here.is_dir():
        return _of_checkpoint(name, source, _in_folder(here), wanted.args)
    if here and here.is_file():
        shape = _of_files(_parts(here, str(source), where))
        subject = Subject(name=name, source=str(source), shape=shape, weights=label(here.name))
        return _as_served(subject, wanted, where)
    form = format_named(wanted.engine, format_of(str(source)), where=where)
    found = weights.resolve(source, where=where, form=form)
    if found.format == "safetensors":
        return _of_checkpoint(name, source, weights.read_checkpoint(found, where=where), wanted.args)
    shape = shape_of(found, weights)
    subject = Subject(name=name, source=str(source), shape=shape, weights=label(found.file))
    return _as_served(replace(subject, others=_others(subject, source, found, weights, where)), wanted, where)


def _others(
    subject: Subject, source: Parsed, found: ModelSource, weights: Weights, where: str
) -> tuple[Subject, ...]:
    """The same model in the repository's other quantizations, where the source names none."""
    if not isinstance(source, HubSource) or source.quantization:
        return ()
    files = weights.quantizations(source, where=where)
    others = (scaled(subject, label(file.name), file.size / max(1, found.total)) for file in files)
    return tuple(other for other in others if other.weights != subject.weights)


def _as_served(subject: Subject, wanted: Wanted, where: str) -> Subject:
    """By the engine that is named. A source alone may be asked about whatever it is for."""
    shape = subject.shape
    if not shape or not (wanted.engine or shape.embeds):
        return subject
    engine = wanted.engine or "embeddings"
    shape = as_served(shape, engine, named=subject.source, where=where)
    others = tuple(
        replace(other, shape=replace(other.shape, embeds=shape.embeds))
        for other in subject.others
        if other.shape
    )
    return replace(subject, shape=shape, others=others, engine=engine)


def _of_checkpoint(name: str, source: Parsed, found: Checkpoint, args: Sequence[str]) -> Subject:
    checkpoint = sizing.with_args(found, args)
    kind = checkpoint.quantization or checkpoint.dtype
    return Subject(name=name, source=str(source), checkpoint=checkpoint, weights=kind, part=asked_part(args))


def _in_folder(folder: Path) -> Checkpoint:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    return read_checkpoint(lambda name: (folder / name).read_bytes() if name in sizes else None, sizes)


def _parts(path: Path, named: str, where: str) -> list[Path]:
    """The file; of a split one, all parts."""
    if not is_split(path.name):
        return [path]
    sizes = {other.name: other.stat().st_size for other in path.parent.iterdir() if other.is_file()}
    return [path.parent / name for name in folders.of_file(named, sizes, where=where)]


def _of_files(paths: Sequence[Path]) -> Shape:
    sizes = [path.stat().st_size for path in paths]
    try:
        headers = [read_header(partial(_part, path), size) for path, size in zip(paths, sizes, strict=True)]
        return memory.shape_of(joined(headers))
    except GgufError as error:
        return memory.shape_from_size(sum(sizes), str(error))


def _part(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)
