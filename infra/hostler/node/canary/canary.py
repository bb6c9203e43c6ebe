"""Whether a new replica may take the old one's place: what a release can break while its health check stays green.

Each check says what was expected and what came. Two kinds: what must be true of any replica (its cards, context,
version, one answer and one stream), and what must not be worse than it was: speed, repeats, tool calls and memory are
compared with the former replica, which was asked the same when it was drained and quiet. Where there is none, or it
could not do it either, that fails nothing; what nobody can tell (speed on a host that is far too busy, or whose other
replicas serve meanwhile) is said.

Speed and memory are compared only where the weights' file, the engine, its cards and slots are the same: who asks for
another model or another division knows that it has another speed. Other words for the engine are no excuse.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..base import files, wire
from ..base.protocol import as_dict
from ..base.spec import Spec, first_port, name_of, port
from ..doors import ports
from ..replica import version, wait
from . import chat, memory, neighbours, processors, repeats, smoke

QUESTIONS = (
    "Write a story about a lighthouse keeper, in at least two hundred words.",
    "Describe how bread is made, step by step and in full sentences.",
)
TOKENS = 64
LEAST = 32  # tokens of a load that says something about speed,
LEAST_S = 0.05  # and its seconds
SLOWEST = 0.8  # of the former replica's tokens a second
NO_WAIT = processors.Waited()
TRIES = 3  # a busy host is slow now and then: the best counts
CROWD = 4.0  # processes for each processor: more, and it is slow all the time
UNCLEAR = "which says nothing"  # of a speed that was measured besides others
OLD_S = 30.0  # for the former replica's answers: one that hangs is not waited for
CALL_TOKENS = 128
CALL = "What is the weather in Paris? Use the tool."
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}

Measures = Dict[
    str, Any
]  # speed, repeats, chat, tools, memory: as they are kept in the journal; None is unknown


class Load(NamedTuple):
    """A small load: tokens a second of all answers together, and how repetitive the worst of them is. What others took of
    the processors is not in its seconds: `speed` has the least that they took, `most` all that they may have. `others`:
    their share of all processors, 0 to 1."""

    speed: Optional[float]
    repeats: Optional[float]
    chat: bool = True  # False: a base model, which has no chat template
    most: Optional[float] = None
    others: float = 0.0

    @property
    def could(self) -> float:
        """The speed that nobody can say it does not have."""
        return max(self.speed or 0.0, self.most or 0.0)


def proven(spec: Spec, old: Optional[Spec] = None, before: Optional[Measures] = None) -> str:
    """All of it, the quick first; raises FailedError. What could not be proven, or empty. `old`: what ran before, and
    `before` what it was measured to do."""
    was = before or {}
    wait.ready(spec)
    unknown = [wait.has_cards(spec), version.proven(spec)]
    wait.context(spec)
    unknown.append(smoke.smoke(spec))
    _template(spec, was, is_like(old, spec))
    unknown.append(tools(spec, was.get("tools"), old))
    unknown.append(_compared(spec, was, old))
    unknown.append(memory.within(spec, was.get("memory") if _planned_alike(old, spec) else None))
    return "; ".join(filter(None, unknown))


def measured(spec: Optional[Spec]) -> Measures:
    """What a former replica does, drained and quiet; what it does not answer in time is unknown."""
    if spec is None or not spec.get("model") or not spec.get("health") or not wait.healthy(spec["health"]):
        return {}
    found: Measures = {"memory": memory.held_mib(spec)}
    if not smoke.chats(spec):
        return found
    try:
        load = under_load(spec, OLD_S)
        found.update(speed=load.speed, repeats=load.repeats, chat=load.chat)
        found["tools"] = calls(spec, OLD_S) if has_tools(spec) else None
    except (wait.FailedError, OSError):
        pass  # it may be the reason for the exchange
    return found


def is_like(old: Optional[Spec], new: Spec) -> bool:
    """Whether both have one speed: the same file in the same engine, on the same cards, with as many slots."""
    if old is None:
        return False
    pairs = (
        (one.get("cards"), one.get("slots"), one["image"]["name"], version.model_path(one))
        for one in (old, new)
    )
    return len({json.dumps(pair) for pair in pairs}) == 1


def has_same_weights(old: Optional[Spec], new: Spec) -> bool:
    """Other weights may answer otherwise: what they do worse is said, and fails nothing."""
    return old is not None and version.model_path(old) == version.model_path(new)


def _planned_alike(old: Optional[Spec], new: Spec) -> bool:
    return old is not None and is_like(old, new) and old.get("memory_mib") == new.get("memory_mib")


# speed and repeats


def _compared(spec: Spec, was: Measures, old: Optional[Spec]) -> str:
    """The same small load that the former replica had; raises FailedError when it does markedly worse. What nobody can
    tell, or empty."""
    least = SLOWEST * float(was.get("speed") or 0) if is_like(old, spec) else 0.0
    if not smoke.chats(spec) or (not least and was.get("repeats") is None):
        return ""
    with neighbours.watched(spec) as serving:
        load = under_load(spec)
        why = repeats.flaw(load.repeats, was.get("repeats"))
        if why and has_same_weights(old, spec):
            raise wait.fail(spec, why)
        slow, excuse = _too_slow(spec, load, least)
    unclear = crowded() or neighbours.on_its_cards(spec) or "; ".join(serving) or excuse
    if slow and not unclear:
        raise wait.fail(spec, slow)
    return "; ".join(filter(None, (why, slow and "%s, %s: %s" % (slow, UNCLEAR, unclear))))


def _too_slow(spec: Spec, load: Load, least: float) -> Tuple[str, str]:
    """Why none of some tries was fast enough, and why that may be others' fault; empty: one was, or nobody can tell."""
    loads = [load]
    while load.speed is not None and load.speed < least and len(loads) < TRIES:
        load = under_load(spec)
        loads.append(load)
    best = max(loads, key=lambda one: one.speed or 0.0)
    if load.speed is None or best.speed is None or best.speed >= least:
        return "", ""
    said = "speed: expected %.1f tokens a second, %d%% of the former replica's; got %.1f, the best of %d"
    excused = [one.others for one in loads if one.could >= least]
    why = "others had %d%% of the processors meanwhile" % (100 * max(excused)) if excused else ""
    return said % (least, 100 * SLOWEST, best.speed, TRIES), why


