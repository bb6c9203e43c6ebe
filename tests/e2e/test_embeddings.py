"""A chat and a real model for embeddings side by side: vectors through the gateway, and what is no vector goes back."""

from __future__ import annotations

import json

import pytest

from e2e.desk import LAB_STACK, Desk

pytestmark = pytest.mark.lab
VECTORS = """
  embed:
    source: "hf:hostler-lab/all-MiniLM-L6-v2-GGUF"
    engine: embeddings
    context: 512
    args: ["--threads", "1"]
"""
TEXTS = ("The cat sits on the mat.", "A kitten rests on a rug.", "The stock market fell today.")


def with_vectors() -> str:
    return LAB_STACK.replace("\nmirror:", f"{VECTORS}\nmirror:")


def cosines(desk: Desk) -> list[float]:
    """Of the first text with each of the others, by the openai client."""
    done = desk.python(
        "import json, os, openai\n"
        "client = openai.OpenAI(base_url=os.environ['ADDRESS'], api_key=os.environ['KEY'])\n"
        f"data = client.embeddings.create(model='embed', input={list(TEXTS)!r}).data\n"
        "first, *others = [one.embedding for one in data]\n"
        "assert len(first) == 384, len(first)\n"
        "print(json.dumps([sum(a * b for a, b in zip(first, other)) for other in others]))"
    )
    return json.loads(done.stdout)


def test_vectors_beside_a_chat(desk: Desk) -> None:
    desk.write(with_vectors())
    said = desk.up().err
    assert "embed answered 'a vector of 384 numbers'" in said
    near, far = cosines(desk)
    assert near > 0.5 > far
    assert "Paris" in desk.ask()
    row = next(row for row in desk("status", "--json").json["replicas"] if row["model"] == "embed")
    assert (row["state"], row["context"]) == ("ready", 512)
    assert desk.plan() == []

    desk.edit(
        '    context: 512\n    args: ["--threads", "1"]', '    context: 512\n    args: ["--pooling", "none"]'
    )
    failed = desk.up("--allow-downtime", code=7)
    assert "smoke: /v1/embeddings: status 400" in failed.err, "without pooling there is no vector of a text"
    assert cosines(desk) == pytest.approx([near, far], abs=1e-4), "the one from before serves again"
