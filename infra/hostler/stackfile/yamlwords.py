"""Values as YAML writes them, so that they read back as the same."""

from __future__ import annotations

import json
import re
from typing import Any

from . import forms
from .scalars import kind_of
from .shapes import Key, Many, Scalar, Shape

_BARE = re.compile(
    r"(?:[A-Za-z/~.][A-Za-z0-9_./~@+-]*(?: [A-Za-z0-9][A-Za-z0-9_./-]*)*|[0-9]+(?:\.[0-9]+)? ?[A-Za-z/]+|[0-9]+-[0-9]{1,3})"
)


def quoted(text: str) -> str:
    """The text, in double quotes where YAML could take it for something else."""
    return text if _BARE.fullmatch(text) and kind_of(text) == "text" else json.dumps(text, ensure_ascii=False)


def scalar(shape: Shape, value: Any) -> str:
    """One word, switch or number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and not isinstance(shape, Scalar):
        return str(value)
    text = forms.show(shape.form, value) if isinstance(shape, Scalar) else str(value)
    if isinstance(shape, Scalar) and shape.form in ("tokens", "range") and text.isdigit():
        return text
    return quoted(text)


def inline(items: Many, values: tuple[Any, ...]) -> str:
    """A list in one line."""
    return f"[{', '.join(scalar(items.item, value) for value in values)}]"


def default_text(key: Key) -> str:
    """A key's default as a stack file writes it; empty: there is none to write."""
    if key.default is None or key.required or key.filled:
        return ""
    if isinstance(key.shape, Many):
        return inline(key.shape, key.default)
    if isinstance(key.default, (str, int, float)):
        return scalar(key.shape, key.default)
    return ""
