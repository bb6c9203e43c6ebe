"""What a changed model is asked through the gateway, and whether what came is an answer: a chat's text, or a
vector where its engine makes those. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

TOKENS = 256  # a model that thinks first needs some to come to its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`expect`: text that an answer must contain, empty: any."""

    kind: Literal["chat", "embeddings"]
    path: str
    body: Mapping[str, Any]
    expect: str = ""

    def said(self, reply: str) -> str:
        """What the body of an answer says, in words; empty: nothing that counts."""
        parsed = _parsed(reply)
        return _text(parsed) if self.kind == "chat" else _vector(parsed)

    def agrees(self, said: str) -> bool:
        return self.expect.lower() in said.lower()


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


def _parsed(body: str) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except (ValueError, TypeError):
        return {}


def _text(reply: Mapping[str, Any]) -> str:
    choices: list[Any] = reply.get("choices") or []
    message: Mapping[str, Any] = choices[0]["message"] if choices else {}
    return " ".join(str(message.get(part) or "") for part in ("reasoning_content", "content")).strip()


def _vector(reply: Mapping[str, Any]) -> str:
    """Finite numbers, not all the same."""
    data: list[Any] = reply.get("data") or [None]
    first: dict[str, Any] = cast("dict[str, Any]", data[0]) if isinstance(data[0], dict) else {}
    vector = first.get("embedding")
    numbers = cast("list[object]", vector) if isinstance(vector, list) else []
    good = all(isinstance(one, (int, float)) and math.isfinite(one) for one in numbers)
    return f"a vector of {len(numbers)} numbers" if good and len(set(numbers)) > 1 else ""
