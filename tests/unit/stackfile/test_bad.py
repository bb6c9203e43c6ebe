"""Every mistake of a stack file is found at once, in its place, in words that help."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from hostler.errors import Problem

from .cases import FILE, cases, problems

CASES = cases("bad")


def _parts(line: str) -> list[str]:
    return [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", line)]


def _fits(problem: Problem, line: str) -> bool:
    where, expected, got, next_step = _parts(line)
    return (
        problem.where == f"{FILE}:{where}"
        and expected in problem.expected
        and got in problem.got
        and next_step in problem.next_step
    )


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser in C, and the one that stands in where that is missing."""
    if request.param == "SafeLoader":
        monkeypatch.delattr(yaml, "CSafeLoader")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_bad(case: dict[str, Any]) -> None:
    found = problems(case["text"].encode())
    shown = "\n".join(f"{problem} -> {problem.next_step}" for problem in found)
    assert len(found) == len(case["problems"]), shown
    wrong = [
        f"{line}\n  {problem} -> {problem.next_step}"
        for problem, line in zip(found, case["problems"], strict=True)
        if not _fits(problem, line)
    ]
    assert not wrong, "\n".join(wrong)
    for word in case.get("never", ()):
        assert word not in shown


def test_enough_cases() -> None:
    assert len(CASES) >= 40
    assert len({case["id"] for case in CASES}) == len(CASES)
