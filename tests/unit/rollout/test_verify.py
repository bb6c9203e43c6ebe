"""Never `done` of what was not seen: the gateway's own word on each replica."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.console.out import Out
from hostler.errors import ConfigureError
from hostler.hosts.types import Absent, Observed, Seen, Unknown, Value
from hostler.models.types import Member, Replica
from hostler.rollout import verify
from hostler.rollout.session import Session

AT = 1000.0
UP, DOWN = ({"status": word, "check": check} for word, check in (("UP", "L7OK"), ("DOWN", "L4TOUT")))


def replicas(*hosts: str) -> tuple[Replica, ...]:
    return tuple(
        Replica(id=f"chat-{i}", model="chat", members=(Member(host=host, cards=(), port=1),), need_mib=1)
        for i, host in enumerate(hosts)
    )


class Gateway:
    """Says one thing after the other; the last for ever."""

    def __init__(self, *rounds: dict[str, Any]) -> None:
        self.rounds, self.asked = list(rounds), list[Sequence[str]]()
        self.asleep: set[str] = set()

    def probe(self, _transport: object, names: Sequence[str]) -> Seen:
        if names[0].startswith("replica:"):  # its own host
            asleep = {"state": "asleep"} if names[0] in self.asleep else None
            return Seen(host="gpu-2", at=AT, seconds=0.1, observed={names[0]: Value({"asleep": asleep}, AT)})
        self.asked.append(names)
        said = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        observed = {f"route:{name}": _observed(value) for name, value in said.items()}
        return Seen(host="gpu-1", at=AT, seconds=0.1, observed=observed)


def _observed(value: Any) -> Observed:
    if isinstance(value, str):
        return Unknown(value, AT)
    return Absent(AT) if value is None else Value(value, AT)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(verify, "PAUSE_S", 0.0)
    transports = dict.fromkeys(("gpu-1", "gpu-2"))
    return cast(
        "Session", SimpleNamespace(transports=transports, gateway=SimpleNamespace(name="gpu-1"), out=Out())
    )


def say(monkeypatch: pytest.MonkeyPatch, *rounds: dict[str, Any]) -> Gateway:
    gateway = Gateway(*rounds)
    monkeypatch.setattr(verify, "probe_one", gateway.probe)
    return gateway


def test_one_that_comes_up_late_is_waited_for(run: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = say(monkeypatch, {"chat-0": UP, "chat-1": DOWN}, {"chat-0": UP, "chat-1": UP})
    verify.routed(run, replicas("gpu-1", "gpu-2"))
    assert len(gateway.asked) == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (DOWN, "DOWN (L4TOUT)"),
        ({"status": "NOLB", "check": ""}, "NOLB"),
        (None, "the gateway does not know it"),
        ("the gateway does not answer", "the gateway does not answer"),
    ],
)
def test_one_that_gets_no_requests_is_a_failure(
    said: Any, words: str, run: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, {"chat-0": UP, "chat-1": said})
    with pytest.raises(ConfigureError) as caught:
        verify.routed(run, replicas("gpu-1", "gpu-2"), limit_s=0.0)
    (problem,) = caught.value.problems
    assert (problem.where, problem.got) == ("chat-1 on gpu-2", words)


def test_a_model_that_only_stands_on_a_dead_host_is_not_asked(
    run: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(verify, "_ask", lambda _draft, _run, model: asked.append(model))
    away = replace(replicas("gpu-9")[0], id="code-0", model="code")
    placed = SimpleNamespace(replicas=(*replicas("gpu-1", "gpu-9"), away))
    there: Any = SimpleNamespace(files=())
    draft: Any = SimpleNamespace(plan=SimpleNamespace(placement=placed, manifests={"gpu-1": there}))
    verify.smoke(draft, run, ("chat", "code"))
    assert asked == ["chat"]


def test_one_that_sleeps_gets_no_requests_and_is_not_waited_for(
    run: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = say(monkeypatch, {"chat-0": UP, "chat-1": DOWN})
    gateway.asleep = {"replica:chat-1"}
    verify.routed(run, replicas("gpu-1", "gpu-2"))
    assert gateway.asked == [["route:chat-0", "route:chat-1"], ["route:chat-0"]]


@pytest.mark.parametrize(
    ("asleep", "woken"), [(set(), []), ({"replica:chat-1"}, []), ({"replica:chat-0", "replica:chat-1"}, ["chat-0"])]
)  # fmt: skip
def test_a_model_of_which_all_sleep_is_woken_for_its_question(
    asleep: set[str], woken: list[str], run: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = say(monkeypatch, {"chat-0": UP, "chat-1": UP})
    gateway.asleep = asleep
    monkeypatch.setattr(verify, "_ask", lambda *_: None)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(verify.idling, "may_sleep", lambda *_: True)  # pyright: ignore[reportUnknownLambdaType]
    called: list[tuple[str, str]] = []
    run.call = lambda host, op, _limit, id: called.append((host, id)) if op == "wake" else None  # type: ignore[assignment, method-assign, return-value]
    placed = SimpleNamespace(replicas=replicas("gpu-1", "gpu-2"))
    plan = SimpleNamespace(placement=placed, manifests=dict.fromkeys(("gpu-1", "gpu-2")))
    verify.smoke(cast("Any", SimpleNamespace(plan=plan)), run, ("chat",))
    assert called == [("gpu-1", name) for name in woken]


def test_a_host_that_does_not_answer_is_not_waited_for(run: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = say(monkeypatch, {"chat-0": UP})
    verify.routed(run, replicas("gpu-1", "gpu-9"))
    assert gateway.asked == [["route:chat-0"]]
    verify.routed(run, replicas("gpu-9"))
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("by", ["chat", "small"])
def test_the_answer_of_one_that_stands_in_proves_nothing(by: str, run: Session) -> None:
    models = {"chat": SimpleNamespace(smoke=SimpleNamespace(prompt="What?", expect=None))}
    release = SimpleNamespace(models={"chat": SimpleNamespace(runs=SimpleNamespace(engine="llama.cpp"))})
    draft: Any = SimpleNamespace(
        observation=SimpleNamespace(file=SimpleNamespace(stack=SimpleNamespace(models=models))),
        plan=SimpleNamespace(release=release),
    )
    body = json.dumps({"choices": [{"message": {"content": "That."}}]})
    headers = {"x-hostler-model": by, "x-hostler-replica": f"{by}-0"}
    answer = {"status": 200, "headers": headers, "body": body}
    run.call = lambda *_, **__: answer  # type: ignore[method-assign]  # pyright: ignore[reportUnknownLambdaType]
    if by == "chat":
        assert verify._ask(draft, run, "chat").replica == "chat-0"
        return
    with pytest.raises(ConfigureError) as caught:
        verify._ask(draft, run, "chat")
    assert caught.value.problems[0].got == "an answer of small, which stands in for it"
