"""Which files of a folder are a model, by their names: a folder of the operator's machine, or of the hosts. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

from hostler.errors import StackFileError
from hostler.models.safetensors import INDEX, CheckpointError, indexed, names_of
from hostler.models.source import Format, RepoFile, first_part, lacking, models_of, weights_of

Kind = str  # gguf or safetensors


def chosen(
    path: str, sizes: Mapping[str, int], read: Callable[[str], bytes], form: Format, *, where: str
) -> tuple[str, ...]:
    """Names, the first weights first. `sizes` in bytes of the files in the folder; `read` gives a small one. Raises
    StackFileError."""
    gguf = models_of(weights_of(RepoFile(name, size) for name, size in sizes.items()))
    if form == "safetensors" or (form == "unknown" and not gguf):
        return _checkpoint(path, sizes, read, where)
    if len(gguf) != 1:
        names = ", ".join(parts[0].name for parts in gguf) or ", ".join(sorted(sizes)[:5]) or "no file"
        raise StackFileError.of(
            where,
            expected=f"one GGUF model in {path}",
            got=names,
            next_step="name the file itself in `source`",
        )
    return _whole(path, gguf[0], where)


def of_file(path: str, sizes: Mapping[str, int], *, where: str) -> tuple[str, ...]:
    """The file that is named, with its other parts where it is split; of one that is split, the first part is to be
    named. `sizes`: of all files beside it, and of itself. Raises StackFileError."""
    name = posixpath.basename(path)
    if name != first_part(name):
        raise StackFileError.of(
            where,
            expected=f"the first part, {first_part(name)}",
            got=path,
            next_step=f"write {posixpath.join(posixpath.dirname(path), first_part(name))}",
        )
    if not name.lower().endswith(".gguf"):
        raise StackFileError.of(
            where,
            expected="a .gguf file, or a folder with config.json and *.safetensors",
            got=path,
            next_step=f"write {posixpath.dirname(path)}/"
            if name.endswith(".safetensors")
            else "name another one",
        )
    every = models_of(
        [RepoFile(other, size) for other, size in sorted(sizes.items()) if other.lower().endswith(".gguf")]
    )
    return _whole(path, next(parts for parts in every if name in {part.name for part in parts}), where)


def _whole(path: str, parts: tuple[RepoFile, ...], where: str) -> tuple[str, ...]:
    if missing := lacking(parts):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise StackFileError.of(
            where,
            expected=f"all parts of {parts[0].name}",
            got=f"{len(parts)} of them at {path}, no {', '.join(missing[:3])}{more}",
            next_step="put the others beside it",
        )
    return tuple(part.name for part in parts)


def _checkpoint(
    path: str, sizes: Mapping[str, int], read: Callable[[str], bytes], where: str
) -> tuple[str, ...]:
    try:
        names = names_of(sizes, indexed(read(INDEX)) if INDEX in sizes else ())
        wanted = indexed(read(INDEX)) if INDEX in sizes else frozenset[str]()
    except CheckpointError as error:
        raise _none(path, str(error), where) from error
    lacking = sorted(wanted - set(sizes))
    if lacking:
        raise StackFileError.of(
            where,
            expected=f"all files in {path} that {INDEX} names",
            got=f"no {', '.join(lacking[:3])}",
            next_step="copy them there",
        )
    if not names or not names[0].endswith(".safetensors") or "config.json" not in names:
        raise _none(path, ", ".join(sorted(sizes)[:5]) or "an empty folder", where)
    return names


def _none(path: str, got: str, where: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected=f"config.json and *.safetensors in {path}, or one GGUF model",
        got=got,
        next_step="download the whole repository there: `hf download ORG/REPO --local-dir FOLDER`",
    )
