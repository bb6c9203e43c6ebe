"""The verb `fit`, without a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostler.cli import main
from hostler.errors import Exit
from unit.models import headers


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOSTLER_STACK", raising=False)
    data, size = headers.made("llama-3-70b")
    path = tmp_path / "llama.gguf"
    path.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def test_named_cards(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fit", str(model), "--card", "RTX 3090*2", "--card", "A100 80GB", "--json"]) == Exit.DONE
    report = json.loads(capsys.readouterr().out)
    assert {(row["kind"], row["cards"]) for row in report["works"]} == {("RTX 3090", 2), ("A100 80GB", 1)}
    assert report["fails"][0]["kind"] == "RTX 3090"


def test_a_path_from_here_and_no_stack_file(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fit", f"./{model.name}"]) == Exit.DONE
    shown = capsys.readouterr()
    assert "RTX 3090" in shown.out
    assert "no stack file: common cards instead" in shown.err


@pytest.mark.usefixtures("model")
def test_a_name_needs_a_stack_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fit", "chat"]) == Exit.STACK_FILE
    assert "next:" in capsys.readouterr().err


def test_a_card_that_is_not_known(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fit", str(model), "--card", "RTX 3091"]) == Exit.USAGE
    assert "RTX 3090" in capsys.readouterr().err


def test_a_pool_is_one_of_a_stack_file(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fit", str(model), "--pool", "rack"]) == Exit.STACK_FILE
    assert "stack file" in capsys.readouterr().err


@pytest.mark.usefixtures("model")
def test_named_cards_are_in_no_pool(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fit", "llama.gguf", "--card", "A10G", "--pool", "nosuch"]) == Exit.USAGE
    assert "leave --pool out" in capsys.readouterr().err


@pytest.mark.usefixtures("model")
def test_a_file_that_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fit", "./nowhere.gguf", "--card", "A10G"]) == Exit.USAGE
    assert "on this machine, since no host is asked" in capsys.readouterr().err
