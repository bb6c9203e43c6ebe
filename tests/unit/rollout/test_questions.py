"""What counts as an answer, of a chat and of a model that makes vectors."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.engines.registry import BUILT
from hostler.rollout import verify
from hostler.rollout.questions import question, still_thinks

CHAT = question("m", "Where?", "Paris", BUILT["llama.cpp"].capabilities)
VECTOR = question("m", "Where?", "", BUILT["embeddings"].capabilities)


def test_the_engine_decides_what_is_asked() -> None:
    assert (CHAT.path, VECTOR.path) == ("/v1/chat/completions", "/v1/embeddings")
    assert CHAT.body["messages"] == [{"role": "user", "content": "Where?"}]
    assert VECTOR.body == {"model": "m", "input": "Where?"}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": " In paris. "}, "In paris."),
        ({"reasoning_content": "Paris it is", "content": ""}, "Paris it is"),
        ({"reasoning": "Paris it is", "content": None}, "Paris it is"),
        ({"content": None}, ""),
    ],
)
def test_a_chat(message: Any, said: str) -> None:
    assert CHAT.said(json.dumps({"choices": [{"message": message}]})) == said
    assert CHAT.agrees(said) is bool(said)


@pytest.mark.parametrize(
    ("message", "finish", "thinks"),
    [
        ({"reasoning": "Well, the", "content": None}, "length", True),
        ({"content": "<think>Well, the"}, "length", True),
        ({"reasoning": "Well, the", "content": None}, "stop", False),
        ({"reasoning": "Well.", "content": "Lyon"}, "length", False),
        ({"content": "Lyon"}, "length", False),
    ],
)
def test_one_that_has_not_come_to_its_answer(message: Any, finish: str, thinks: bool) -> None:
    assert still_thinks(json.dumps({"choices": [{"message": message, "finish_reason": finish}]})) is thinks


def test_a_base_model_completes() -> None:
    refusal = "default chat template is no longer allowed, so you must provide a chat template"
    assert CHAT.is_of_a_base_model(400, refusal)
    assert not CHAT.is_of_a_base_model(400, "no such model")
    assert not CHAT.plain().is_of_a_base_model(400, refusal)
    assert (CHAT.plain().path, CHAT.plain().body["prompt"]) == ("/v1/completions", "Where?")
    assert "messages" not in CHAT.plain().body
    assert CHAT.plain().said('{"choices": [{"text": " In Paris."}]}') == "In Paris."


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ([0.5, -0.25, 1], "a vector of 3 numbers"),
        ([0.5, 0.5, 0.5], ""),
        ([0.5, None], ""),
        ([], ""),
        ("abc", ""),
        (None, ""),
    ],
)
def test_a_vector(vector: Any, said: str) -> None:
    assert VECTOR.said(json.dumps({"data": [{"embedding": vector}]})) == said


@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", "{}", '{"data": [null]}', '{"data": [], "choices": []}']
)
def test_no_answer(body: str) -> None:
    assert CHAT.said(body) == VECTOR.said(body) == ""


@pytest.mark.parametrize(
    ("replies", "path"),
    [
        ([(200, {"message": {"content": "Paris"}})], "/v1/chat/completions"),
        ([(400, "no chat template"), (200, {"text": "Paris"})], "/v1/completions"),
        (
            [(200, {"message": {"reasoning": "Hm", "content": None}, "finish_reason": "length"})],
            "/v1/chat/completions",
        ),
    ],
    ids=["a chat", "a base model", "one that thinks long"],
)
def test_it_is_asked_as_it_can_answer(replies: list[tuple[int, Any]], path: str) -> None:
    asked: list[str] = []

    def call(*_: Any, path: str, **__: Any) -> dict[str, Any]:
        status, choice = replies[len(asked)]
        asked.append(path)
        return {"status": status, "body": json.dumps({"choices": [choice]} if status == 200 else choice)}

    run: Any = SimpleNamespace(call=call, gateway=SimpleNamespace(name="gpu-1"), out=Out())
    model = SimpleNamespace(smoke=SimpleNamespace(prompt="Where?", expect="Paris"))
    runs = SimpleNamespace(runs=SimpleNamespace(engine="vllm"))
    draft: Any = SimpleNamespace(
        observation=SimpleNamespace(file=SimpleNamespace(stack=SimpleNamespace(models={"m": model}))),
        plan=SimpleNamespace(
            release=SimpleNamespace(models={"m": runs}),
            placement=SimpleNamespace(
                replicas=[SimpleNamespace(id="m-0", model="m", members=[SimpleNamespace(host="gpu-1")])]
            ),
            manifests={"gpu-1": SimpleNamespace(files=())},
        ),
    )
    run.transports = {"gpu-1": None}
    assert verify.smoke(draft, run, ["m"])[0].text in ("Paris", "Hm")
    assert asked[-1] == path
