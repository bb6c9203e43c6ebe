"""After a start: ready, its cards, the context that was asked for, an answer. Each failure says why, with the container's log."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, Optional

from . import container, docker, inside, instances, vectors, wire
from .protocol import NodeError, as_dict
from .spec import Spec, container_name, port

PAUSE = 0.25
SYSTEMD_EVERY = 20  # rounds
LIMIT_S = 600.0
STARTED_S = 30.0
ANSWER_S = 180.0
TOKENS = 32
THOUGHT = 256  # tokens until an expected text: some models think first
PROMPT = "Say hello."


class FailedError(NodeError):
    """The new container is not good; `log` are its last lines."""

    def __init__(self, why: str, log: List[str]) -> None:
        super().__init__("not-ready", why, "", rc=4, log=log)
        self.log = log


def proven(spec: Spec) -> str:
    """Ready, its cards, context as asked, answers the smoke prompt; raises FailedError. What could not be proven."""
    ready(spec)
    unknown = has_cards(spec)
    context(spec)
    smoke(spec)
    return unknown


def has_cards(spec: Spec) -> str:
    """Exactly its cards, by UUID; raises FailedError for one too few or too many. Why it is unknown, or empty."""
    found = inside.proof(spec)
    if found.wrong:
        raise fail(spec, found.wrong)
    return found.unknown


def fail(spec: Spec, why: str, log: Optional[List[str]] = None) -> "FailedError":
    return FailedError(why, docker.logs(container_name(spec["id"])) if log is None else log)


def ready(spec: Spec) -> None:
    """Health 200; raises FailedError at once when the container has ended, and at the specification's limit."""
    health: Optional[Dict[str, Any]] = spec.get("health")
    limit = float((health or {}).get("limit_s") or LIMIT_S)
    until = time.monotonic() + limit
    rounds = 0
    while True:
        _alive(spec, ask_systemd=rounds % SYSTEMD_EVERY == SYSTEMD_EVERY - 1)
        rounds += 1
        if health is None or healthy(health):
            return
        if time.monotonic() >= until:
            raise fail(spec, "not ready in %g s: %s" % (limit, said(health)))
        time.sleep(PAUSE)


def started(spec: Spec) -> bool:
    """Until its container runs, or cannot; not until it is ready. Whether it runs."""
    until = time.monotonic() + STARTED_S
    while not docker.running(docker.inspect(container_name(spec["id"]))):
        if container.died(spec["id"]) is not None or time.monotonic() >= until:
            return False
        time.sleep(PAUSE)
    return True


def _alive(spec: Spec, ask_systemd: bool) -> None:
    """Its `run` notes each end at once; without a `run` nothing would."""
    died = container.died(spec["id"])
    if died is not None and died.get("spec") == spec["spec"]:
        raise fail(spec, str(died["why"]), [str(line) for line in died["log"]])
    if ask_systemd and not instances.active(spec["id"]):
        raise fail(spec, "%s is not active" % instances.unit(spec["id"]))


def healthy(health: Dict[str, Any]) -> bool:
    answer = wire.get(place(health), health.get("path") or "/health")
    return answer is not None and answer.status == 200


def said(health: Dict[str, Any]) -> str:
    answer = wire.get(place(health), health.get("path") or "/health")
    if answer is None:
        return "nothing answers at %s" % place(health)
    return "%s says %d" % (health.get("path") or "/health", answer.status)


def place(health: Dict[str, Any]) -> wire.Where:
    return health.get("unix") or int(health["port"])


def context(spec: Spec) -> None:
    """The context a request really has is what was asked for; raises FailedError for less."""
    asked = int(spec.get("context") or 0)
    if not asked or not port(spec):
        return
    got = loaded_context(spec)
    if got is None:
        raise fail(spec, "context: expected %d tokens a request; the engine does not say" % asked)
    if got < asked:
        raise fail(spec, "context: expected %d tokens a request; got %d" % (asked, got))


def loaded_context(spec: Spec) -> Optional[int]:
    """Tokens a request may have, from llama.cpp's /props or vLLM's /v1/models."""
    props = wire.get(port(spec), "/props")
    if props is not None and props.status == 200 and isinstance(props.json(), dict):
        return of_props(props.json(), spec)
    models = wire.get(port(spec), "/v1/models")
    known = as_dict(models.json()) if models is not None and models.status == 200 else {}
    data: List[Any] = known.get("data") or [None]
    length = as_dict(data[0]).get("max_model_len")
    return length if isinstance(length, int) else None


