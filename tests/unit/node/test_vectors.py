"""Vectors that say nothing are no answer."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.canary import smoke
from hostler.node.canary.vectors import flaw
from hostler.node.docker import docker
from hostler.node.replica import wait
from worlds.ports import free_port

from .servers import Handler, Server, serving

GOOD, OTHER = [0.1, -0.2, 0.3], [0.3, 0.1, -0.2]
FLAWS: list[tuple[list[Any], str]] = [
    ([GOOD, OTHER], ""),
    ([GOOD], "two texts have 1 vectors"),
    ([GOOD, GOOD], "two texts have one vector"),
    ([GOOD, [0.1, 0.2]], "has 2 numbers, the model's have 3"),
    ([[0.0, 0.0, 0.0], OTHER], "the same number all over"),
    ([[0.1, None, 0.3], OTHER], "not a number"),
    ([[], OTHER], "is empty"),
]


@pytest.mark.parametrize(("vectors", "why"), FLAWS)
def test_flaws(vectors: list[Any], why: str) -> None:
    found = flaw({"data": [{"embedding": vector} for vector in vectors]}, 3)
    assert why in found
    assert bool(found) is bool(why)


@pytest.mark.parametrize("answer", [None, [], {}, {"data": None}, "x"])
def test_what_is_no_answer_at_all(answer: Any) -> None:
    assert flaw(answer, None) == "two texts have 0 vectors"


@pytest.mark.parametrize(("vectors", "why"), FLAWS)
def test_the_smoke_of_an_engine_for_embeddings(
    vectors: list[Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two texts are asked for, and the length is what the engine says of its model."""
    asked: list[tuple[str, Any]] = []

    class Engine(Handler):
        def answer(self) -> None:
            asked.append((self.path, self.body()))
            told = {"data": [{"id": "embed", "meta": {"n_embd": 3}}]}
            self.say(
                200, told if self.path == "/v1/models" else {"data": [{"embedding": v} for v in vectors]}
            )

    monkeypatch.setattr(docker, "logs", lambda _name: [])
    server = serving(Server(("127.0.0.1", port := free_port()), Engine))
    spec = {
        "id": "embed-0",
        "model": "embed",
        "port": port,
        "argv": ["--embeddings"],
        "smoke": ["Where?", ""],
    }
    try:
        if why:
            with pytest.raises(wait.FailedError, match=why):
                smoke.smoke(spec)
        else:
            smoke.smoke(spec)
    finally:
        server.shutdown()
        server.server_close()
    body = next(body for path, body in asked if path == "/v1/embeddings")
    assert body["input"][0] == "Where?"
    assert len(set(body["input"])) == 2
