from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.engines.base import Seat, Wish
from hostler.engines.embeddings import LlamaEmbeddings
from hostler.engines.registry import engine_for
from hostler.errors import StackFileError

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "engines" / "embeddings.yaml").read_text()
)


@pytest.mark.parametrize("case", [c for c in CASES if "line" in c], ids=lambda case: case["id"])
def test_command_line(case: dict[str, Any]) -> None:
    engine = LlamaEmbeddings()
    words = engine.words(Wish(**{**case["wish"], "args": tuple(case["wish"].get("args", ()))}))
    assert shlex.join(engine.command(words, Seat(**case["seat"]))) == case["line"]


@pytest.mark.parametrize("case", [c for c in CASES if "instead" in c], ids=lambda case: case["id"])
def test_reserved_words_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(StackFileError) as error:
        LlamaEmbeddings().words(Wish(name="embed", context=512, args=tuple(case["args"]), where="s.yaml:3:5"))
    assert error.value.problems[0].where == "s.yaml:3:5"
    assert case["instead"] in error.value.problems[0].next_step


def test_only_where_it_is_named() -> None:
    """A file of weights does not say that it is for embeddings before its header is read."""
    assert engine_for(None, "gguf").name == "llama.cpp"
    assert engine_for("embeddings", "gguf").capabilities == {"embeddings"}
    with pytest.raises(StackFileError, match=r"reads \(gguf\)"):
        engine_for("embeddings", "safetensors")