def of_props(props: Dict[str, Any], spec: Spec) -> Optional[int]:
    """n_ctx of default_generation_settings is a slot's in current builds, and was the whole of all slots in old
    ones: it is the whole when it is as much as `-c` asked for though the slots do not share one cache."""
    value = as_dict(props.get("default_generation_settings")).get("n_ctx") or props.get("n_ctx")
    if not isinstance(value, int):
        return None
    slots = int(props.get("total_slots") or spec.get("slots") or 1)
    asked_in_all = _word(spec["argv"], "-c", "--ctx-size")
    shared = any(word in spec["argv"] for word in ("-kvu", "--kv-unified"))
    whole = slots > 1 and not shared and 0 < asked_in_all <= value
    return value // slots if whole else value


def _word(argv: List[str], *names: str) -> int:
    for i, word in enumerate(argv[:-1]):
        if word in names and argv[i + 1].isdigit():
            return int(argv[i + 1])
    return 0


def smoke(spec: Spec) -> None:
    """One answer and one stream on loopback, deterministic, not empty, with the expected text; raises FailedError."""
    if not spec.get("model") or not port(spec):
        return
    prompt, expected = [*(spec.get("smoke") or ()), "", ""][:2]
    if any(word in spec["argv"] for word in ("--embeddings", "--embedding", "--runner=pooling")):
        _embed(spec, prompt or PROMPT)
        return
    whole = text_of(_post(spec, _chat(spec, prompt, THOUGHT if expected else TOKENS)).json())
    _good(spec, "the answer", whole, expected)
    _good(spec, "the stream", streamed(_post(spec, _chat(spec, prompt, TOKENS, stream=True)).body), "")


def _chat(spec: Spec, prompt: str, tokens: int, stream: bool = False) -> Dict[str, Any]:
    message = {"role": "user", "content": prompt or PROMPT}
    return {
        "model": spec["model"],
        "messages": [message],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": stream,
    }


def _post(spec: Spec, body: Dict[str, Any], path: str = "/v1/chat/completions") -> wire.Answer:
    try:
        answer = wire.ask(port(spec), "POST", path, body, timeout=ANSWER_S)
    except OSError as error:
        raise fail(spec, "smoke: %s: %s" % (path, error)) from error
    if answer.status != 200:
        raise fail(
            spec,
            "smoke: %s: status %d: %s" % (path, answer.status, answer.body[:300].decode("utf-8", "replace")),
        )
    return answer


def _embed(spec: Spec, prompt: str) -> None:
    body = {"model": spec["model"], "input": [prompt, vectors.OTHER]}
    flaw = vectors.flaw(_post(spec, body, "/v1/embeddings").json(), _length(spec))
    if flaw:
        raise fail(spec, "smoke: %s" % flaw)


def _length(spec: Spec) -> Optional[int]:
    """Numbers of a vector, as llama-server tells it; None where an engine does not."""
    models = wire.get(port(spec), "/v1/models")
    known = as_dict(models.json()) if models is not None and models.status == 200 else {}
    data: List[Any] = known.get("data") or [None]
    length = as_dict(as_dict(data[0]).get("meta")).get("n_embd")
    return length if isinstance(length, int) else None


def text_of(answer: Any) -> str:
    """What a completion says, its reasoning included."""
    try:
        message = answer["choices"][0]["message"]
    except (KeyError, IndexError, TypeError):
        return ""
    return str(message.get("reasoning_content") or "") + str(message.get("content") or "")


def streamed(body: bytes) -> str:
    """What a stream of server-sent events says; empty when it did not end as it should, or carries an error."""
    parts: List[str] = []
    for line in body.decode("utf-8", "replace").splitlines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return "".join(parts)
        parts.append(_delta(data))
    return ""


def _delta(data: str) -> str:
    try:
        delta = json.loads(data)["choices"][0]["delta"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return str(delta.get("reasoning_content") or "") + str(delta.get("content") or "")


def _good(spec: Spec, what: str, said_text: str, expected: str) -> None:
    if not said_text.strip():
        raise fail(spec, "smoke: %s is empty" % what)
    if expected and expected.casefold() not in said_text.casefold():
        raise fail(spec, "smoke: expected %r in the answer; got %r" % (expected, said_text[:200]))
