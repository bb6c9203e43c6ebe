"""`hostler check` and the files of this machine that a stack file names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostler.cli import main
from hostler.errors import Exit
from hostler.rollout import here

FILE = """\
pools: {home: [gpu-1]}
models:
  chat: ./weights/chat.gguf
  code: {source: ./weights/code/, engine: vllm}
  there: /srv/models/there.gguf
gateway:
  tls: {cert: tls/llm.pem, key: ~/llm.key}
mirror:
  apt: https://apt.office.example
  toolkit_key: keys/toolkit.asc
"""
NAMED = {
    "gateway.tls.cert": "tls/llm.pem",
    "gateway.tls.key": "home/llm.key",
    "mirror.toolkit_key": "keys/toolkit.asc",
}
WEIGHTS = ("weights/chat.gguf", "weights/code/config.json")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With all that it names; another folder is the current one."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")
    for name in (*NAMED.values(), *WEIGHTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    path = tmp_path / "hostler.yaml"
    path.write_text(FILE)
    return path


def test_all_is_there(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["check", "-f", str(stack)]) == Exit.DONE
    said = capsys.readouterr()
    assert "good" in said.out
    assert not said.err


def test_every_file_that_is_missing_at_once_with_its_line(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMED.values():
        (stack.parent / name).unlink()
    assert main.run(["check", "-f", str(stack), "--json"]) == Exit.STACK_FILE
    said = capsys.readouterr()
    for place, name in NAMED.items():
        assert f" {place}: expected" in said.err
        assert f"{stack.parent / name}: no such file or directory" in said.err
    assert f"{stack}:7:" in said.err
    assert f"{stack}:10:" in said.err
    assert json.loads(said.out)


def test_a_folder_is_no_key(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stack.parent / "tls" / "llm.pem").unlink()
    (stack.parent / "tls" / "llm.pem").mkdir()
    assert main.run(["check", "-f", str(stack)]) == Exit.STACK_FILE
    assert "not a file" in capsys.readouterr().err


def test_what_may_not_be_read(
    stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = stack.parent / "home" / "llm.key"
    monkeypatch.setattr(here.os, "access", lambda path, _mode: path != key)
    assert main.run(["check", "-f", str(stack)]) == Exit.STACK_FILE
    said = capsys.readouterr().err
    assert f"{key}: permission denied" in said
    assert said.count("error:") == 1


def test_weights_that_are_not_here_may_be_on_the_hosts(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in WEIGHTS:
        (stack.parent / name).unlink()
    (stack.parent / "weights" / "code").rmdir()
    assert main.run(["check", "-f", str(stack)]) == Exit.DONE
    said = capsys.readouterr()
    assert "good" in said.out
    notes = [line for line in said.err.splitlines() if line.startswith("note: ")]
    assert [line.split()[1].rpartition(":")[0] for line in notes] == [f"{stack}:3", f"{stack}:4"]
    assert "./weights/chat.gguf is not on this machine" in notes[0]
