"""The stack's own question after a start: one answer and one stream, or two vectors."""

from __future__ import annotations

from typing import Any, List, Optional

from ..base import wire
from ..base.protocol import as_dict
from ..base.spec import Spec, port
from ..replica import wait
from . import chat, repeats, vectors

TOKENS = 32
THOUGHT = 256  # tokens until an expected text: some models think first
PROMPT = "Say hello."
POOLING = ("--embeddings", "--embedding", "--runner=pooling")


def chats(spec: Spec) -> bool:
    """Whether it is a model that answers chats."""
    return bool(spec.get("model") and port(spec)) and not makes_vectors(spec)


def makes_vectors(spec: Spec) -> bool:
    return any(word in spec["argv"] for word in POOLING)


def smoke(spec: Spec) -> str:
    """Deterministic, not empty, with the expected text, the stream piece by piece; raises FailedError. What could not be
    proven, or empty."""
    prompt, expected = [*(spec.get("smoke") or ()), "", ""][:2]
    if chats(spec):
        return _chat(spec, prompt or PROMPT, expected)
    if spec.get("model") and port(spec):
        _embed(spec, prompt or PROMPT)
    return ""


def _chat(spec: Spec, prompt: str, expected: str) -> str:
    answer = chat.whole(spec, chat.body(spec, prompt, THOUGHT if expected else TOKENS))
    got = chat.stream(spec, chat.body(spec, prompt, TOKENS))
    if chat.kept_back(got):
        got = chat.stream(spec, chat.body(spec, prompt, TOKENS))  # a busy host may have done it, once
    kept = "the stream: expected its pieces one after the other; got all of them after %.1f s" % got.first_s
    unproven = bool(expected and answer.still_thinks and chat.flaw(answer, expected))
    for why in (
        chat.flaw(answer, "" if unproven else expected),
        chat.flaw_of_stream(got),
        kept if chat.kept_back(got) else "",
        repeats.one_thing(answer.text, answer.tokens),
    ):
        if why:
            raise wait.fail(spec, "smoke: %s" % why)
    if unproven:
        return "whether it answers %r is unproven: it still thought after %d tokens" % (expected, THOUGHT)
    return "" if answer.chat else "it has no chat template: asked for completions"


def _embed(spec: Spec, prompt: str) -> None:
    body = {"model": spec["model"], "input": [prompt, vectors.OTHER]}
    flaw = vectors.flaw(chat.post(spec, body, "/v1/embeddings").json(), _length(spec))
    if flaw:
        raise wait.fail(spec, "smoke: %s" % flaw)


def _length(spec: Spec) -> Optional[int]:
    """Numbers of a vector, as llama-server tells it; None where an engine does not."""
    models = wire.get(port(spec), "/v1/models")
    known = as_dict(models.json()) if models is not None and models.status == 200 else {}
    data: List[Any] = known.get("data") or [None]
    length = as_dict(as_dict(data[0]).get("meta")).get("n_embd")
    return length if isinstance(length, int) else None
