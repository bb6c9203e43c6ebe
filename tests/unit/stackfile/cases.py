"""Data cases of the stack file: what a case says, and what the loader says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hostler.errors import Problem, StackFileError
from hostler.stackfile.load import loads
from hostler.stackfile.sections import StackFile

FOLDER = Path(__file__).parents[2] / "cases" / "stackfile"
STACKS = Path(__file__).parents[3] / "stacks"
FILE = "case.yaml"


def cases(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def text_of(case: dict[str, Any]) -> str:
    text = case["text"]
    for word, value in case.get("replace", {}).items():
        text = text.replace(word, value)
    return text


def loaded(text: str) -> StackFile:
    return loads(text.encode(), FILE)


def problems(data: bytes) -> tuple[Problem, ...]:
    """What is wrong with the file; fails if nothing is."""
    try:
        loads(data, FILE)
    except StackFileError as error:
        return error.problems
    raise AssertionError("nothing was found wrong")


def at(value: Any, path: str) -> Any:
    """The value at a path such as pools.home.hosts.0.name; model names may hold dots."""
    while path:
        if isinstance(value, dict):
            name = max((name for name in value if path == name or path.startswith(f"{name}.")), key=len)
        else:
            name = path.partition(".")[0]
        path = path[len(name) + 1 :]
        value = (
            value[name]
            if isinstance(value, dict)
            else value[int(name)]
            if name.isdigit()
            else getattr(value, name)
        )
    return list(value) if isinstance(value, tuple) else value
