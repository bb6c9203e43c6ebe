"""Chats with an engine on loopback: whole answers and streams, with their tokens, why they ended, and when they came. A
base model, whose engine has no chat template for it, completes the questions."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from ..base import wire
from ..base.protocol import as_dict
from ..base.spec import Spec, port
from ..replica import wait

PATH = "/v1/chat/completions"
PLAIN = "/v1/completions"  # of a base model, which has no chat template
NO_TEMPLATE = ("chat template", "chat_template")  # in vLLM's refusal of a chat then
ANSWER_S = 180.0
ENDS = ("stop", "length")  # of an answer without tools
MANY = 8  # tokens that come in more than one piece
LATE = 0.95  # of a stream's time without a word: it was kept back to its end
LONG_S = 2.0  # of a stream that can be judged so


class NoTemplateError(wait.FailedError):
    """A base model: it refuses chats."""


class Said(NamedTuple):
    """A whole answer. `tokens` None: the engine does not count them; `chat` False: it is a base model's completion."""

    text: str
    tokens: Optional[int]
    finish: str
    message: Dict[str, Any]
    chat: bool = True

    @property
    def still_thinks(self) -> bool:
        """Its tokens ended before its answer began."""
        content = str(self.message.get("content") or "").strip()
        open_ended = content.startswith("<think>") and "</think>" not in content
        return self.finish == "length" and (open_ended or bool(_thought(self.message) and not content))


class Stream(NamedTuple):
    """What came of a stream: its pieces of text, and after how many seconds the first one and the end."""

    pieces: List[str]
    tokens: Optional[int]
    finish: str
    done: bool
    first_s: float
    total_s: float

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def body(spec: Spec, prompt: str, tokens: int, **more: Any) -> Dict[str, Any]:
    """A deterministic question."""
    messages = [{"role": "user", "content": prompt}]
    asked = {"model": spec["model"], "messages": messages, "max_tokens": tokens, "temperature": 0}
    return {**asked, "stream": False, **more}


def post(spec: Spec, asked: Dict[str, Any], path: str = PATH, limit_s: float = ANSWER_S) -> wire.Answer:
    """The answer to a question; raises FailedError for anything but 200."""
    try:
        answer = wire.ask(port(spec), "POST", path, asked, timeout=limit_s)
    except OSError as error:
        raise wait.fail(spec, "smoke: %s: %s" % (path, error)) from error
    if answer.status != 200:
        raise _refused(spec, path, answer.status, answer.body)
    return answer


def whole(spec: Spec, asked: Dict[str, Any], limit_s: float = ANSWER_S) -> Said:
    """A base model completes the question instead; it has no tools."""
    try:
        return said(post(spec, asked, limit_s=limit_s).json())
    except NoTemplateError:
        if "tools" in asked:
            raise
        return said(post(spec, plain(asked), PLAIN, limit_s).json())._replace(chat=False)


def has_template(spec: Spec) -> bool:
    try:
        post(spec, body(spec, "Hello.", 1))
    except NoTemplateError:
        return False
    return True


def plain(asked: Dict[str, Any]) -> Dict[str, Any]:
    """A chat's question as one for a base model."""
    words = {key: value for key, value in asked.items() if key != "messages"}
    return {**words, "prompt": asked["messages"][0]["content"]}


def stream(spec: Spec, asked: Dict[str, Any]) -> Stream:
    """The same as it comes; raises FailedError."""
    asked = {**asked, "stream": True, "stream_options": {"include_usage": True}}
    try:
        return _streamed(spec, asked, PATH)
    except NoTemplateError:
        return _streamed(spec, plain(asked), PLAIN)


def _streamed(spec: Spec, asked: Dict[str, Any], path: str) -> Stream:
    try:
        with wire.opened(port(spec), "POST", path, asked, timeout=ANSWER_S) as response:
            if response.status != 200:
                raise _refused(spec, path, response.status, response.read())
            return streamed(response)
    except OSError as error:
        raise wait.fail(spec, "smoke: the stream: %s" % error) from error


def _refused(spec: Spec, path: str, status: int, content: bytes) -> wait.FailedError:
    said_text = content[:300].decode("utf-8", "replace")
    error = wait.fail(spec, "smoke: %s: status %d: %s" % (path, status, said_text))
    if path == PATH and status == 400 and any(words in said_text.lower() for words in NO_TEMPLATE):
        return NoTemplateError(error.message, error.log)
    return error


def said(answer: Any) -> Said:
    choice = _choice(answer)
    message = as_dict(choice.get("message"))
    text = _words(message) or str(choice.get("text") or "")
    return Said(text, _tokens(answer), str(choice.get("finish_reason") or ""), message)


def streamed(lines: Iterable[bytes]) -> Stream:
    """Reads server-sent events to [DONE] or to the end; an error among them ends it."""
    begun = time.monotonic()
    pieces: List[str] = []
    tokens, finish, done, first = None, "", False, 0.0
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            done = True
            break
        event = _parsed(data)
        if "error" in event:
            break
        tokens = tokens if _tokens(event) is None else _tokens(event)
        choice = _choice(event)
        finish = str(choice.get("finish_reason") or finish)
        words = _words(as_dict(choice.get("delta"))) or str(choice.get("text") or "")
        if words:
            first = first or time.monotonic() - begun
            pieces.append(words)
    return Stream(pieces, tokens, finish, done, first, time.monotonic() - begun)


def flaw(answer: Said, expected: str = "") -> str:
    """What is wrong with a whole answer; empty: nothing."""
    if not answer.text.strip():
        return "the answer is empty"
    if answer.tokens is not None and answer.tokens <= 0:
        return "the answer has %d tokens by its own count" % answer.tokens
    if answer.finish not in ENDS:
        return "the answer's finish_reason: expected %s; got %r" % (" or ".join(ENDS), answer.finish)
    if expected and expected.casefold() not in answer.text.casefold():
        return "expected %r in the answer; got %r" % (expected, answer.text[:200])
    return ""


def flaw_of_stream(got: Stream) -> str:
    """What is wrong with a stream; empty: nothing."""
    if not got.done:
        return "the stream broke off: expected [DONE] in the end; got %r" % got.text[-100:]
    if not got.text.strip():
        return "the stream is empty"
    if got.finish not in ENDS:
        return "the stream's finish_reason: expected %s; got %r" % (" or ".join(ENDS), got.finish)
    count = len(got.text.split()) if got.tokens is None else got.tokens
    if count >= MANY and len(got.pieces) < 2:
        return "the stream: expected its %d tokens one after the other; got them in one piece" % count
    return ""


def kept_back(got: Stream) -> bool:
    """Whether many pieces came all at once, after a long silence."""
    return len(got.pieces) >= MANY and got.total_s >= LONG_S and got.first_s > LATE * got.total_s


def _choice(answer: Any) -> Dict[str, Any]:
    choices: List[Any] = as_dict(answer).get("choices") or [None]
    return as_dict(choices[0])


def _words(message: Dict[str, Any]) -> str:
    """What it says, its reasoning included."""
    return _thought(message) + str(message.get("content") or "")


def _thought(message: Dict[str, Any]) -> str:
    """It has two names."""
    return str(message.get("reasoning_content") or message.get("reasoning") or "")


def _tokens(answer: Any) -> Optional[int]:
    count = as_dict(as_dict(answer).get("usage")).get("completion_tokens")
    return count if isinstance(count, int) else None


def _parsed(data: bytes) -> Dict[str, Any]:
    try:
        return as_dict(json.loads(data))
    except ValueError:
        return {}
