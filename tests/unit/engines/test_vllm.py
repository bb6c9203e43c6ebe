from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.engines.base import Seat, Wish, driver_need
from hostler.engines.families import FAMILIES, family_of
from hostler.engines.vllm import CACHE, Vllm, asked_part, without
from hostler.errors import StackFileError

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "engines" / "vllm.yaml").read_text()
)
IMAGE = "docker.io/vllm/vllm-openai"


@pytest.mark.parametrize("case", [c for c in CASES if "line" in c], ids=lambda case: case["id"])
def test_command_line(case: dict[str, Any]) -> None:
    wish = Wish(**{**case["wish"], "args": tuple(case["wish"].get("args", ()))})
    line = Vllm().command(Vllm().words(wish), Seat(**case["seat"]))
    assert shlex.join(line) == case["line"]


@pytest.mark.parametrize("case", [c for c in CASES if "instead" in c], ids=lambda case: case["id"])
def test_reserved_words_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(StackFileError) as error:
        Vllm().words(Wish(name="chat", context=8192, args=tuple(case["args"]), where="s.yaml:3:5"))
    assert error.value.problems[0].where == "s.yaml:3:5"
    assert case["instead"] in error.value.problems[0].next_step


def test_a_cache_of_the_other_engine() -> None:
    with pytest.raises(StackFileError, match="q8_0") as error:
        Vllm().words(Wish(name="chat", context=8192, cache="q8_0"))
    assert "--kv-cache-dtype fp8" in error.value.problems[0].next_step


@pytest.mark.parametrize(
    ("source", "kind", "tools", "reasoning"),
    [
        ("hf:meta-llama/Meta-Llama-3-8B-Instruct", "llama", "", ""),
        ("hf:hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "llama", "llama3_json", ""),
        ("hf:mistralai/Mistral-7B-Instruct-v0.3", "mistral", "mistral", ""),
        ("hf:Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", "qwen2", "hermes", ""),
        ("hf:Qwen/Qwen3-8B", "qwen3", "hermes", "qwen3"),
        ("hf:Qwen/Qwen3-4B-Instruct-2507", "qwen3", "hermes", ""),
        ("hf:Qwen/Qwen3-Coder-30B-A3B-Instruct-FP8", "qwen3_moe", "qwen3_coder", ""),
        ("hf:deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "llama", "", "deepseek_r1"),
        ("hf:openai/gpt-oss-20b", "gpt_oss", "openai", "openai_gptoss"),
        ("hf:zai-org/GLM-4.7-Flash", "glm4_moe", "glm47", "glm47"),
        ("hf:google/gemma-4-12b-it", "gemma4", "gemma4", "gemma4"),
        ("hf:HuggingFaceTB/SmolLM2-135M-Instruct", "llama", "", ""),
        ("hf:me/my-llama-3.1-finetune", "qwen2", "", ""),
    ],
)
def test_families(source: str, kind: str, tools: str, reasoning: str) -> None:
    found = family_of(source, kind)
    assert (found.tools if found else "", found.reasoning if found else "") == (tools, reasoning)


def test_every_family_does_something() -> None:
    assert all(family.tools or family.reasoning for family in FAMILIES)


def test_container() -> None:
    one = Vllm().body(Seat(model_path="/m/a", port=1, cards=1))
    assert (one.shm_mib, one.writable, dict(one.env)["HOME"]) == (1024, (CACHE,), CACHE)
    assert "NCCL_P2P_LEVEL" not in dict(one.env)
    apart = Vllm().body(Seat(model_path="/m/a", port=1, cards=2))
    assert (apart.shm_mib, dict(apart.env)["NCCL_P2P_LEVEL"]) == (8192, "NVL")
    assert "NCCL_P2P_LEVEL" not in dict(Vllm().body(Seat(model_path="/m", port=1, cards=2, bridged=True)).env)


@pytest.mark.parametrize(
    ("args", "part", "rest"),
    [
        ((), None, ()),
        (("--seed", "1"), None, ("--seed", "1")),
        (("--gpu-memory-utilization", "0.5", "--seed", "1"), 0.5, ("--seed", "1")),
        (("--seed", "1", "--gpu-memory-utilization=.25"), 0.25, ("--seed", "1")),
    ],
)
def test_part_of_a_card(args: tuple[str, ...], part: float | None, rest: tuple[str, ...]) -> None:
    assert asked_part(args) == part
    assert without(args, "--gpu-memory-utilization") == rest


@pytest.mark.parametrize(("tag", "least"), [("latest", (580, 65)), ("v0.32.0", (580, 65)), ("v0.6.3", None)])
def test_driver(tag: str, least: tuple[int, ...] | None) -> None:
    need = driver_need(Vllm(), IMAGE, tag, "NVIDIA GeForce RTX 3090")
    assert (need.least if need else None) == least
