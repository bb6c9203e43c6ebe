"""The sections' types as shapes: what the loader, the schema, the sample and the reference walk over."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .fields import Form, Range


@dataclass(frozen=True, slots=True)
class Scalar:
    """One word or number that `forms` parses."""

    form: str


@dataclass(frozen=True, slots=True)
class Words:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number."""


@dataclass(frozen=True, slots=True)
class Many:
    """A list; one item alone may stand for it."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with free names."""

    form: str
    item: Shape


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys."""

    kind: type


@dataclass(frozen=True, slots=True)
class Either:
    """A word or a section."""

    words: Words
    section: Section


Shape = Scalar | Words | Flag | Number | Many | Table | Section | Either


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a section. `attribute`: its name in Python, `name`: in YAML."""

    name: str
    attribute: str
    shape: Shape
    help: str
    example: str
    built: bool
    unbuilt: tuple[str, ...]
    required: bool
    filled: bool
    default: Any  # None also where it is required
    least: int | None
    most: int | None


@cache
def keys_of(kind: type) -> tuple[Key, ...]:
    """The section's keys in the order of its fields."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_key(field, hints[field.name]) for field in fields(kind))


def _key(field: Field[Any], hint: Any) -> Key:
    meta = field.metadata
    required = field.default is MISSING and field.default_factory is MISSING
    return Key(
        name=meta["name"] or field.name,
        attribute=field.name,
        shape=shape_of(hint),
        help=meta["help"],
        example=meta["example"],
        built=meta["built"],
        unbuilt=meta["unbuilt"],
        required=required and not meta["filled"],
        filled=meta["filled"],
        default=_default(field),
        least=meta["least"],
        most=meta["most"],
    )


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default


def shape_of(hint: Any) -> Shape:
    """The shape of a field's type; `| None` is left off."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return Scalar(next(extra.name for extra in args[1:] if isinstance(extra, Form)))
    if origin in (Union, types.UnionType):
        return _union([shape_of(kind) for kind in args if kind is not types.NoneType])
    if origin is Literal:
        return Words(args)
    if origin is tuple:
        return Many(shape_of(args[0]))
    if origin is Mapping:
        return Table(_form(args[0]), shape_of(args[1]))
    return _plain(hint)


def _form(hint: Any) -> str:
    shape = shape_of(hint)
    assert isinstance(shape, Scalar)  # noqa: S101  a mapping's names are always words
    return shape.form


def _plain(hint: Any) -> Shape:
    if hint is Range:
        return Scalar("range")
    if hint is bool:
        return Flag()
    if hint is int:
        return Number()
    if is_dataclass(hint):
        return Section(typing.cast(type, hint))
    raise TypeError(f"a stack file cannot hold {hint!r}")


def _union(shapes: list[Shape]) -> Shape:
    if len(shapes) == 1:
        return shapes[0]
    words, section = shapes
    assert isinstance(words, Words)  # noqa: S101  the only union there is
    assert isinstance(section, Section)  # noqa: S101
    return Either(words, section)