def crowded() -> str:
    """Why nothing that is timed here says anything now; empty: it does."""
    words = files.read_text("/proc/loadavg").split()
    processors = os.cpu_count() or 1
    if not words or float(words[0]) <= CROWD * processors:
        return ""
    return "%s processes want this host's %d processors" % (words[0], processors)


def under_load(spec: Spec, limit_s: float = chat.ANSWER_S) -> Load:
    """All questions at once; raises FailedError when one of them is not answered."""
    answers: List[Any] = [None] * len(QUESTIONS)

    def one(place: int) -> None:
        try:
            answers[place] = chat.whole(spec, chat.body(spec, QUESTIONS[place], TOKENS), limit_s)
        except wait.FailedError as error:
            answers[place] = error

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(len(QUESTIONS))]
    before = processors.seen(name_of(spec))
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begun
    waited = processors.waited(before, processors.seen(name_of(spec)), seconds)
    return load_of(answers, seconds, waited, 0.0 if spec.get("cards") else 1.0)


def load_of(
    answers: List[Any], seconds: float, waited: processors.Waited = NO_WAIT, beside: float = 0.0
) -> Load:
    """What was answered in so many seconds, and what others had of the processors; raises the first failure. `beside`: how
    much slower it may be because others are busy (1: half as fast while they have all)."""
    for answer in answers:
        if not isinstance(answer, chat.Said):
            raise answer
    counts = [answer.tokens or 0 for answer in answers]
    found = [repeats.times(answer.text, answer.tokens) for answer in answers]
    known = [one for one in found if one is not None]
    chats = all(answer.chat for answer in answers)
    if sum(counts) < LEAST or seconds < LEAST_S:
        return Load(None, max(known, default=None), chats)
    speed = sum(counts) / (seconds - waited.least)
    most = sum(counts) / (seconds - waited.most) * (1.0 + beside * waited.share)
    return Load(round(speed, 2), max(known, default=None), chats, round(most, 2), round(waited.share, 2))


# chats and tool calls


def _template(spec: Spec, was: Measures, alike: bool) -> None:
    """Raises FailedError where the former replica answered chats with the same weights, and this one refuses them."""
    if alike and was.get("chat") and not chat.has_template(spec):
        raise wait.fail(spec, "chat: expected an answer, as by the former replica; it has no chat template")


def has_tools(spec: Spec) -> bool:
    """vLLM has a parser by its words; llama-server tells what the model's template can."""
    if any(word.partition("=")[0] == "--tool-call-parser" for word in spec["argv"]):
        return True
    props = wire.get(port(spec), "/props")
    told = as_dict(props.json()) if props is not None and props.status == 200 else {}
    able = as_dict(told.get("chat_template_caps"))
    if able:
        return bool(able.get("supports_tools") and able.get("supports_tool_calls"))
    return "tools" in str(told.get("chat_template") or "")


def tools(spec: Spec, could: Optional[bool], old: Optional[Spec] = None) -> str:
    """A function call where the model has tools, or had them in the same words; raises FailedError where the former
    replica made one with the same weights."""
    if not smoke.chats(spec):
        return ""
    lost = bool(could) and old is not None and is_like(old, spec) and _words(old) == _words(spec)
    if not (lost or has_tools(spec)) or calls(spec):
        return ""
    if not could:
        return "it made no tool call, though its template has tools"
    why = "tools: expected a call of get_weather, as by the former replica; got none"
    if has_same_weights(old, spec):
        raise wait.fail(spec, why)
    return why


def _words(spec: Spec) -> List[str]:
    """Beside each other they are on two ports, which says nothing."""
    words: List[str] = (ports.at(spec, first_port(spec)) or spec)["argv"]
    return words


def calls(spec: Spec, limit_s: float = chat.ANSWER_S) -> bool:
    """Whether it calls the one function there is. A refusal is no call."""
    asked = chat.body(spec, CALL, CALL_TOKENS, tools=[TOOL], tool_choice="required")
    try:
        return is_call(chat.whole(spec, asked, limit_s))
    except wait.FailedError:
        return False


def is_call(answer: chat.Said) -> bool:
    found: List[Any] = answer.message.get("tool_calls") or [None]
    function = as_dict(as_dict(found[0]).get("function"))
    try:
        arguments = json.loads(str(function.get("arguments")))
    except ValueError:
        return False
    return function.get("name") == "get_weather" and isinstance(arguments, dict)
