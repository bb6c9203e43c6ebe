"""All that is due at once, under one lock; who said no is asked later; nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.console.out import Out
from hostler.controller.service import acting, giving
from hostler.controller.service.giving import Giving
from hostler.controller.service.world import World
from hostler.errors import HostError, LockedError
from hostler.hosts.types import Host, Slot, Ssh
from hostler.leases.judging import Subject
from hostler.leases.view import View
from hostler.models.types import Member, Replica
from hostler.node.idle.looks import IDLE, Due, Verdict
from hostler.record import store
from hostler.record.types import Record
from worlds import configure_world

NAMES = ("gpu-1", "burst-0", "burst-1")
HOSTS = {name: Host(name=name, pool="p", ssh=Ssh(address=name)) for name in NAMES}
REPLICAS = tuple(
    Replica(id=f"chat-{at}", model="chat", members=(Member(host=name, cards=(), port=1),))
    for at, name in enumerate(NAMES)
)
RECORD = Record(
    uid="u", stack="office", gateway_host="gpu-1", hosts=HOSTS, replicas=REPLICAS,
    slots={name: Slot(name=name, pool="burst") for name in NAMES[1:]},
)  # fmt: skip
LOCKED = LockedError.of("gpu-1", expected="the lock", got="ana has it")
BROKEN = HostError.of("burst-0", expected="an answer", got="silence")


def subject(kind: str, name: str, host: str, do: str) -> Subject:
    due = Due(do, "idle for 30 min", 10.0)
    model = "chat" if kind == "replica" else ""
    return Subject(
        kind=kind, name=name, host=host, model=model, verdict=Verdict(IDLE, 10.0, ""), boottime=0.0, due=due
    )


class Place:
    """What a controller meets with, and what it did."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.reached: list[str] = []
        self.silent: Exception | None = None
        self.asked: list[str] = []
        self.parked: list[str] = []
        self.told: list[str] = []
        self.says: dict[str, acting.Done | Exception] = {}
        self.locked: Exception | None = None
        self.under_way: tuple[str, ...] = ()
        self.together = threading.Barrier(1)
        wakes = SimpleNamespace(under_way=())
        self.wakes = wakes
        gateway = SimpleNamespace(waiting=lambda _: 0)
        self._err = StringIO()
        self.giving = Giving(
            Out(stderr=self._err),
            cast(Any, gateway),
            lambda event, text, _: self.told.append(f"{event}: {text}"),
            cast(Any, wakes),
        )

    @contextmanager
    def session(
        self, record: Record, home: Host, _hosts: Any, reached: list[str], _out: Any, *, why: str
    ) -> Iterator[Any]:
        assert (record, home.name) == (RECORD, "gpu-1")
        if self.locked:
            raise self.locked
        if self.silent:
            raise self.silent
        self.reached = reached
        self.sessions.append(why)
        yield SimpleNamespace()

    @property
    def said(self) -> str:
        return self._err.getvalue()

    def end(self, _run: Any, host: Host, do: str, _why: str, _waits: Any) -> acting.Done:
        return self.answer(f"{do} {host.name}", host.name)

    def sleep(self, _run: Any, host: Host, replica: str, _why: str, _waits: Any) -> acting.Done:
        return self.answer(f"sleep {replica} on {host.name}", replica)

    def answer(self, what: str, name: str) -> acting.Done:
        self.together.wait(10)
        self.asked.append(what)
        said = self.says.get(name, acting.Done(changed=True))
        if isinstance(said, Exception):
            raise said
        return said

    def tick(self, *subjects: Subject, later: float = 0.0, fresh: tuple[str, ...] = NAMES) -> None:
        now = time.monotonic() + later
        views = {
            name: View(host=HOSTS[name], looked={"at": 1.0}, at=now if name in fresh else now - 999)
            for name in NAMES
        }
        self.giving.tick(
            World(file=configure_world.stack(), views=views, record=RECORD, subjects=tuple(subjects), now=now)
        )
        batch = self.giving._batch  # pyright: ignore[reportPrivateUsage]
        if batch:
            batch.result(20)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    found = Place()
    monkeypatch.setattr(giving, "session", found.session)
    monkeypatch.setattr(acting, "end", found.end)
    monkeypatch.setattr(acting, "sleep", found.sleep)
    park: Any = lambda _run, name, stopped: found.parked.append(f"{name} {stopped}")  # noqa: E731 - short
    monkeypatch.setattr(acting, "park", park)
    return found


def test_all_at_once_under_one_lock(place: Place) -> None:
    place.together = threading.Barrier(3)
    place.tick(
        subject("host", "burst-0", "burst-0", "terminate"),
        subject("host", "burst-1", "burst-1", "stop"),
        subject("replica", "chat-0", "gpu-1", "sleep"),
    )
    assert len(place.sessions) == 1
    assert sorted(place.asked) == ["sleep chat-0 on gpu-1", "stop burst-1", "terminate burst-0"]
    assert place.parked == ["burst-0 False", "burst-1 True"]
    assert len(place.told) == 3
    assert place.giving.counts == {("terminate", "good"): 1.0, ("stop", "good"): 1.0, ("sleep", "good"): 1.0}


