"""`hostler idle` of a stack whose host does not answer: that nobody knows is said, never that it is not up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostler.cli.main import run

STACK = """
pools: {home: [{address: 127.0.0.9, port: 2, host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0JZ6aBb5hO7Y0V0m1nq0mYl0o1X0mI3yC3N0d1x2y3"}]}
models: {chat: {source: "hf:acme/tiny-GGUF:Q4_K_M", idle: 20m}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "lab.yaml"
    path.write_text(STACK)
    return str(path)


def test_a_dead_host(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["idle", "-f", file]) == 4
    said = capsys.readouterr()
    assert "not up" not in said.out + said.err
    assert "error: 127-0-0-9: expected an SSH server" in said.err
    assert "next: " in said.err


def test_as_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["idle", "-f", file, "--json"]) == 4
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "what is idle there is not known" in said.err
