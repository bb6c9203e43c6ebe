"""Standard output is data, standard error is narration. Colour and live lines only on a terminal."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TextIO

from hostler.console.visible import cell, in_json, visible
from hostler.errors import HostlerError, Problem, UsageError

QUIET_S = 30.0  # one plain line at least this often where nobody watches live


class Out:
    """Everything that a person reads goes through here, and no control character of theirs with it but our own."""

    answered: ClassVar[TextIO | None] = None  # where a JSON value is out already: there is room for one

    def __init__(
        self, *, as_json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.colour = self.stderr.isatty() and not os.environ.get("NO_COLOR")
        self._last = 0.0
        self._live = ""
        self._lock = threading.RLock()  # files that are given tell of themselves beside Ansible

    def json(self, value: Any) -> None:
        Out.answered = self.stdout
        text = json.dumps(value, indent=2, sort_keys=False, ensure_ascii=False)
        self.stdout.write(in_json(text) + "\n")
        self.stdout.flush()

    def data(self, text: str) -> None:
        """A line of the answer."""
        self.stdout.write(visible(text + "\n"))
        self.stdout.flush()

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns by their content; the last one wraps on a terminal."""
        for line in table_lines(heads, rows, self._width()):
            self.stdout.write(line + "\n")
        self.stdout.flush()

    def narrating(self) -> Out:
        """The same, with tables as part of the story: where standard output has its one JSON value already."""
        return Out(stdout=self.stderr, stderr=self.stderr) if self.as_json else self

    def say(self, text: str, *, colour: str = "") -> None:
        """A line of the story."""
        with self._lock:
            self._clear()
            self.stderr.write(self._paint(visible(text), colour) + "\n")
            self.stderr.flush()
            self._last = time.monotonic()

    def live(self, text: str) -> None:
        """What is going on now: overwritten in place on a terminal, elsewhere a line now and then."""
        if self.stderr.isatty():
            with self._lock:
                self._clear()
                self._live = visible(text)[: max(20, self._width() - 1)]
                self.stderr.write(self._live)
                self.stderr.flush()
        elif time.monotonic() - self._last >= QUIET_S:
            self.say(text)

    def problem(self, problem: Problem) -> None:
        self.say(f"error: {problem}", colour="31")
        for line in problem.detail.splitlines():
            self.say(f"  | {line}")
        if problem.next_step:
            self.say(f"next: {problem.next_step}")

    def error(self, error: HostlerError) -> None:
        """All problems; in JSON too where data was asked for and none came before."""
        if self.as_json and Out.answered is not self.stdout:
            self.json({"error": [as_row(problem) for problem in error.problems], "exit": int(error.code)})
        for problem in error.problems:
            self.problem(problem)

    @property
    def can_ask(self) -> bool:
        """Whether somebody sits at a terminal."""
        return sys.stdin.isatty()

    def confirm(self, question: str, *, yes: bool) -> bool:
        """Asks on the terminal; without one only --yes goes on."""
        if yes:
            return True
        if not self.can_ask:
            raise UsageError.of(
                "the question",
                expected="a terminal to ask on",
                got="none",
                next_step="look at `hostler plan`, then repeat with --yes",
            )
        self._clear()
        self.stderr.write(f"{visible(question)} [y/N] ")
        self.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def ask(self, question: str) -> str:
        """What is typed on the terminal; empty where there is none, or just the return key."""
        if not self.can_ask:
            return ""
        self._clear()
        self.stderr.write(f"{visible(question)} ")
        self.stderr.flush()
        return sys.stdin.readline().strip()

    def _width(self) -> int:
        if not self.stdout.isatty():
            return 10_000
        return os.get_terminal_size(self.stdout.fileno()).columns

    def _clear(self) -> None:
        if self._live:
            self.stderr.write("\r\033[K")
            self._live = ""

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if colour and self.colour else text


def as_row(problem: Problem) -> dict[str, str]:
    return {
        "where": problem.where,
        "expected": problem.expected,
        "got": problem.got,
        "next": problem.next_step,
        "detail": problem.detail,
    }


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> list[str]:
    """The table as lines; pure. The last column takes what is left of `width`."""
    body = [[cell(str(one)) for one in row] for row in rows]
    columns = [max([len(heads[i]), *(len(row[i]) for row in body)]) for i in range(len(heads))]
    left = sum(columns[:-1]) + 2 * (len(columns) - 1)
    lines: list[str] = []
    for row in [list(heads), *body]:
        start = "  ".join(one.ljust(columns[i]) for i, one in enumerate(row[:-1]))
        pieces = _wrap(row[-1], max(20, width - left))
        lines.append((start + "  " + pieces[0]).rstrip() if len(row) > 1 else pieces[0])
        lines.extend(" " * left + piece for piece in pieces[1:])
    return lines


def _wrap(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width) or [""]


def age(seconds: float) -> str:
    """How long ago, in words a person takes in at a glance: 3 s, 5 min, 2 h, 4 d."""
    for limit, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(0, round(seconds / unit))} {name}"
    return f"{round(seconds / 86400)} d"


def size(count: float) -> str:
    """Bytes in binary units: 4.3 GiB."""
    for name in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {name}" if name == "B" else f"{count:.1f} {name}"
        count /= 1024
    return f"{count:.1f} TiB"
