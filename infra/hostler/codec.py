"""Frozen dataclasses to JSON and back, for what is saved: the record, a plan, what a probe answered.

`decode(T, encode(x)) == x` for every type in the data model; an unknown key is an error, so that a
newer file is refused instead of half understood.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


class DecodeError(ValueError):
    """The JSON does not fit the type; says where."""


def encode(value: Any) -> Any:
    """Plain JSON values: dicts, lists, strings, numbers, booleans, None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        mapping = typing.cast("Mapping[Any, Any]", value)
        return {str(key): encode(item) for key, item in mapping.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(encode(item) for item in typing.cast("set[Any]", value))
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in typing.cast("list[Any]", value)]
    return value


def decode[T](kind: type[T], data: Any, at: str = "") -> T:
    """`data` as a `kind`; raises DecodeError with the path."""
    return _decode(kind, data, at or getattr(kind, "__name__", "value"))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, data: Any, at: str) -> Any:
    if isinstance(kind, typing.TypeAliasType):
        kind = kind.__value__
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if origin is typing.Annotated:
        return _decode(args[0], data, at)
    if origin is Literal:
        return _checked(data in args, data, at, f"one of {args}")
    if origin in (Union, types.UnionType):
        return _union(args, data, at)
    if origin is tuple:
        return _tuple(args, _checked(isinstance(data, list), data, at, "a list"), at)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        _checked(isinstance(data, Mapping), data, at, "a mapping")
        return {str(k): _decode(args[1], v, f"{at}.{k}") for k, v in data.items()}
    if is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), data, at)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float:
        return float(
            _checked(isinstance(data, (int, float)) and not isinstance(data, bool), data, at, "a number")
        )
    if kind is int:
        return _checked(isinstance(data, int) and not isinstance(data, bool), data, at, "a whole number")
    if kind is type(None):
        return _checked(data is None, data, at, "null")
    return _checked(isinstance(data, kind), data, at, kind.__name__)


def _checked(good: bool, data: Any, at: str, expected: str) -> Any:
    if not good:
        raise DecodeError(f"{at}: expected {expected}; got {type(data).__name__}")
    return data


def _tuple(args: tuple[Any, ...], data: list[Any], at: str) -> tuple[Any, ...]:
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_decode(args[0], v, f"{at}[{i}]") for i, v in enumerate(data))
    _checked(len(data) == len(args), data, at, f"{len(args)} items")
    return tuple(_decode(a, v, f"{at}[{i}]") for i, (a, v) in enumerate(zip(args, data, strict=True)))


def _union(args: tuple[Any, ...], data: Any, at: str) -> Any:
    if data is None and type(None) in args:
        return None
    errors: list[str] = []
    for kind in (a for a in args if a is not type(None)):
        try:
            return _decode(kind, data, at)
        except (DecodeError, ValueError) as error:
            errors.append(str(error))
    raise DecodeError(f"{at}: " + "; or ".join(errors))


def _dataclass(kind: type, data: Any, at: str) -> Any:
    _checked(isinstance(data, Mapping), data, at, f"a mapping ({kind.__name__})")
    hints = _hints(kind)
    known = {f.name: f for f in fields(kind)}
    unknown = set(data) - set(known)
    if unknown:
        raise DecodeError(f"{at}: unknown {', '.join(sorted(map(str, unknown)))}")
    missing = [
        n for n, f in known.items() if n not in data and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise DecodeError(f"{at}: {', '.join(missing)} missing")
    return kind(**{name: _decode(hints[name], value, f"{at}.{name}") for name, value in data.items()})
