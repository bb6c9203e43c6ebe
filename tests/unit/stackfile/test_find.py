"""Which stack file is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.errors import StackFileError
from hostler.stackfile.load import find


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOSTLER_STACK", raising=False)
    return tmp_path


def _make(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("")


@pytest.mark.parametrize("word", ["lab", "lab.yaml", "stacks/lab.yaml", "./stacks/lab.yaml"])
def test_named(word: str) -> None:
    _make("stacks/lab.yaml", "hostler.yaml")
    assert find(word) == Path(word if "/" in word else "stacks/lab.yaml")


def test_a_file_here_is_nearer_than_a_name() -> None:
    _make("lab", "stacks/lab.yaml", "stacks/other.yml")
    assert find("lab") == Path("lab")
    assert find("other") == Path("stacks/other.yml")


def test_a_folder_of_that_name_is_no_file() -> None:
    _make("stacks/lab.yaml", "lab/x")
    assert find("lab") == Path("stacks/lab.yaml")


def test_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    _make("stacks/only.yaml")
    assert find(None) == Path("stacks/only.yaml")
    _make("hostler.yaml")
    assert find(None) == Path("hostler.yaml")
    monkeypatch.setenv("HOSTLER_STACK", "only")
    assert find(None) == Path("stacks/only.yaml")


def test_none() -> None:
    with pytest.raises(StackFileError) as raised:
        find(None)
    assert "hostler init" in raised.value.problems[0].next_step


def test_several() -> None:
    _make("stacks/a.yaml", "stacks/b.yaml", "stacks/notes.txt", "stacks/.hidden.yaml")
    with pytest.raises(StackFileError) as raised:
        find(None)
    assert raised.value.problems[0].got == "a.yaml, b.yaml"
    assert "-f a" in raised.value.problems[0].next_step


def test_wrong_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _make("stacks/office.yaml", "stacks/lab.yaml")
    with pytest.raises(StackFileError) as raised:
        find("ofice")
    assert raised.value.problems[0].next_step == "perhaps -f office"
    monkeypatch.setenv("HOSTLER_STACK", "zzz")
    with pytest.raises(StackFileError) as raised:
        find(None)
    assert raised.value.problems[0].where == "HOSTLER_STACK"
    assert "lab, office" in raised.value.problems[0].next_step
