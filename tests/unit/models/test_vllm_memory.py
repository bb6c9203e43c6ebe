"""What vLLM makes of cards, from config.json and the index of the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.models.safetensors import INDEX, Checkpoint, CheckpointError, read_checkpoint
from hostler.models.vllm_memory import cache_room, longest, refusal, request, token_bytes, tokens

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "models" / "vllm.yaml").read_text())
GIB = 2**30
RUNS = [pytest.param(case, run, id=f"{case['id']}-{run['cards']}") for case in CASES for run in case["runs"]]


def checkpoint(case: dict[str, Any]) -> Checkpoint:
    files = {
        "config.json": json.dumps(case["config"]).encode(),
        INDEX: json.dumps({"metadata": {"total_size": case["total_size"]}}).encode(),
    }
    return read_checkpoint(files.get, {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_checkpoint(case: dict[str, Any]) -> None:
    model = checkpoint(case)
    assert model.weights / GIB == pytest.approx(case["weights_gib"], rel=0.01)
    assert model.active / GIB == pytest.approx(case.get("active_gib", case["weights_gib"]), rel=0.05)
    assert token_bytes(model, 1) == case["token_kib"] * 1024
    assert model.quantization == case.get("quantization", "")


@pytest.mark.parametrize(("case", "run"), RUNS)
def test_run(case: dict[str, Any], run: dict[str, Any]) -> None:
    model, cards, memory = checkpoint(case), run["cards"], run["memory_mib"]
    why = refusal(model, cards, memory, compute=run.get("compute", ""))
    if "error" in run:
        assert run["error"] in why
        return
    assert not why
    least, most = run.get("tokens", (0, 10**9))
    assert least <= tokens(model, cards, memory) <= most
    if "refused" in run:
        assert request(model, cards, run["refused"]) > cache_room(model, cards, memory)
    if "longest" in run:
        assert longest(model, cards, memory) == run["longest"]
    if "token_kib" in run:
        assert token_bytes(model, cards) == run["token_kib"] * 1024


def test_one_file_without_an_index() -> None:
    config = json.dumps(CASES[0]["config"]).encode()
    sizes = {"model.safetensors": 5000, "other.bin": 7, "x/model.safetensors": 9}
    assert read_checkpoint({"config.json": config}.get, sizes).weights == 5000


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no config.json"),
        ({"config.json": b"<html>"}, "config.json is not JSON"),
        ({"config.json": b"[]"}, "config.json is not an object"),
        (
            {"config.json": b'{"num_attention_heads": 4}', INDEX: b'{"metadata": {"total_size": 9}}'},
            "num_hidden",
        ),
        ({"config.json": json.dumps(CASES[0]["config"]).encode()}, "no safetensors"),
    ],
)
def test_what_cannot_be_read_says_why(files: dict[str, bytes], reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        read_checkpoint(files.get, {})


def test_layers_by_their_kind() -> None:
    config = {**CASES[0]["config"], "sliding_window": 128, "num_hidden_layers": 2,
              "layer_types": ["sliding_attention", "full_attention"]}  # fmt: skip
    model = checkpoint({"config": config, "total_size": 1000})
    assert [layer.window for layer in model.attention] == [128, 0]
