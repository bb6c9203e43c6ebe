from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.errors import StackFileError
from hostler.models.source import HubSource, OperatorSource, RepoFile, choose, format_of, parse

CASES = Path(__file__).parents[2] / "cases" / "models"


def load(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((CASES / f"{name}.yaml").read_text())


@pytest.mark.parametrize("case", load("source"), ids=lambda case: case["text"])
def test_parse(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/you")
    if "error" in case:
        with pytest.raises(StackFileError) as error:
            parse(case["text"], where="s.yaml:1:1 models.chat.source")
        assert case["error"] in str(error.value)
        assert error.value.problems[0].next_step
        assert case.get("never", "\0") not in str(error.value)
        return
    source = parse(case["text"], folder="/home/me/stacks")
    if isinstance(source, HubSource):
        assert [source.repo, source.quantization, source.revision] == case["is"]
        assert str(source) == case["text"]
    elif isinstance(source, OperatorSource):
        assert (str(source), source.path) == (case["text"], case["here"])
    else:
        assert (str(source), source.file) == (case["is"][0], case["file"])


@pytest.mark.parametrize("case", load("choose"), ids=lambda case: case["id"])
def test_choose(case: dict[str, Any]) -> None:
    source = HubSource("org/repo", case["want"])
    files = [RepoFile(name, 1) for name in case["files"]]
    if "takes" in case:
        takes = case["takes"]
        assert [file.name for file in choose(source, files)] == (
            takes if isinstance(takes, list) else [takes]
        )
        return
    with pytest.raises(StackFileError) as error:
        choose(source, files)
    assert case["error"] in str(error.value)
    assert case.get("next", "") in error.value.problems[0].next_step


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("hf:bartowski/X-GGUF", "gguf"),
        ("hf:org/x:Q4_0", "gguf"),
        ("/srv/m.gguf", "gguf"),
        ("hf:casperhansen/llama-3-70b-instruct-awq", "safetensors"),
        ("hf:meta-llama/Llama-3.1-8B-Instruct", "unknown"),
    ],
)
def test_format(text: str, kind: str) -> None:
    assert format_of(text) == kind