def test_who_did_it_is_heard_before_it_is_asked_again(place: Place) -> None:
    """Its last look is from before; woken meanwhile, it would fall asleep once more, or say no for a minute."""
    one = subject("replica", "chat-0", "gpu-1", "sleep")
    place.tick(one)
    place.tick(one)
    assert len(place.asked) == 1
    place.tick(one, later=giving.HEARD_S + 1)
    assert len(place.asked) == 2


def test_a_host_that_went_is_left_alone_and_holds_nothing_up(place: Place) -> None:
    """Its last look seems new for a while, and there is nobody to ask."""
    first, second = (subject("host", name, name, "terminate") for name in NAMES[1:])
    place.tick(first)
    place.tick(first, second, later=giving.HEARD_S + 1)
    assert place.asked == ["terminate burst-0", "terminate burst-1"]
    assert place.reached == ["gpu-1", "burst-1"]
    assert place.giving.gone() == {"burst-0", "burst-1"}


def test_a_host_that_does_not_answer_holds_the_others_up_for_a_moment_only(place: Place) -> None:
    place.silent = BROKEN
    one = subject("host", "burst-1", "burst-1", "terminate")
    place.tick(one)
    place.tick(one, later=giving.SILENT_S + 1)
    place.silent = None
    place.tick(one, later=2 * giving.SILENT_S + 1)
    assert place.asked == ["terminate burst-1"]
    assert place.said.count("nothing is given back now") == 1


def test_who_stays_is_asked_later(place: Place) -> None:
    place.says = {"burst-0": acting.Done(changed=False, why="a request came"), "burst-1": BROKEN}
    both = [subject("host", name, name, "terminate") for name in NAMES[1:]]
    place.tick(*both)
    assert place.parked == []
    assert ["idle failed" in one for one in place.told] == [True]
    place.tick(*both)
    assert len(place.asked) == 2
    place.tick(*both, later=giving.AGAIN_S + 1)
    assert len(place.asked) == 4


def test_somebody_has_the_lock(place: Place) -> None:
    place.locked = LOCKED
    one = subject("replica", "chat-0", "gpu-1", "sleep")
    place.tick(one)
    place.locked = None
    place.tick(one)
    assert place.asked == []
    assert place.told == []
    place.tick(one, later=giving.LOCKED_S + 1)
    assert place.asked == ["sleep chat-0 on gpu-1"]


def test_what_is_being_woken_is_left_alone(place: Place) -> None:
    place.wakes.under_way = ("chat",)
    place.tick(
        subject("replica", "chat-0", "gpu-1", "sleep"), subject("host", "burst-0", "burst-0", "terminate")
    )
    assert place.asked == []


def test_without_the_gateways_host_nothing_is_asked(place: Place) -> None:
    place.tick(subject("host", "burst-0", "burst-0", "terminate"), fresh=("burst-0",))
    assert (place.sessions, place.asked) == ([], [])


def test_suspended_is_not_parked(place: Place) -> None:
    place.tick(subject("host", "burst-0", "burst-0", "suspend"))
    assert (place.asked, place.parked) == (["suspend burst-0"], [])


def test_a_shadow_is_told_once_a_span(place: Place) -> None:
    one = subject("host", "burst-0", "burst-0", "")
    place.tick(one)
    place.tick(one)
    place.tick(replace(one, due=Due("", "idle for 31 min", 10.004)))  # two clocks
    assert place.told == ["idle: shadow: burst-0 idle for 30 min"]
    place.tick(replace(one, due=Due("", "idle for 30 min", 99.0)))
    assert len(place.told) == 2
    assert place.asked == []


# its slot


class Run:
    def __init__(self, record: Record) -> None:
        self.gateway = HOSTS["gpu-1"]
        self.hosts = tuple(HOSTS.values())
        self.record = record
        self.committed: list[Record] = []

    def call(self, name: str, op: str) -> dict[str, Any]:
        assert (name, op) == ("gpu-1", "record-read")
        return {"record": store.dump(self.record)}

    def commit(self, record: Record) -> None:
        self.committed.append(record)


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize(("state", "parks"), [("wanted", True), ("retiring", False), ("parked", False)])
def test_a_slot_is_parked_in_the_newest_record(state: Any, parks: bool, stopped: bool) -> None:
    slots = {**RECORD.slots, "burst-0": Slot(name="burst-0", pool="burst", state=state)}
    run = Run(replace(RECORD, number=7, slots=slots))
    acting.park(cast(Any, run), "burst-0", stopped=stopped)
    assert len(run.committed) == parks
    if parks:
        slot = run.committed[0].slots["burst-0"]
        assert (slot.state, slot.given_back, slot.stopped) == ("parked", True, stopped)
        assert run.committed[0].number == 7
        assert "burst-0" not in [host.name for host in run.hosts]  # no copy of the record is sent there
    acting.park(cast(Any, run), "gpu-1", stopped=stopped)
    assert len(run.committed) == parks
