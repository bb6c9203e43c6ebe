"""The input types of the stand-in's resources, read from pulumi_aws's own annotations, and what is wrong with inputs.

The package has no schema, but every Args class is annotated, so that wrong keys and types can be found as the real
provider's Check would.
"""

import importlib
import inspect
import json
import sys
import typing
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .values import SIGNATURE, UNKNOWN, Values

# "str", "int", "float", "bool", "any", ["list", shape], ["map", shape] or {"key": shape, "required!": shape}
type Shape = str | list[Any] | dict[str, Any]

MISSING = 'Missing required argument. The argument "{}" is required, but no definition was found.'


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)


def _name(kind: Any) -> str:
    origin = typing.get_origin(kind)
    return getattr(origin, "__name__", "") or getattr(kind, "__name__", "")


def _shape(kind: Any) -> Shape:
    import pulumi

    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union or "UnionType" in str(origin):
        # Input[X] is X, Awaitable[X] or Output[X]; typed dicts and enums double their partner
        kinds = [k for k in inner if k is not type(None) and _name(k) not in ("Awaitable", "Output")]
        shapes = [_shape(k) for k in kinds if not typing.is_typeddict(k)]
        rich = [shape for shape in shapes if not isinstance(shape, str)]
        if rich and "str" in shapes:
            return "any"  # a policy: JSON text or a document
        return rich[0] if rich else next((shape for shape in shapes if shape != "any"), "any")
    if _name(kind) in ("Sequence", "list"):
        return ["list", _shape(inner[0])]
    if _name(kind) in ("Mapping", "dict"):
        return ["map", _shape(inner[1])]
    if kind in (str, int, float, bool):
        return kind.__name__
    if isinstance(kind, type) and pulumi._types.is_input_type(kind):
        return args_shape(kind)
    return "str" if isinstance(kind, type) and issubclass(kind, str) else "any"


def args_shape(cls: Any) -> dict[str, Any]:
    """The shape of an Args class."""
    import pulumi
    from pulumi._types import input_type_py_to_pulumi_names

    known = {"Output": pulumi.Output, "T": typing.TypeVar("T"), **vars(sys.modules[cls.__module__])}
    hints = typing.get_type_hints(cls.__init__, known)
    names = input_type_py_to_pulumi_names(cls)
    words = inspect.signature(cls.__init__).parameters.items()
    must = {key for key, word in words if word.kind is word.KEYWORD_ONLY and word.default is word.empty}
    return {
        names.get(key, _camel(key)) + ("!" if key in must else ""): _shape(kind)
        for key, kind in hints.items()
        if key != "return"
    }


def write_schema(path: Path, tokens: typing.Iterable[str]) -> None:
    """The shapes of these types as JSON. Takes a second or two."""
    found: dict[str, Shape] = {}
    for token in tokens:
        module, cls = token.split(":")[1].split("/")[0], token.rpartition(":")[2]
        with warnings.catch_warnings(
            action="ignore", category=DeprecationWarning
        ):  # of types that nobody asked for
            home = importlib.import_module(f"pulumi_aws.{module}")
            found[token] = args_shape(getattr(home, f"{cls}Args"))
    path.write_text(json.dumps(found, sort_keys=True, indent=1))


@cache
def read_schema(path: Path) -> dict[str, Shape]:
    return json.loads(path.read_text())


SCALARS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str | int | float | bool),
    "bool": lambda value: value in (True, False, "true", "false"),
    "int": lambda value: not isinstance(value, bool | dict | list) and str(value).lstrip("-").isdigit(),
    "float": lambda value: isinstance(value, int | float),
}


def faults(shape: Shape, value: Any, path: str = "") -> dict[str, str]:
    """Property path -> what is wrong there: unknown and missing keys, wrong types."""
    wrapped = isinstance(value, dict) and value.get(SIGNATURE)
    if value is None or value == UNKNOWN or shape == "any" or wrapped:
        return {}
    if isinstance(shape, dict):
        return (
            _object_faults(shape, value, path) if isinstance(value, dict) else _not("an object", value, path)
        )
    if isinstance(shape, str):
        return {} if SCALARS[shape](value) else _not(shape, value, path)
    if shape[0] == "list":
        if not isinstance(value, list):
            return _not("a list", value, path)
        named = {f"{path}[{n}]": item for n, item in enumerate(value)}
    else:
        if not isinstance(value, dict):
            return _not("a map", value, path)
        named = {f"{path}.{key}": item for key, item in value.items()}
    return {at: why for key, item in named.items() for at, why in faults(shape[1], item, key).items()}


def _not(wanted: str, value: Any, path: str) -> dict[str, str]:
    return {path: f"expected {wanted}, got {value!r}"}


def _object_faults(shape: dict[str, Any], value: Values, path: str) -> dict[str, str]:
    at = f"{path}." if path else ""
    known = {key.rstrip("!"): sub for key, sub in shape.items()}
    missing = [key[:-1] for key in shape if key.endswith("!") and value.get(key[:-1]) is None]
    bad = {at + key: MISSING.format(key) for key in missing}
    for key, item in value.items():
        if key[:2] == "__":
            continue
        unexpected = {at + key: f'an unexpected argument "{key}" was provided'}
        bad |= faults(known[key], item, at + key) if key in known else unexpected
    return bad
