"""What Docker says of processes, in all the ways that it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.docker import docker


class Said:
    """An answer of the Engine API."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body

    def json(self) -> Any:
        return self.body


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        pytest.param(
            200,
            {"Titles": ["UID", "PID", "CMD"], "Processes": [["root", "7", "x"], ["root", "8", "y"]]},
            [7, 8],
        ),
        pytest.param(200, {"Titles": ["UID", "PID", "CMD"], "Processes": None}, [], id="ended-meanwhile"),
        pytest.param(200, {"Titles": None, "Processes": None}, [], id="nothing-at-all"),
        pytest.param(409, {"message": "is not running"}, [], id="does-not-run"),
    ],
)
def test_processes(monkeypatch: pytest.MonkeyPatch, status: int, body: Any, found: list[int]) -> None:
    def call(*_: Any, **__: Any) -> Said:
        return Said(status, body)

    monkeypatch.setattr(docker, "call", call)
    assert docker.processes("hostler-chat-0") == found
