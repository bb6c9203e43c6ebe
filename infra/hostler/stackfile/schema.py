"""The JSON Schema (2020-12) of stack files, for editors; made from the sections' types."""

from __future__ import annotations

from typing import Any

from . import forms
from .sections import Stack
from .shapes import Either, Flag, Key, Many, Number, Scalar, Section, Shape, Table, Words, keys_of
from .shorts import SHORT
from .yamlwords import default_text

ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """One definition a section and a form."""
    definitions: dict[str, Any] = {}
    root = _object(Stack, definitions)
    return {
        "$schema": ADDRESS,
        "title": "Hostler stack file",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def summary(kind: type) -> str:
    """The first paragraph of a section's description, in one line."""
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": summary(kind),
        "properties": {key.name: _property(key, definitions) for key in keys_of(kind)},
        "required": [key.name for key in keys_of(kind) if key.required],
        "additionalProperties": False,
    }


def _property(key: Key, definitions: dict[str, Any]) -> dict[str, Any]:
    built = "" if key.built else " Not built yet."
    entry: dict[str, Any] = {"description": f"{key.help[:1].upper()}{key.help[1:]}.{built}"}
    if default := default_text(key):
        entry["description"] += f" Default: {default}"
    if key.example:
        entry["description"] += f" Example: {key.example}"
    return {**_shape(key.shape, definitions, key), **entry}


def _shape(shape: Shape, definitions: dict[str, Any], key: Key | None = None) -> dict[str, Any]:
    match shape:
        case Scalar():
            return _form(shape.form, definitions)
        case Words():
            return {"enum": list(shape.words)}
        case Flag():
            return {"type": "boolean"}
        case Number():
            return _number(key)
        case Many():
            item = _shape(shape.item, definitions)
            return {"anyOf": [{"type": "array", "items": item}, item]}
        case Table():
            names = {"pattern": _whole(forms.FORMS[shape.form].pattern)}
            return {
                "type": "object",
                "propertyNames": names,
                "additionalProperties": _shape(shape.item, definitions),
            }
        case Section():
            return _section(shape.kind, definitions)
        case Either():
            return {"anyOf": [_shape(shape.words, definitions), _section(shape.section.kind, definitions)]}


def _number(key: Key | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "integer", "minimum": (key and key.least) or 0}
    if key and key.most is not None:
        entry["maximum"] = key.most
    return entry


def _section(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # there before its parts are, which may lead back here
        whole = _object(kind, definitions)
        short = _short(kind, definitions)
        definitions[name] = (
            {"description": whole["description"], "anyOf": [*short, whole]} if short else whole
        )
    return {"$ref": f"#/$defs/{name}"}


def _short(kind: type, definitions: dict[str, Any]) -> list[dict[str, Any]]:
    short = SHORT.get(kind)
    if short is None:
        return []
    if short.form == "env":
        return [{"const": "env"}]
    if short.form == "host":
        return [
            {
                "type": "string",
                "pattern": _whole(forms.HOST),
                "description": f"{short.words[:1].upper()}{short.words[1:]}.",
            }
        ]
    keys = {key.name: key for key in keys_of(kind)}
    words: list[dict[str, Any]] = [{"enum": list(short.instead)}] if short.instead else []
    return [*words, _shape(keys[short.keys[0]].shape, definitions)]


def _form(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    spec = forms.FORMS[name]
    kind = ["string", "number"] if spec.number else "string"
    definitions[name] = {
        "type": kind,
        "description": f"{spec.expected[:1].upper()}{spec.expected[1:]}.",
        "pattern": _whole(spec.pattern),
        "maxLength": spec.longest,
    }
    return {"$ref": f"#/$defs/{name}"}


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
