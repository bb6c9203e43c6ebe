"""From a file to text: its size, its encoding, and characters that no stack file needs."""

from __future__ import annotations

import codecs
import difflib
import re
from pathlib import Path

from hostler.errors import Problem, StackFileError

LARGEST = 2**20  # bytes
_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_MOST_SHOWN = 5


def read(path: str | Path) -> bytes:
    """The file's bytes, at most LARGEST. Raises StackFileError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(Path(path), error) from None
    if len(data) > LARGEST:
        raise StackFileError.of(
            f"{path}:1:1",
            expected=f"a stack file of at most {LARGEST // 1024} KiB",
            got="more than that",
            next_step="name the stack file; models and logs are never part of it",
        )
    return data


def _unreadable(path: Path, error: OSError | ValueError) -> StackFileError:
    near: list[str] = []
    if isinstance(error, FileNotFoundError) and path.parent.is_dir():
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
        near = difflib.get_close_matches(path.name, names, n=1)
    return StackFileError.of(
        str(path),
        expected="a stack file that can be read",
        got=str(getattr(error, "strerror", None) or error).lower(),
        next_step=f"perhaps {path.parent / near[0]} is meant"
        if near
        else "name another file with -f, or make one: hostler init",
    )


def decode(data: bytes, path: str) -> str:
    """The text without a byte order mark. Raises StackFileError with line and column."""
    name = next((word for mark, word in _BOMS.items() if data.startswith(mark)), "")
    if not name and _looks_like_utf16(data):
        name = "UTF-16"
    if name:
        raise _not_utf8(path, 1, 1, f"{name} text")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode("utf-8"))
        got = f"the byte 0x{data[error.start]:02x}, which is not UTF-8 (Latin-1 or Windows-1252 perhaps)"
        raise _not_utf8(path, line, column, got) from None
    _refuse_unprintable(text, path)
    return text


def _looks_like_utf16(data: bytes) -> bool:
    start = data[:64]
    return len(start) >= 4 and (not any(start[::2]) or not any(start[1::2]))


def _not_utf8(path: str, line: int, column: int, got: str) -> StackFileError:
    return StackFileError.of(
        f"{path}:{line}:{column}",
        expected="UTF-8 text",
        got=got,
        next_step=f"save it as UTF-8 in your editor, or: iconv -f LATIN1 -t UTF-8 {path}"
        if "Latin" in got
        else "save it as UTF-8 in your editor",
    )


def _position(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _refuse_unprintable(text: str, path: str) -> None:
    problems: list[Problem] = []
    for found in _UNPRINTABLE.finditer(text):
        line, column = _position(text[: found.start()])
        problems.append(
            Problem(
                where=f"{path}:{line}:{column}",
                expected="printable text",
                got=f"a control character (U+{ord(found[0]):04X})",
                next_step="delete it; an editor that shows invisible characters helps",
            )
        )
        if len(problems) == _MOST_SHOWN:
            break
    if problems:
        raise StackFileError(*problems)
