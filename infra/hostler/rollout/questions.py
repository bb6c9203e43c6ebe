"""What a changed model is asked through the gateway, and whether what came is an answer: a chat's text, or a
vector where its engine makes those. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

NO_TEMPLATE = ("chat template", "chat_template")  # in the refusal of a base model on vLLM
TOKENS = 256  # a model that thinks first needs some to come to its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`expect`: text that an answer must contain, empty: any."""

    kind: Literal["chat", "completion", "embeddings"]
    path: str
    body: Mapping[str, Any]
    expect: str = ""

    def said(self, reply: str) -> str:
        """What the body of an answer says, in words; empty: nothing that counts."""
        parsed = _parsed(reply)
        return _vector(parsed) if self.kind == "embeddings" else _text(parsed)

    def agrees(self, said: str) -> bool:
        return self.expect.lower() in said.lower()

    def plain(self) -> Question:
        """The same of a base model: it completes."""
        words = {key: value for key, value in self.body.items() if key != "messages"}
        body = {**words, "prompt": self.body["messages"][0]["content"]}
        return replace(self, kind="completion", path="/v1/completions", body=body)

    def is_of_a_base_model(self, status: object, reply: str) -> bool:
        """Whether a chat was refused since the model has no chat template."""
        return self.kind == "chat" and status == 400 and any(words in reply.lower() for words in NO_TEMPLATE)


def question(model: str, prompt: str, expect: str, capabilities: Collection[str]) -> Question:
    """For a model by what its engine can do."""
    if "chat" not in capabilities and "embeddings" in capabilities:
        return Question(kind="embeddings", path="/v1/embeddings", body={"model": model, "input": prompt})
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": TOKENS,
        "temperature": 0,
    }
    return Question(kind="chat", path="/v1/chat/completions", body=body, expect=expect)


def still_thinks(reply: str) -> bool:
    """Whether its tokens ended before its answer began."""
    choice = _choice(_parsed(reply))
    message: Mapping[str, Any] = choice.get("message") or {}
    content = str(message.get("content") or "").strip()
    open_ended = content.startswith("<think>") and "</think>" not in content
    return choice.get("finish_reason") == "length" and (open_ended or bool(_thought(message) and not content))


def _parsed(body: str) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except (ValueError, TypeError):
        return {}


def _choice(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    choices: list[Any] = reply.get("choices") or []
    return choices[0] if choices else {}


def _text(reply: Mapping[str, Any]) -> str:
    choice = _choice(reply)
    message: Mapping[str, Any] = choice.get("message") or {}
    return f"{_thought(message)} {message.get('content') or choice.get('text') or ''}".strip()


def _thought(message: Mapping[str, Any]) -> str:
    """It has two names."""
    return str(message.get("reasoning_content") or message.get("reasoning") or "")


def _vector(reply: Mapping[str, Any]) -> str:
    """Finite numbers, not all the same."""
    data: list[Any] = reply.get("data") or [None]
    first: dict[str, Any] = cast("dict[str, Any]", data[0]) if isinstance(data[0], dict) else {}
    vector = first.get("embedding")
    numbers = cast("list[object]", vector) if isinstance(vector, list) else []
    good = all(isinstance(one, (int, float)) and math.isfinite(one) for one in numbers)
    return f"a vector of {len(numbers)} numbers" if good and len(set(numbers)) > 1 else ""
