"""`Done` is only said of what was seen: the difference is empty, and each changed model answers through the gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hostler.configure.types import Change
from hostler.errors import ConfigureError, HostlerError, Problem
from hostler.rollout import planning
from hostler.rollout.observe import look
from hostler.rollout.planning import Draft
from hostler.rollout.session import Session

ASK_S = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said to its smoke prompt."""

    model: str
    text: str
    replica: str


def differences(draft: Draft, run: Session) -> Draft:
    """Looks again; raises ConfigureError when anything is not as the manifest says."""
    run.out.live("verify: looking at the hosts again")
    observation = draft.observation
    hosts = tuple(host for host in observation.hosts if host.name in run.transports)
    seen = {**observation.seen, **look(hosts)}
    fresh = replace(observation, seen=seen, record=run.record, gone=(), preview=None)
    again = planning.draft(fresh, draft.record, draft.plan.release, draft.plan.placement)
    if again.plan.changes:
        raise ConfigureError(*(_still(change) for change in again.plan.changes))
    return replace(again, plan=replace(again.plan, changes=draft.plan.changes))


def _still(change: Change) -> Problem:
    return Problem(
        where=f"{change.host}: {change.item}",
        expected=change.then or "not there",
        got=change.now or "not there",
        next_step="run `hostler up` again; if it stays, `hostler logs` and `hostler doctor` say more",
    )


def smoke(draft: Draft, run: Session, models: Sequence[str]) -> tuple[Answer, ...]:
    """Each model's own question, through the gateway; raises ConfigureError with what came instead."""
    return tuple(_ask(draft, run, model) for model in models)


def _ask(draft: Draft, run: Session, model: str) -> Answer:
    run.out.live(f"verify: asking {model} through the gateway")
    wanted = draft.observation.file.stack.models[model].smoke
    body = {
        "model": model,
        "messages": [{"role": "user", "content": wanted.prompt}],
        "max_tokens": 48,
        "temperature": 0,
    }
    try:
        answer = run.call(
            run.gateway.name,
            "ask",
            ASK_S,
            method="POST",
            path="/v1/chat/completions",
            body=body,
        )
    except HostlerError as error:
        raise _no_answer(model, wanted.prompt, str(error)) from error
    reply = _parsed(str(answer.get("body", "")))
    text = _text(reply)
    if answer.get("status") != 200 or not text.strip():
        raise _no_answer(model, wanted.prompt, f"HTTP {answer.get('status')}: {answer.get('body')}")
    if wanted.expect and wanted.expect.lower() not in text.lower():
        raise _no_answer(model, f"{wanted.prompt} (an answer with {wanted.expect!r})", text)
    served = str(answer.get("headers", {}).get("x-hostler-replica", ""))
    return Answer(model=model, text=text.strip(), replica=served)


def _parsed(body: str) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except (ValueError, TypeError):
        return {}


def _text(reply: Mapping[str, Any]) -> str:
    choices: list[Any] = reply.get("choices") or []
    return str(choices[0]["message"].get("content") or "") if choices else ""


def _no_answer(model: str, expected: str, got: str) -> ConfigureError:
    return ConfigureError.of(
        f"model {model}, through the gateway",
        expected=f"an answer to: {expected}",
        got=got[:500],
        next_step=f"`hostler logs {model}` and `hostler logs gateway` show what they said",
    )


def sentence(answers: Sequence[Answer]) -> str:
    """What was proved, for people."""
    if not answers:
        return "every host is as the stack file says"
    return "; ".join(f"{a.model} answered {a.text[:60]!r}" for a in answers)
