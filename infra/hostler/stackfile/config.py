"""The stack file as it is understood: every default filled in and marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, cast

from .fields import Range
from .notes import join
from .sections import Stack, StackFile
from .shapes import Key, Many, Section, Shape, Table, keys_of
from .yamlwords import inline, quoted, scalar

_MARK = "  # default"


def config_text(file: StackFile) -> str:
    """YAML that loads to the same stack; what the file does not name is marked `# default`, and what
    stays open is a comment."""
    return "\n".join(_section(Stack, file.stack, "", 0, file.given)) + "\n"


def as_json(file: StackFile) -> dict[str, Any]:
    """The same as plain values in base units (bytes, seconds, watts, tokens), with the file's keys."""
    given = sorted(file.given)
    return {"file": file.path, "digest": file.digest, "stack": _plain(file.stack), "given": given}


def _section(kind: type[Any], value: Any, path: str, depth: int, given: frozenset[str]) -> Iterator[str]:
    for key in keys_of(kind):
        if key.built:
            yield from _key(key, getattr(value, key.attribute), join(path, key.name), depth, given)


def _key(key: Key, value: Any, path: str, depth: int, given: frozenset[str]) -> Iterator[str]:
    indent, mark = "  " * depth, "" if path in given else _MARK
    if value is None:
        yield f"{indent}# {key.name}: not set; {key.help}"
    elif _is_line(key.shape, value):
        yield f"{indent}{key.name}: {_line(key.shape, value)}{mark}"
    else:
        yield f"{indent}{key.name}:{mark}"
        yield from _block(key.shape, value, path, depth + 1, given)


def _is_line(shape: Shape, value: Any) -> bool:
    if isinstance(shape, Many):
        return not value or not isinstance(shape.item, Section)
    return not (is_dataclass(value) and not isinstance(value, Range)) and not (
        isinstance(shape, Table) and value
    )


def _line(shape: Shape, value: Any) -> str:
    if isinstance(shape, Many):
        return inline(shape, value)
    return "{}" if isinstance(shape, Table) else scalar(shape, value)


def _block(shape: Shape, value: Any, path: str, depth: int, given: frozenset[str]) -> Iterator[str]:
    if isinstance(shape, Many):
        for index, item in enumerate(value):
            lines = list(_section(_kind(item), item, f"{path}[{index}]", depth + 1, given))
            yield "  " * depth + "- " + lines[0].lstrip()
            yield from lines[1:]
    elif isinstance(shape, Table):
        for name, item in value.items():
            if not isinstance(shape.item, Section):
                yield f"{'  ' * depth}{quoted(name)}: {scalar(shape.item, item)}"
                continue
            yield f"{'  ' * depth}{quoted(name)}:"
            yield from _section(_kind(item), item, join(path, name), depth + 1, given)
    else:
        yield from _section(_kind(value), value, path, depth, given)


def _kind(value: Any) -> type[Any]:
    return value.__class__


def _plain(value: Any) -> Any:
    if isinstance(value, Range):
        return str(value)
    if is_dataclass(value):
        return {key.name: _plain(getattr(value, key.attribute)) for key in keys_of(_kind(value)) if key.built}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in cast(Mapping[Any, Any], value).items()}
    return [_plain(item) for item in cast(tuple[Any, ...], value)] if isinstance(value, tuple) else value
