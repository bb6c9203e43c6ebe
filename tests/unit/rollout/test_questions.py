"""What counts as an answer, of a chat and of a model that makes vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostler.engines.registry import BUILT
from hostler.rollout.questions import question

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
        ({"content": None}, ""),
    ],
)
def test_a_chat(message: Any, said: str) -> None:
    assert CHAT.said(json.dumps({"choices": [{"message": message}]})) == said
    assert CHAT.agrees(said) is bool(said)


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
