"""What YAML takes a word without quotes for, and how a word is shown in an error."""

from __future__ import annotations

import re
from typing import Literal

type Kind = Literal["text", "flag", "nothing", "whole", "number"]

_FLAG = re.compile(r"yes|no|true|false|on|off", re.IGNORECASE)
_NOTHING = re.compile(r"~|null|", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?[0-9][0-9_]*|0[xob][0-9A-Fa-f_]+")
_NUMBER = re.compile(
    r"[+-]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?\.inf|\.nan", re.IGNORECASE
)
_LONGEST_SHOWN = 60


def kind_of(text: str) -> Kind:
    """Of YAML 1.1 and 1.2 what reads more into it."""
    if _NOTHING.fullmatch(text):
        return "nothing"
    if _FLAG.fullmatch(text):
        return "flag"
    if _WHOLE.fullmatch(text):
        return "whole"
    return "number" if _NUMBER.fullmatch(text) else "text"


def shown(text: str) -> str:
    """The text in quotes, shortened, without control characters."""
    short = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
    return repr(short)
