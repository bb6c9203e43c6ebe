"""What a host says cannot move the terminal's cursor, nor turn its text round; our own colours and live lines can."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from hostler.console.out import Out
from hostler.errors import HostError, Problem


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


CASES = [
    ("up one, and cleared: \x1b[1A\x1b[2K", "up one, and cleared: \\x1b[1A\\x1b[2K"),
    ("\x1b]52;c;Y3VybA==\x07", "\\x1b]52;c;Y3VybA==\\x07"),
    ("\x9b2K\x90q\x9c", "\\x9b2K\\x90q\\x9c"),
    ("a\rb\x08\x7f\x00\x0b", "a\\x0db\\x08\\x7f\\x00\\x0b"),
    ("\u202eexe.txt\u202c \u2066\u2069\u200e\u200f", "\\u202eexe.txt\\u202c \\u2066\\u2069\\u200e\\u200f"),
    ("half \ud83d", "half \\ud83d"),
    ("\x1b[1;36mred\x1b[0m and \x1b\x1b[0m[2K", "red and \\x1b[2K"),
    ("Grüße, 模型 🙂", "Grüße, 模型 🙂"),
]
WAYS: dict[str, Callable[[Out, str], object]] = {
    "say": lambda out, text: out.say(text),
    "data": lambda out, text: out.data(text),
    "cell": lambda out, text: out.table(("A", "B"), [(text, "x")]),
    "last cell": lambda out, text: out.table(("A",), [(text,)]),
    "live": lambda out, text: out.live(text),
    "confirm": lambda out, text: out.confirm(text, yes=False),
    "ask": lambda out, text: out.ask(text),
    "error": lambda out, text: out.error(HostError(Problem(where="h", expected="e", got=text))),
    "next": lambda out, text: out.error(HostError.of("h", expected="e", got="g", next_step=text)),
}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    monkeypatch.setattr(Out, "_width", lambda _: 200)
    return Terminal()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("text", "shown"), CASES)
def test_it_is_shown_and_not_done(terminal: Terminal, way: str, text: str, shown: str) -> None:
    WAYS[way](Out(stdout=terminal, stderr=terminal), text)
    assert shown in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


def test_each_line_of_a_detail_is_shown(terminal: Terminal) -> None:
    detail = "one\ttab\n\x1b[2Ktwo"
    Out(stdout=terminal, stderr=terminal).error(HostError.of("h", expected="e", got="g", detail=detail))
    assert terminal.getvalue().splitlines()[1:] == ["  | one\ttab", "  | \\x1b[2Ktwo"]


def test_windows_ends_of_lines_are_ends_of_lines() -> None:
    stdout = io.StringIO()
    Out(stdout=stdout, stderr=stdout).data("one\r\ntwo\r")
    assert stdout.getvalue() == "one\ntwo\n"


def test_a_cell_is_one_line() -> None:
    stdout = io.StringIO()
    Out(stdout=stdout, stderr=stdout).table(("A", "B"), [("x\ny", "z")])
    assert stdout.getvalue().splitlines() == ["A    B", "x y  z"]


def test_our_own_colours_and_live_lines_stay(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    out = Out(stdout=terminal, stderr=terminal)
    out.live("going on")
    out.say("bad", colour="31")
    assert terminal.getvalue() == "going on\r\x1b[K\x1b[31mbad\x1b[0m\n"


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_json_says_the_same_value_without_them(text: str) -> None:
    stdout = io.StringIO()
    Out(as_json=True, stdout=stdout).json({text: [text]})
    assert json.loads(stdout.getvalue()) == {text: [text]}
    assert not [one for one in stdout.getvalue() if one != "\n" and (ord(one) < 32 or 127 <= ord(one) < 160)]
    assert not set(stdout.getvalue()) & set("\u202e\u2066\u200e\ud83d")
