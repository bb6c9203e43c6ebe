"""Text from hosts as a terminal may get it: what would move its cursor, or turn its text round, is shown, not done."""

from __future__ import annotations

import re

# containers colour their lines, which says nothing where it is read later
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# control characters but newline and tab; line separators, marks and overrides of direction; halves of characters
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with each such character as its code: \\x1b, \\u202e. Ends of lines may be Windows'."""
    return UNSAFE.sub(_code, COLOURS.sub("", text).replace("\r\n", "\n"))


def cell(text: str) -> str:
    """The same in one line."""
    return " ".join(visible(text).splitlines())


def in_json(text: str) -> str:
    """JSON that reads as the same value: only in its strings such characters can be."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
