"""The reference page of the stack file in Markdown; made from the sections' types."""

from __future__ import annotations

from collections.abc import Iterator

from .forms import FORMS
from .schema import summary
from .sections import Stack
from .shapes import Either, Flag, Key, Many, Number, Scalar, Section, Shape, Table, Words, keys_of
from .yamlwords import default_text

_HEAD = """\
# The stack file

One YAML file says what a stack is. Every key that is not needed has a default; `hostler config` prints the
file with all of them filled in, `hostler check` finds all mistakes at once. Keys and names are whole words,
never ones that YAML reads as true or false. Tags, several documents and control characters are refused.
"""


def reference_text() -> str:
    kinds = _kinds()
    lines = [_HEAD]
    for kind in kinds:
        lines += _section(kind)
    return "\n".join([*lines, *_forms()]) + "\n"


def _kinds() -> list[type]:
    """All sections, each after the one that it stands in."""
    found: list[type] = [Stack]
    for kind in found:  # grows while it is walked
        for key in keys_of(kind):
            inner = _inner(key.shape)
            if inner and inner not in found:
                found.append(inner)
    return found


def _inner(shape: Shape) -> type | None:
    match shape:
        case Many() | Table():
            return _inner(shape.item)
        case Section():
            return shape.kind
        case Either():
            return shape.section.kind
        case _:
            return None


def _section(kind: type) -> Iterator[str]:
    yield f"## {kind.__name__}\n"
    yield f"{summary(kind)}\n"
    yield "| key | what | value | default | example |"
    yield "|---|---|---|---|---|"
    for key in keys_of(kind):
        yield f"| {' | '.join(_cells(key))} |"
    yield ""


def _cells(key: Key) -> Iterator[str]:
    yield f"`{key.name}`"
    yield _cell(key.help) + ("" if key.built else " **(not built yet)**")
    later = f" (not built yet: {', '.join(key.unbuilt)})" if key.unbuilt else ""
    yield _cell(_words(key.shape) + _limits(key)) + later
    default = default_text(key)
    yield "needed" if key.required else f"`{_cell(default)}`" if default else ""
    yield f"`{_cell(key.example)}`" if key.example else ""


def _words(shape: Shape) -> str:
    match shape:
        case Scalar():
            return f"[{shape.form}](#forms)"
        case Words():
            return ", ".join(shape.words)
        case Flag():
            return "true or false"
        case Number():
            return "whole number"
        case Many():
            return f"list: {_words(shape.item)}"
        case Table():
            return f"names ([{shape.form}](#forms)), each with {_words(shape.item)}"
        case Section():
            return f"[{shape.kind.__name__}](#{shape.kind.__name__.lower()})"
        case Either():
            return f"{_words(shape.words)} or {_words(shape.section)}"


def _limits(key: Key) -> str:
    return (
        f", {key.least or 0} to {key.most}" if isinstance(key.shape, Number) and key.most is not None else ""
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _forms() -> Iterator[str]:
    yield "## Forms\n"
    yield "| form | how it is written |"
    yield "|---|---|"
    for name, spec in FORMS.items():
        yield f"| {name} | {_cell(spec.expected)} |"
