"""What people see."""

from __future__ import annotations

import io
import json

import pytest

from hostler.console.out import Out, age, size, table_lines
from hostler.errors import HostError, Problem, UsageError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (5400, "2 h"),
        (86400, "24 h"),
        (3 * 86400, "3 d"),
    ],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (24 * 2**30, "24.0 GiB"), (3 * 2**40, "3.0 TiB")],
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


def test_a_table_aligns_and_wraps_the_last_column() -> None:
    lines = table_lines(("A", "WHY"), [("x", "one two three four five six"), ("yyy", "-")], 26)
    assert lines == ["A    WHY", "x    one two three four", "     five six", "yyy  -"]


def test_errors_say_where_expected_got_and_next() -> None:
    err = io.StringIO()
    problem = Problem(
        where="gpu-1", expected="an answer", got="silence", next_step="switch it on", detail="a\nb"
    )
    Out(stdout=io.StringIO(), stderr=err).error(HostError(problem))
    assert err.getvalue().splitlines() == [
        "error: gpu-1: expected an answer; got silence",
        "  | a",
        "  | b",
        "next: switch it on",
    ]


def test_no_terminal_and_no_yes_is_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError):
        Out(stdout=io.StringIO(), stderr=io.StringIO()).confirm("Apply?", yes=False)
    assert Out(stdout=io.StringIO(), stderr=io.StringIO()).confirm("Apply?", yes=True)


def test_live_lines_are_quiet_where_nobody_watches() -> None:
    err = io.StringIO()
    out = Out(stdout=io.StringIO(), stderr=err)
    out.say("begin")
    for i in range(100):
        out.live(f"step {i}")
    assert err.getvalue() == "begin\n"


def test_stdout_has_one_json_value_whatever_goes_wrong_after_it() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    Out(as_json=True, stdout=stdout, stderr=stderr).json({"changes": []})
    error = HostError.of("gpu-2", expected="an answer", got="none")
    Out(as_json=True, stdout=stdout, stderr=stderr).error(error)
    assert json.loads(stdout.getvalue()) == {"changes": []}
    assert "gpu-2: expected an answer; got none" in stderr.getvalue()
