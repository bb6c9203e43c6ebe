from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from hostler.engines.base import Engine, Seat, Wish
from hostler.engines.llama_cpp import LlamaCpp
from hostler.engines.registry import BUILT, LATER, by_name, engine_for
from hostler.errors import StackFileError
from hostler.stackfile.sections import Model

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "engines" / "llama_cpp.yaml").read_text()
)


@pytest.mark.parametrize("case", [c for c in CASES if "line" in c], ids=lambda case: case["id"])
def test_command_line(case: dict[str, Any]) -> None:
    wish = Wish(**{**case["wish"], "args": tuple(case["wish"].get("args", ()))})
    engine = LlamaCpp()
    assert shlex.join(engine.command(engine.words(wish), Seat(**case["seat"]))) == case["line"]


@pytest.mark.parametrize("case", [c for c in CASES if "instead" in c], ids=lambda case: case["id"])
def test_reserved_words_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(StackFileError) as error:
        LlamaCpp().words(
            Wish(name="chat", context=8192, args=tuple(case["args"]), where="s.yaml:3:5 models.chat.args")
        )
    assert error.value.problems[0].where == "s.yaml:3:5 models.chat.args"
    assert case["instead"] in error.value.problems[0].next_step


def test_images() -> None:
    assert LlamaCpp().default_image(cards=True) == "ghcr.io/ggml-org/llama.cpp:server-cuda"
    assert LlamaCpp().default_image(cards=False) == "ghcr.io/ggml-org/llama.cpp:server"


def test_every_engine_of_the_stack_file_is_known() -> None:
    """The grammar's words and the registry's may not drift apart."""
    kinds = get_args(get_type_hints(Model)["engine"])
    words = {word for kind in kinds for word in get_args(kind)}
    assert words == set(BUILT) | set(LATER)


@pytest.mark.parametrize("name", sorted(LATER))
def test_later_engines_are_refused_by_name(name: str) -> None:
    with pytest.raises(StackFileError, match=f"{name}: not built yet"):
        by_name(name)


def test_engine_by_format() -> None:
    assert engine_for(None, "gguf").name == engine_for(None, "unknown").name == "llama.cpp"
    assert engine_for("llama.cpp", "gguf").name == "llama.cpp"
    assert engine_for(None, "safetensors").name == engine_for("vllm", "safetensors").name == "vllm"
    with pytest.raises(StackFileError, match=r"reads \(gguf\)"):
        engine_for("llama.cpp", "safetensors")


@pytest.mark.parametrize("engine", BUILT.values(), ids=lambda engine: engine.name)
def test_an_engine_is_whole(engine: Engine) -> None:
    """Drift: what a new engine lacks shows here."""
    assert engine.formats
    assert engine.health.startswith("/")
    assert engine.loaded.path.startswith("/")
    assert engine.signals.running
    assert engine.signals.waiting
    assert engine.signals.tokens
    assert {"chat", "stream"} <= engine.capabilities or "embeddings" in engine.capabilities
    cases = Path(__file__).parents[2] / "cases" / "engines" / f"{engine.name.replace('.', '_')}.yaml"
    assert cases.exists()
