"""`Done` is only said of what was seen: the difference is empty, and each changed model answers through the gateway."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hostler.configure import idling, leftovers
from hostler.configure.types import Change
from hostler.console.status import is_routed
from hostler.engines.registry import by_name
from hostler.errors import ConfigureError, HostlerError, Problem
from hostler.hosts.probe import probe_one
from hostler.hosts.types import Absent, Observed, Unknown, Value
from hostler.manifest.items import Part
from hostler.models.types import Replica
from hostler.rollout import planning
from hostler.rollout.address import address_of
from hostler.rollout.observe import look
from hostler.rollout.planning import Draft
from hostler.rollout.questions import Question, question, still_thinks
from hostler.rollout.session import Session
from hostler.stackfile.idling import has_page, rents

ASK_S = 240.0
WAKE_S = 3600.0  # the host has limits of its own
PROVE_S = 240.0  # as long as its packages may take to come, once
FETCH_S = 960.0  # the same of Pulumi, where it may rent
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
    there = [r for r in draft.plan.placement.replicas if r.members[0].host in run.transports]
    asked = [model for model in models if any(r.model == model for r in there)]
    for model in asked:
        _wake(draft, run, [r for r in there if r.model == model])
    return tuple(_ask(draft, run, model) for model in asked)


def _wake(draft: Draft, run: Session, replicas: Sequence[Replica]) -> None:
    """One of a model's, where all of them are asleep: none of those was changed, or it would be awake."""
    manifests = draft.plan.manifests
    if not all(idling.may_sleep(manifests[r.members[0].host], r.id) and _is_asleep(run, r) for r in replicas):
        return
    first = replicas[0]
    run.out.live(f"verify: {first.id} is asleep, and is woken for the question")
    run.call(first.members[0].host, "wake", WAKE_S, id=first.id)


def _is_asleep(run: Session, replica: Replica) -> bool:
    """By its own host's word, now."""
    name = f"replica:{replica.id}"
    found = probe_one(run.transports[replica.members[0].host], [name]).observed.get(name)
    return isinstance(found, Value) and idling.is_asleep(found.value)


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
    headers = answer.get("headers", {})
    if (by := str(headers.get("x-hostler-model", model))) != model:
        raise _no_answer(model, wanted.prompt, f"an answer of {by}, which stands in for it")
    served = str(headers.get("x-hostler-replica", ""))
    return Answer(model=model, text=text, replica=served)


def _answer(run: Session, asked: Question) -> Mapping[str, Any]:
    return run.call(run.gateway.name, "ask", ASK_S, method="POST", path=asked.path, body=dict(asked.body))


def controller(draft: Draft, run: Session) -> None:
    """That updates without anyone will work: the controller itself logs in to each host that answers us. Raises
    ConfigureError with those that it does not reach. Only where something of it changed."""
    if not any(change.part == Part.CONTROLLER for change in draft.plan.changes):
        return
    if not any(item.part is Part.CONTROLLER for item in draft.plan.manifests[run.gateway.name].units):
        return
    run.out.live("verify: the controller reaches each host")
    limit_s = FETCH_S if rents(draft.observation.file.stack) else PROVE_S
    told = run.call(run.gateway.name, "controller-prove", limit_s)
    found = told.get("hosts", {})
    silent = {name: found.get(name, "it was not asked") for name in run.transports if found.get(name, "none")}
    hosts = {host.name for host in draft.observation.hosts}
    if wrong := [_unreached(run.gateway.name, name, why) for name, why in silent.items() if name in hosts]:
        raise ConfigureError(*wrong)
    _may_rent(draft, run, str(told.get("rents") or ""))
    run.out.say(
        f"the controller on {run.gateway.name} reaches {', '.join(sorted(hosts & set(run.transports)))}"
    )
    file = draft.observation.file
    if has_page(file.stack):
        place = f"{address_of(file, draft.observation)}/hostler"
        known = any(key.admin for key in run.record.keys)
        run.out.say(
            f"page: {place}" + ("" if known else "; `hostler key add NAME --admin` makes a key for it")
        )


def _may_rent(draft: Draft, run: Session, why: str) -> None:
    """Raises ConfigureError where the stack file lets it rent, and it could not."""
    if rents(draft.observation.file.stack) is None:
        return
    if why:
        raise ConfigureError.of(
            f"controller on {run.gateway.name}",
            expected="it could rent a machine again that was given back: AWS, the state and Pulumi answer it",
            got=why,
            next_step="mend the secrets that controller.rents names, then `hostler up` again. Everything else is done",
        )
    run.out.say(f"the controller on {run.gateway.name} may rent again what is given back")


def _unreached(home: str, name: str, why: str) -> Problem:
    return Problem(
        where=f"controller on {home}",
        expected=f"{name} to let it in by SSH",
        got=why,
        next_step=f"try it there: ssh -i /etc/hostler/tls/controller.key hostler-updates@ADDRESS, with {name}'s address "
        "in /etc/hostler/controller/hosts.json; then `hostler up` again. Everything else is done",
    )


def routed(run: Session, replicas: Sequence[Replica], limit_s: float = ROUTED_S) -> None:
    """Waits until the gateway sends each of these replicas requests: that one model answers may be the other
    replica's merit. Those on hosts that do not answer are not asked for, nor those that sleep. Raises ConfigureError with its own word."""
    awaited = [replica for replica in replicas if replica.members[0].host in run.transports]
    if not awaited:
        return
    run.out.live(f"verify: the gateway routes to {', '.join(replica.id for replica in awaited)}")
    until = time.monotonic() + limit_s
    looked = False
    while left := _not_routed(run, awaited):
        if not looked:
            looked, awaited = True, _but_asleep(run, awaited, [replica for replica, _ in left])
            continue
        if time.monotonic() >= until:
            raise ConfigureError(*(_closed(replica, said, limit_s) for replica, said in left))
        time.sleep(PAUSE_S)


def _but_asleep(run: Session, awaited: Sequence[Replica], left: Sequence[Replica]) -> list[Replica]:
    resting = {replica.id for replica in left if _is_asleep(run, replica)}
    return [replica for replica in awaited if replica.id not in resting]


def _not_routed(run: Session, replicas: Sequence[Replica]) -> list[tuple[Replica, str]]:
    """Replicas that get no requests, each with the gateway's word."""
    if not replicas:
        return []
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
