"""A whole host below a directory, and commands of the agent on it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostler.node.__main__ import find
from hostler.node.base import files
from hostler.node.base.protocol import Answers

from .fixtures import heard, host, quick, short_root

__all__ = ["heard", "host", "quick", "short_root"]

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands in place of / for the agent."""
    monkeypatch.setattr(files, "root", str(tmp_path))
    return tmp_path


@pytest.fixture
def call(root: Path) -> Call:
    """Run an op in this process: its last line."""

    def run(op: str, **request: Any) -> dict[str, Any]:
        out = io.BytesIO()
        find(op)({**request, "op": op}, Answers(out))
        return json.loads(out.getvalue().splitlines()[-1])

    return run
