"""`Done` is only said of what was seen: the difference is empty, and each changed model answers through the gateway."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hostler.configure import leftovers
from hostler.configure.types import Change
from hostler.console.status import is_routed
from hostler.engines.registry import by_name
from hostler.errors import ConfigureError, HostlerError, Problem
from hostler.hosts.probe import probe_one
from hostler.hosts.types import Absent, Observed, Unknown, Value
from hostler.models.types import Replica
from hostler.rollout import planning
from hostler.rollout.observe import look
from hostler.rollout.planning import Draft
from hostler.rollout.questions import Question, question, still_thinks
from hostler.rollout.session import Session

ASK_S = 240.0
ROUTED_S = 20.0  # the gateway checks each second, and waits a little after a failure
PAUSE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said to its smoke prompt."""

    model: str
    text: str
    replica: str


def differences(draft: Draft, run: Session) -> Draft:
    """Looks again; raises ConfigureError when anything is not as the manifest says. Weights and images that
    nothing needs any more may still be there: they wait until the release has answered."""
    run.out.live("verify: looking at the hosts again")
    observation = draft.observation
    hosts = tuple(host for host in observation.hosts if host.name in run.transports)
    seen = {**observation.seen, **look(hosts)}
    fresh = replace(observation, seen=seen, record=run.record, gone=(), preview=None)
    again = planning.draft(fresh, draft.record, draft.plan.release, draft.plan.placement)
    if wrong := [change for change in again.plan.changes if not leftovers.goes_last(change)]:
        raise ConfigureError(*map(_still, wrong))
    return replace(again, plan=replace(again.plan, changes=draft.plan.changes))


def _still(change: Change) -> Problem:
    return Problem(
        where=f"{change.host}: {change.item}",
        expected=change.then or "not there",
        got=change.now or "not there",
        next_step="run `hostler up` again; if it stays, `hostler logs` and `hostler doctor` say more",
    )


def smoke(draft: Draft, run: Session, models: Sequence[str]) -> tuple[Answer, ...]:
    """Each model's own question, through the gateway; raises ConfigureError with what came instead. Models that
    only stand on hosts that do not answer are not asked."""
    there = {r.model for r in draft.plan.placement.replicas if r.members[0].host in run.transports}
    return tuple(_ask(draft, run, model) for model in models if model in there)


def _ask(draft: Draft, run: Session, model: str) -> Answer:
    run.out.live(f"verify: asking {model} through the gateway")
    wanted = draft.observation.file.stack.models[model].smoke
    engine = by_name(draft.plan.release.models[model].runs.engine)
    asked = question(model, wanted.prompt, wanted.expect or "", engine.capabilities)
    try:
        answer = _answer(run, asked)
        if asked.is_of_a_base_model(answer.get("status"), str(answer.get("body", ""))):
            asked = asked.plain()
            answer = _answer(run, asked)
    except HostlerError as error:
        raise _no_answer(model, wanted.prompt, str(error)) from error
    reply = str(answer.get("body", ""))
    text = asked.said(reply)
    if answer.get("status") != 200 or not text:
        raise _no_answer(model, wanted.prompt, f"HTTP {answer.get('status')}: {answer.get('body')}")
    if not asked.agrees(text) and still_thinks(reply):
        run.out.live(f"verify: {model} still thought at the end of its tokens: {asked.expect!r} is unproven")
    elif not asked.agrees(text):
        raise _no_answer(model, f"{wanted.prompt} (an answer with {asked.expect!r})", text)
    served = str(answer.get("headers", {}).get("x-hostler-replica", ""))
    return Answer(model=model, text=text, replica=served)


def _answer(run: Session, asked: Question) -> Mapping[str, Any]:
    return run.call(run.gateway.name, "ask", ASK_S, method="POST", path=asked.path, body=dict(asked.body))


def routed(run: Session, replicas: Sequence[Replica], limit_s: float = ROUTED_S) -> None:
    """Waits until the gateway sends each of these replicas requests: that one model answers may be the other
    replica's merit. Those on hosts that do not answer are not asked for. Raises ConfigureError with its own word."""
    awaited = [replica for replica in replicas if replica.members[0].host in run.transports]
    if not awaited:
        return
    run.out.live(f"verify: the gateway routes to {', '.join(replica.id for replica in awaited)}")
    until = time.monotonic() + limit_s
    while left := _not_routed(run, awaited):
        if time.monotonic() >= until:
            raise ConfigureError(*(_closed(replica, said, limit_s) for replica, said in left))
        time.sleep(PAUSE_S)


def _not_routed(run: Session, replicas: Sequence[Replica]) -> list[tuple[Replica, str]]:
    """Replicas that get no requests, each with the gateway's word."""
    names = [f"route:{replica.id}" for replica in replicas]
    seen = probe_one(run.transports[run.gateway.name], names)
    if not seen.reached:
        return [(replica, seen.error) for replica in replicas]
    routes = [(replica, seen.observed[name]) for replica, name in zip(replicas, names, strict=True)]
    return [(replica, _word(route)) for replica, route in routes if not is_routed(route)]


def _word(route: Observed) -> str:
    match route:
        case Value(value=value):
            return f"{value['status']} ({value['check']})" if value.get("check") else str(value["status"])
        case Unknown(reason=reason):
            return reason
        case Absent():
            return "the gateway does not know it"


def _closed(replica: Replica, said: str, limit_s: float) -> Problem:
    return Problem(
        where=f"{replica.id} on {replica.members[0].host}",
        expected=f"a replica that the gateway sends requests within {limit_s:.0f} s",
        got=said,
        next_step=f"`hostler logs gateway` and `hostler logs {replica.id}` show why its checks fail",
    )


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
        return "every host that answers is as the stack file says"
    return "; ".join(f"{a.model} answered {a.text[:60]!r}" for a in answers)
