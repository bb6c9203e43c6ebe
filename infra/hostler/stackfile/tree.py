"""From text to a tree of nodes with positions, built from the parser's events without recursion.

Everything that could make a small file huge, or mean more than it shows, is refused here: depth,
number of nodes with aliases expanded, tags, several documents, keys that are no words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hostler.errors import Problem, StackFileError

from .scalars import Kind, kind_of

DEEPEST = 16
MOST_NODES = 20_000  # with aliases expanded


@dataclass(frozen=True, slots=True)
class Word:
    """A scalar as it is written. `plain`: without quotes."""

    line: int
    column: int
    text: str
    plain: bool

    @property
    def kind(self) -> Kind:
        """What YAML takes it for; quoted, it is always text."""
        return kind_of(self.text) if self.plain else "text"


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    column: int
    nodes: list[Node]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping, as it is written: keys may stand in it twice."""

    line: int
    column: int
    nodes: list[tuple[Word, Node]]


type Node = Word | Items | Pairs


@dataclass(slots=True)
class _Frame:
    """An open list or mapping."""

    node: Items | Pairs
    anchor: str | None
    size: int = 1
    key: Node | None = None  # whose value comes next


class _Stop(Exception):
    """Reading on makes no sense; the problem is in the list."""


def build(text: str, path: str) -> tuple[Node | None, list[Problem]]:
    """The tree (None: an empty file) and what is wrong with it. Raises StackFileError where there is
    no tree at all."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parse: Callable[..., Iterator[Any]] = getattr(yaml, "parse")  # noqa: B009  its types say nothing
    builder = _Builder(path)
    try:
        for event in parse(text, Loader=loader):
            builder.take(type(event).__name__, event)
    except _Stop:
        raise StackFileError(*builder.problems) from None
    except yaml.MarkedYAMLError as error:
        from .syntax import problem_of

        raise StackFileError(*builder.problems, problem_of(error, text, path)) from None
    return builder.root, builder.problems


class _Builder:
    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int]] = {}  # with their sizes
        self._total = 0
        self._documents = 0

    def take(self, name: str, event: Any) -> None:
        """One event of the parser."""
        match name:
            case "ScalarEvent":
                self._untagged(event)
                self._grow(1, event)
                self._place(Word(*_position(event), event.value, event.implicit[0]), event.anchor, 1)
            case "SequenceStartEvent":
                self._open(event, Items(*_position(event), []))
            case "MappingStartEvent":
                self._open(event, Pairs(*_position(event), []))
            case "SequenceEndEvent" | "MappingEndEvent":
                frame = self._frames.pop()
                self._place(frame.node, frame.anchor, frame.size)
            case "AliasEvent":
                self._alias(event)
            case "DocumentStartEvent":
                self._document(event)
            case _:
                pass

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse(
                event, "one document", "a second one (after ---)", "one file is one stack: make it two files"
            )
            raise _Stop

    def _open(self, event: Any, node: Items | Pairs) -> None:
        self._untagged(event)
        self._grow(1, event)
        if len(self._frames) == DEEPEST:
            self._refuse(event, f"at most {DEEPEST} levels of lists and mappings", "more", "write it flatter")
            raise _Stop
        self._frames.append(_Frame(node, event.anchor))

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            inside = any(frame.anchor == event.anchor for frame in self._frames)
            got = "one that repeats what it stands in" if inside else "one that names nothing above"
            self._refuse(
                event, "an alias (*) of something above", got, "write the value itself, or text in quotes"
            )
            raise _Stop
        self._grow(found[1], event)
        self._place(found[0], None, found[1])

    def _grow(self, size: int, event: Any) -> None:
        self._total += size
        if self._total > MOST_NODES:
            got = "more, each alias counted as all that it repeats"
            self._refuse(event, f"at most {MOST_NODES} values", got, "write what is meant without aliases")
            raise _Stop

    def _untagged(self, event: Any) -> None:
        if event.tag not in (None, "!"):
            got = "a tag (a word that begins with !)"
            self._refuse(
                event, "plain YAML", got, "leave the tag out, and put quotes around text that begins with !"
            )

    def _place(self, node: Node, anchor: str | None, size: int) -> None:
        """Put a finished node where the parser is."""
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        frame.size += size
        if isinstance(frame.node, Items):
            frame.node.nodes.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            self._pair(frame.node, frame.key, node)
            frame.key = None

    def _pair(self, parent: Pairs, key: Node, value: Node) -> None:
        if isinstance(key, Word):
            parent.nodes.append((key, value))
            return
        got = "a list" if isinstance(key, Items) else "a mapping"
        next_step = "write KEY: VALUE, and quotes around text that begins with { or ["
        where = f"{self.path}:{key.line}:{key.column}"
        self.problems.append(Problem(where=where, expected="a word as key", got=got, next_step=next_step))

    def _refuse(self, event: Any, expected: str, got: str, next_step: str) -> None:
        line, column = _position(event)
        where = f"{self.path}:{line}:{column}"
        self.problems.append(Problem(where=where, expected=expected, got=got, next_step=next_step))


def _position(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
