"""Replicas that leave before their successors start: asked for, in this order, and only while they are there."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.configure.types import Change, Exchange
from hostler.console import plan as show
from hostler.console.out import Out
from hostler.errors import HostError, RefusedError
from hostler.hosts.trouble import AgentError
from hostler.hosts.types import Absent, Unknown, Value
from hostler.manifest.items import Part
from hostler.models.types import Member, Placement
from hostler.placement.vacate import Vacated
from hostler.rollout import apply, downtime
from worlds import configure_world as world

GONE = Vacated(replica="chat-0", model="chat", host="gpu-1", for_replica="code-0")
READY = Value({"health": 200, "draining": False}, world.AT)
ROUTED = {f"route:chat-{n}": Value({"status": "UP"}, world.AT) for n in (0, 1)}


def moved() -> Placement:
    """chat-0 goes to another host, where nothing serves yet."""
    chat = world.placement().replicas[0]
    elsewhere = Member(host="gpu-3", cards=("GPU-3",), port=18080)
    return replace(world.placement(), replicas=(replace(chat, members=(elsewhere,)),))


@pytest.mark.parametrize(
    ("placement", "expected"),
    [(moved(), {"chat": downtime.LEFT_S}), (world.placement(), {}), (Placement(replicas=()), {})],
    ids=["nothing else serves", "another serves", "nobody wants it any more"],
)
def test_what_cannot_answer_meanwhile(placement: Placement, expected: dict[str, float]) -> None:
    seen = {
        "gpu-1": replace(world.bare(1), observed={"replica:chat-0": READY, **ROUTED}),
        "gpu-2": replace(world.bare(2), observed={"replica:chat-1": READY}),
    }
    before = world.record(replicas=world.placement().replicas)
    found = downtime.cut_meanwhile([GONE], placement, seen, before)
    assert {model: gap.seconds for model, gap in found.items() if not gap.held} == expected


def test_what_does_not_answer_now_is_not_cut() -> None:
    seen = {"gpu-1": replace(world.bare(1), observed=ROUTED), "gpu-2": world.bare(2)}
    before = world.record(replicas=world.placement().replicas)
    assert downtime.cut_meanwhile([GONE], moved(), seen, before) == {}


@pytest.mark.parametrize(
    ("found", "there"),
    [(Absent(world.AT), 0), (Value({"running": False}, world.AT), 1), (Unknown("no Docker", world.AT), 1)],
)
def test_what_is_gone_already_need_not_leave(found: Any, there: int) -> None:
    chat = world.placement().replicas[:1]
    host = chat[0].members[0].host
    seen = {host: replace(world.bare(1), observed={"container:chat-0": found})}
    assert len(downtime.running(chat, seen)) == there


class Run:
    """A session that only remembers."""

    def __init__(self, error: AgentError | None = None) -> None:
        self.done: list[str] = []
        self.error = error
        self.transports = {"gpu-1": None}
        self.run = "r"
        self.lock = SimpleNamespace(lost=None, check=lambda: None)
        self.out = Out(stdout=io.StringIO(), stderr=io.StringIO())

    def call(self, host: str, op: str, _limit: float, **request: Any) -> dict[str, Any]:
        self.done.append(f"{op} {request['id']} on {host}, cut {request['force']}")
        if self.error:
            raise self.error
        return {"changed": True}


def draft() -> Any:
    new = Change(
        host="gpu-1",
        part=Part.ENGINE,
        item="container:code-0",
        action="add",
        now="",
        then="",
        why="",
        replica="code-0",
    )
    plan = SimpleNamespace(
        changes=(new,),
        removed_hosts=(),
        vacated=(GONE, replace(GONE, host="gpu-9")),
        manifests={},
        exchanges=(),
        downtime_s={},
    )
    return SimpleNamespace(plan=plan, observation=SimpleNamespace(hosts=(), file=None))


def test_they_leave_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = Run()
    monkeypatch.setattr(apply, "run_playbooks", lambda **_: run.done.append("playbooks"))
    monkeypatch.setattr(apply.secret, "values", lambda *_: {})
    apply.apply(draft(), run)
    assert run.done == ["retire chat-0 on gpu-1, cut False", "playbooks"]
    assert run.out.stderr.getvalue().splitlines()[-1] == "changed  gpu-1: retired chat-0"


def test_requests_in_flight_stop_it_before_anything_started(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = AgentError.of("gpu-1", expected="calm", got="in flight", next_step="--cut")
    busy.rc = apply.REFUSED
    run: Any = Run(busy)
    monkeypatch.setattr(apply, "run_playbooks", lambda **_: run.done.append("playbooks"))
    with pytest.raises(RefusedError) as caught:
        apply.apply(draft(), run)
    assert not isinstance(caught.value, HostError)
    assert "playbooks" not in run.done


WAYS = (
    Exchange(replica="chat-1", model="chat", host="gpu-2", in_place=""),
    Exchange(replica="chat-0", model="chat", host="gpu-1", in_place="card 0 is full"),
)


def test_the_plan_says_so() -> None:
    err = io.StringIO()
    plan = SimpleNamespace(
        changes=(),
        placement=Placement(replicas=()),
        notices=(),
        downtime_s={"chat": 60.0},
        held_s={"fast": 15.0},
        vacated=(GONE,),
        exchanges=WAYS,
    )
    show.show(plan, Out(stdout=io.StringIO(), stderr=err))  # pyright: ignore[reportArgumentType]
    assert err.getvalue().splitlines() == [
        "first: chat-0 leaves gpu-1: code-0 needs the memory that it holds",
        "exchange: first chat-1 on gpu-2 (beside the old one), then chat-0 on gpu-1 (in place: card 0 is full)",
        "downtime: chat cannot answer for about 60 s (nothing else serves it meanwhile)",
        "held: fast waits about 15 s (new requests wait at the gateway, and are answered after)",
    ]
