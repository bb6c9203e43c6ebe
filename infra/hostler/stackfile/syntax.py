"""What the YAML parser could not read, said in our words: its own may repeat a secret."""

from __future__ import annotations

import re
from typing import Any

from hostler.errors import Problem

# part of the parser's message: what was expected, what to do
_MESSAGES: tuple[tuple[str, str, str], ...] = (
    (r"anchor|alias", "a word", "put quotes around text that begins with * or &"),
    (r"tag|handle", "plain YAML", "put quotes around text that begins with !"),
    (r"mapping values are not allowed", "one `KEY: VALUE` a line", "put quotes around text that has `: ` in it, and look at the indentation"),
    (r"could not find expected ':'", "KEY: VALUE", "write a colon and a space behind the key"),
    (r"did not find expected key|block mapping|block collection|block end", "a key as far to the right as its neighbours", "look at the indentation of this line and the one above"),
    (r"expected ',' or|flow", "a comma or the closing bracket", "close each [ and { and put commas between"),
    (r"quoted scalar|end of stream|escape", "the closing quote", "close the quotes; in double quotes write \\\\ for a backslash"),
    (r"directive|document", "one plain document", "leave out lines that begin with % and further --- lines"),
)  # fmt: skip
_TAB = re.compile(r"[ ]*\t")


def problem_of(error: Any, text: str, path: str) -> Problem:
    """The parser's error, placed where it was seen."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if tab := _tab_near(text, line):
        return Problem(
            where=f"{path}:{tab[0]}:{tab[1]}",
            expected="spaces at the start of a line",
            got="a tab",
            next_step="indent with spaces; most editors can replace all tabs at once",
        )
    said = f"{error.problem or ''} {error.context or ''}"
    expected, next_step = next(
        ((good, step) for part, good, step in _MESSAGES if re.search(part, said)),
        ("YAML", "put quotes around text with special characters"),
    )
    return Problem(
        where=f"{path}:{line}:{column}",
        expected=expected,
        got="YAML that cannot be read",
        next_step=next_step,
    )


def _tab_near(text: str, line: int) -> tuple[int, int] | None:
    """A tab in the indentation of the line that the parser stumbled over, or the one above."""
    lines = text.split("\n")
    for number in (line, line - 1):
        if 1 <= number <= len(lines) and (found := _TAB.match(lines[number - 1])):
            return number, found.end()
    return None
