"""From a path to a loaded stack file, or to all that is wrong with it at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hostler.errors import Problem, StackFileError

from .defaults import filled
from .find import find
from .meaning import check
from .notes import Notes
from .reader import BAD, Reader
from .sections import Stack, StackFile
from .text import decode, read
from .tree import Node, Word, build

__all__ = ["find", "load", "loads"]
_MOST_PROBLEMS = 100


def load(path: str | Path) -> StackFile:
    """The stack file at `path` with every default filled in. Raises StackFileError with all problems,
    each with `file:line:column path`."""
    return loads(read(path), str(path))


def loads(data: bytes, path: str) -> StackFile:
    """The same of a file's bytes; `path` is what errors and the default name say."""
    root, problems = build(decode(data, path), path)
    if root is None or (isinstance(root, Word) and root.kind == "nothing"):
        raise StackFileError(*problems, _empty(path))
    notes = Notes(path)
    stack = _stack(root, notes)
    found = (*problems, *notes.in_order())
    if found or stack is None:
        raise StackFileError(*_shortened(found, path))
    return StackFile(
        path=path,
        digest=hashlib.sha256(data).hexdigest(),
        stack=stack,
        positions=notes.positions,
        given=frozenset(notes.given),
        text=decode(data, path),
    )


def _stack(root: Node, notes: Notes) -> Stack | None:
    """What could be read, with its meaning checked as far as it goes."""
    stack = Reader(notes).section(Stack, root, "")
    if stack is BAD:
        return None
    full = filled(stack, notes)
    check(full, notes)
    return full


def _empty(path: str) -> Problem:
    return Problem(
        where=f"{path}:1:1",
        expected="at least the keys pools and models",
        got="an empty file",
        next_step="hostler init writes a first one; hostler config --sample shows every key",
    )


def _shortened(problems: tuple[Problem, ...], path: str) -> tuple[Problem, ...]:
    if len(problems) <= _MOST_PROBLEMS:
        return problems
    more = len(problems) - _MOST_PROBLEMS
    last = Problem(
        where=path,
        expected="a stack file",
        got=f"{more} problems more",
        next_step="mend the first ones, then check again",
    )
    return (*problems[:_MOST_PROBLEMS], last)
