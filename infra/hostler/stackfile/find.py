"""Which stack file is meant."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from hostler.errors import StackFileError

_ENDINGS = (".yaml", ".yml")
_HERE = "hostler.yaml"
_FOLDER = "stacks"


def find(name_or_path: str | None) -> Path:
    """`-f FILE` or a name in ./stacks; else HOSTLER_STACK, ./hostler.yaml, the one file in ./stacks.

    Raises StackFileError with what was looked for.
    """
    if name_or_path:
        return _named(name_or_path, "-f")
    if named := os.environ.get("HOSTLER_STACK"):
        return _named(named, "HOSTLER_STACK")
    if Path(_HERE).is_file():
        return Path(_HERE)
    files = _files()
    if len(files) == 1:
        return files[0]
    raise _several(files) if files else _none()


def _files() -> list[Path]:
    folder = Path(_FOLDER)
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix in _ENDINGS and not path.name.startswith(".")
    )


def _named(word: str, origin: str) -> Path:
    path = Path(word).expanduser()
    if path.exists() and not path.is_dir():
        return path
    if "/" not in word:
        for candidate in (Path(_FOLDER, word + ending) for ending in ("", *_ENDINGS)):
            if candidate.is_file():
                return candidate
    near = difflib.get_close_matches(word.removesuffix(".yaml"), [file.stem for file in _files()], n=1)
    got = (
        f"{word!r}, a folder"
        if path.is_dir()
        else f"{word!r}, which is neither a file nor a name in ./{_FOLDER}"
    )
    there = ", ".join(file.stem for file in _files())
    next_step = (
        f"perhaps -f {near[0]}"
        if near
        else f"in ./{_FOLDER} there is: {there}"
        if there
        else "hostler init makes one"
    )
    raise StackFileError.of(origin, expected="a stack file", got=got, next_step=next_step)


def _several(files: list[Path]) -> StackFileError:
    return StackFileError.of(
        f"./{_FOLDER}",
        expected="one stack file, where none is named",
        got=", ".join(file.name for file in files),
        next_step=f"name one: -f {files[0].stem}, or HOSTLER_STACK={files[0].stem}",
    )


def _none() -> StackFileError:
    return StackFileError.of(
        ".",
        expected=f"a stack file: -f FILE, HOSTLER_STACK, ./{_HERE}, or one file in ./{_FOLDER}",
        got="none of them",
        next_step="hostler init HOST makes one (hostler init local: this machine)",
    )
