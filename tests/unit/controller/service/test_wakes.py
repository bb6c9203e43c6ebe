"""One wake for all who wait; what cannot be woken says what a person can do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.controller import renting
from hostler.controller.holder_waking import WakeError
from hostler.controller.service import acting, rents, wakes
from hostler.controller.service.rents import Rents
from hostler.controller.service.wakes import Wakes
from hostler.controller.service.world import World
from hostler.errors import HostError
from hostler.hosts.types import Host, Seen, Slot, Ssh, Value
from hostler.leases.judging import Subject
from hostler.leases.view import View
from hostler.models.types import Member, Replica
from hostler.node.idle.looks import ASLEEP, BUSY, IDLE, LOADING, UNKNOWN, Verdict
from hostler.record.types import Record
from worlds import configure_world

STACK = """
stack: office
pools:
  rack: {hosts: [{address: gpu1.lan, name: gpu-1, wake: "3c:ec:ef:12:34:56"}, {address: gpu2.lan, name: gpu-2}]}
  burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 0-1}
models:
  chat: {source: "hf:a/b-GGUF:Q4_K_M", pool: rack, idle: {after: 20m, queue: 8, for: 2m}}
  big: {source: "hf:a/c-GGUF:Q4_K_M", pool: burst}
  fixed: {source: "hf:a/d-GGUF:Q4_K_M", pool: rack, else: [big, chat]}
  naps: {source: "hf:a/d-GGUF:Q4_K_M", pool: rack, idle: 20m, else: [chat]}
gateway: {host: gpu-2}
"""


class Stack:
    """A world that a test moves."""

    def __init__(self, own: Path) -> None:
        self.file = configure_world.stack(STACK)
        self.own, self.rented = own, "done"
        self.words = {"chat-0": IDLE, "chat-1": IDLE, "big-0": IDLE, "fixed-0": UNKNOWN, "naps-0": UNKNOWN}
        self.silent: set[str] = set()
        self.parked = False
        self.told: list[tuple[str, str]] = []
        self.woken: list[str] = []
        self.fails: set[str] = set()
        self.slow = threading.Event()
        self.slow.set()
        self.lock = threading.Lock()

    def world(self) -> World:
        hosts = {name: Host(name=name, pool=pool, ssh=Ssh(address=name)) for name, pool in HOSTS.items()}
        now = time.monotonic()
        views = {
            name: View(
                host=host,
                looked={"at": 100.0},
                at=now - 100 if name in self.silent else now,
                seen=Seen(
                    host=name, at=0, seconds=0, observed={"replica:chat-0": Value({"start_s": 21.0}, 0)}
                ),
            )
            for name, host in hosts.items()
        }
        slot = Slot(
            name="burst-0", pool="burst", state="parked" if self.parked else "wanted", given_back=self.parked
        )
        record = Record(
            uid="u",
            stack="office",
            gateway_host="gpu-2",
            replicas=REPLICAS,
            slots={"burst-0": slot},
            hosts=hosts,
        )
        subjects = tuple(
            Subject(kind="replica", name=one.id, host=one.members[0].host, model=one.model, boottime=100.0,
                    verdict=Verdict(self.words[one.id], 50.0, ""))
            for one in REPLICAS
        )  # fmt: skip
        return World(file=self.file, views=views, record=record, subjects=subjects, now=now)

    def wake(self, host: Host, replica: str) -> acting.Done:
        assert self.slow.wait(10)
        with self.lock:
            self.woken.append(f"{replica} on {host.name}")
            if replica in self.fails:
                raise HostError.of(
                    host.name, expected="an engine that starts", got="CUDA error: out of memory"
                )
            self.words[replica] = IDLE
        return acting.Done(changed=True)

    def wake_host(self, home: Host, wake: dict[str, Any]) -> None:
        self.woken.append(f"packet from {home.name} for {wake['mac']}")
        self.silent.clear()

    def made(self, took: dict[str, float] | None = None) -> Wakes:
        out = Out(stderr=StringIO())
        return Wakes(
            self.world,
            lambda event, text, _: self.told.append((event, text)),
            out,
            took if took is not None else {},
            Rents(self.own, self.rent),
        )

    def rent(self, home: Host, slot: str) -> None:
        """As the gateway's host does: it goes on by itself, and says what became of it."""
        self.woken.append(f"{home.name} rents {slot}")
        self.say(self.rented)

    def say(self, state: str, ago_s: float = 0.0, failures: int = 1) -> None:
        why = "no capacity" if state == "failed" else ""
        told = {"state": state, "at": time.time() - ago_s, "why": why, "failures": failures, "took_s": 240.0}
        (self.own / renting.FOLDER).mkdir(exist_ok=True)
        (self.own / renting.FOLDER / "burst-0.json").write_text(json.dumps(told))


HOSTS = {"gpu-1": "rack", "gpu-2": "rack", "burst-0": "burst"}
REPLICAS = (
    Replica(id="chat-0", model="chat", members=(Member(host="gpu-1", cards=(), port=1),)),
    Replica(id="chat-1", model="chat", members=(Member(host="gpu-2", cards=(), port=1),)),
    Replica(id="big-0", model="big", members=(Member(host="burst-0", cards=(), port=1),)),
    Replica(id="fixed-0", model="fixed", members=(Member(host="gpu-2", cards=(), port=1),)),
    Replica(id="naps-0", model="naps", members=(Member(host="gpu-2", cards=(), port=1),)),
)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    made = Stack(tmp_path)
    monkeypatch.setattr(acting, "wake", made.wake)
    monkeypatch.setattr(acting, "wake_host", made.wake_host)
    monkeypatch.setattr(wakes, "PAUSE_S", 0.01)
    monkeypatch.setattr(wakes, "BOOT_S", 0.5)
    monkeypatch.setattr(wakes, "KNOWN_S", 0.5)
    monkeypatch.setattr(wakes, "SHORT_S", 0.1)
    return made


def test_what_serves_needs_no_wake(stack: Stack) -> None:
    stack.words["chat-0"] = ASLEEP
    took: dict[str, float] = {}
    assert not stack.made(took).wake_now("chat")  # by a look that may be old
    assert (stack.woken, stack.told, took) == ([], [], {})
    assert stack.made().ready("chat")


def test_all_of_them_are_woken_and_one_is_enough(stack: Stack) -> None:
    stack.words |= {"chat-0": ASLEEP, "chat-1": ASLEEP}
    stack.fails = {"chat-0"}
    took: dict[str, float] = {}
    made = stack.made(took)
    assert made.wake_now("chat")
    until = time.monotonic() + 5
    while len(stack.woken) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(stack.woken) == ["chat-0 on gpu-1", "chat-1 on gpu-2"]
    assert [event for event, _ in stack.told] == ["woken"]
    assert set(took) == {"chat"}
    assert made.under_way == ()


def test_none_wakes(stack: Stack) -> None:
    stack.words |= {"chat-0": ASLEEP, "chat-1": ASLEEP}
    stack.fails = {"chat-0", "chat-1"}
    with pytest.raises(WakeError, match="out of memory"):
        stack.made().wake_now("chat")
    assert [event for event, _ in stack.told] == ["wake failed"]


def test_a_machine_that_is_suspended(stack: Stack) -> None:
    """A packet, its answer, and its engine, which slept before."""
    stack.words |= {"chat-0": ASLEEP, "chat-1": UNKNOWN}
    stack.silent = {"gpu-1"}
    stack.made().wake_now("chat")
    assert stack.woken == ["packet from gpu-2 for 3c:ec:ef:12:34:56", "chat-0 on gpu-1"]


def test_a_machine_that_does_not_come_back(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.words["chat-1"] = UNKNOWN
    stack.silent = {"gpu-1"}
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731 - short
    monkeypatch.setattr(acting, "wake_host", nothing)
    with pytest.raises(WakeError, match="did not come back within"):
        stack.made().wake_now("chat")


def test_what_was_given_back(stack: Stack) -> None:
    stack.parked = True
    with pytest.raises(WakeError, match="`hostler wake burst` rents another") as found:
        stack.made().wake_now("big")
    assert found.value.retry_after_s == wakes.AFTER_PARKED_S
    assert stack.told == []  # nobody has to mend that
    assert stack.world().model("big") == "parked"  # no request wakes it


RENTS = """
controller: {rents: {credentials: AWS, passphrase: STATE}}
secrets: {AWS: {file: aws}, STATE: {file: state}}
"""


@pytest.fixture
def renter(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Its controller may rent, and all machines were given back."""
    stack.file = configure_world.stack(STACK + RENTS)
    stack.parked = True
    for name, value in (("LOOK_S", 0.01), ("ASK_S", 0.05), ("LIMIT_S", 2.0)):
        monkeypatch.setattr(rents, name, value)
    return stack


def test_a_request_rents_it_again(renter: Stack) -> None:
    took: dict[str, float] = {}
    assert renter.world().model("big") == "asleep"
    made = renter.made(took)
    assert made.eta_s("big") == 300.0
    made.wake_now("big")
    assert renter.woken == ["gpu-2 rents burst-0"]
    assert [event for event, _ in renter.told] == ["woken"]
    assert set(took) == {"big"}
    assert made.eta_s("big") == 240.0  # the next one


def test_a_model_that_never_had_a_machine_rents_one(renter: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pool was empty when it came: it has no replica that could be asleep."""
    here = renter.world

    def without() -> World:
        world = here()
        assert world.record
        left = tuple(one for one in world.record.replicas if one.model != "big")
        return replace(world, record=replace(world.record, replicas=left))

    monkeypatch.setattr(renter, "world", without)
    assert renter.world().model("big") == "asleep"
    assert renter.world().model("chat") == ""
    made = renter.made()
    assert made.wake_now("big")
    assert renter.woken == ["gpu-2 rents burst-0"]
    renter.parked = False  # it is there, and has no replica yet: another process waits on for it
    renter.say("working", ago_s=1)
    assert made.eta_s("big") is not None
    renter.file = configure_world.stack(STACK)  # nobody may rent
    assert renter.world().model("big") == ""
    with pytest.raises(WakeError, match="none of its replicas sleeps"):
        renter.made().wake_now("big")


def test_what_goes_on_is_waited_for_also_by_the_next_process(renter: Stack) -> None:
    """`up` on the way starts the controller anew: the slot is no longer parked, and its machine says nothing yet."""
    renter.rented = "working"
    renter.say("working", ago_s=1)
    renter.parked = False
    renter.silent.add("burst-0")
    made = renter.made()
    assert made.eta_s("big") == pytest.approx(239.0, abs=1)
    waiting = threading.Thread(target=made.wake_now, args=("big",))
    waiting.start()
    until = time.monotonic() + 5
    while len(renter.woken) < 3 and time.monotonic() < until:  # whoever does it may have been killed
        time.sleep(0.01)
    assert waiting.is_alive()
    renter.silent.clear()
    renter.words["big-0"] = IDLE
    waiting.join(5)
    assert not waiting.is_alive()
    assert set(renter.woken) == {"gpu-2 rents burst-0"}


def test_one_that_failed_is_told_once_and_not_tried_by_each_request(renter: Stack) -> None:
    renter.rented = "failed"
    made = renter.made()
    for words in ("its machine could not be rented: no capacity",) * 3:
        with pytest.raises(WakeError, match=words) as caught:
            made.wake_now("big")
        assert 290 < caught.value.retry_after_s <= 300
    assert renter.woken == ["gpu-2 rents burst-0"]
    assert [event for event, _ in renter.told] == ["wake failed"]
    renter.say("failed", ago_s=301)
    renter.rented = "done"
    made.wake_now("big")
    assert len(renter.woken) == 2


@pytest.mark.parametrize(("failures", "wait_s"), [(1, 300), (2, 600), (4, 2400), (9, 21600), (99, 21600)])
def test_it_is_tried_later_and_later(renter: Stack, failures: int, wait_s: int) -> None:
    """What fails each time may cost each time."""
    renter.say("failed", ago_s=wait_s - 5, failures=failures)
    with pytest.raises(WakeError, match="could not be rented") as caught:
        renter.made().wake_now("big")
    assert 3 < caught.value.retry_after_s <= 5
    assert renter.woken == []
    renter.say("failed", ago_s=wait_s + 1, failures=failures)
    renter.made().wake_now("big")
    assert renter.woken == ["gpu-2 rents burst-0"]


@pytest.mark.parametrize("idle", ["never", "{do: terminate, shadow: true}"])
def test_a_pool_that_gives_nothing_back_is_not_rented_again(renter: Stack, idle: str) -> None:
    text = (STACK + RENTS).replace("count: 0-1}", "count: 0-1, idle: " + idle + "}")
    text = text.replace(
        "models:", "  other: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 0-1}\nmodels:"
    )
    renter.file = configure_world.stack(text)
    assert not renter.world().may_rent("burst-0")
    with pytest.raises(WakeError):
        renter.made().wake_now("big")
    assert renter.woken == []


def test_a_machine_that_runs_and_whose_engine_hangs_is_not_rented_again(renter: Stack) -> None:
    renter.parked = False
    renter.words["big-0"] = UNKNOWN
    with pytest.raises(WakeError, match="none of its replicas sleeps"):
        renter.made().wake_now("big")
    assert renter.woken == []


def test_one_that_went_a_moment_ago(renter: Stack) -> None:
    """Neither the record nor its last look says so yet."""
    renter.parked = False
    before = renter.world
    renter.world = lambda: replace(before(), gone=frozenset(("burst-0", "gpu-1")))
    assert renter.world().model("big") == "asleep"
    assert renter.world().state(REPLICAS[0]) == "serves"  # a machine of one's own comes back by itself
    renter.made().wake_now("big")
    assert renter.woken == ["gpu-2 rents burst-0"]


def test_one_that_takes_for_ever(renter: Stack) -> None:
    renter.rented = "working"
    with pytest.raises(WakeError, match="not there within 2 s"):
        renter.made().wake_now("big")


def test_one_that_ended_itself_while_nobody_looked(renter: Stack) -> None:
    """The record says that it is wanted, and it does not answer."""
    renter.parked = False
    renter.silent.add("burst-0")
    renter.made().wake_now("big")
    assert renter.woken == ["gpu-2 rents burst-0"]


@pytest.mark.parametrize("word", [LOADING, UNKNOWN])
def test_what_does_not_sleep_cannot_be_woken(stack: Stack, word: str) -> None:
    stack.words["big-0"] = word
    with pytest.raises(WakeError, match="none of its replicas sleeps"):
        stack.made().wake_now("big")


@pytest.mark.parametrize(
    ("before", "after", "woken"), [(UNKNOWN, ASLEEP, ["big-0 on burst-0"]), (LOADING, IDLE, [])]
)
def test_what_is_not_known_yet_is_waited_for(stack: Stack, before: str, after: str, woken: list[str]) -> None:
    """This process has just begun, or somebody else wakes it."""
    stack.words["big-0"] = before
    threading.Timer(0.1, lambda: stack.words.update({"big-0": after})).start()
    stack.made().wake_now("big")
    assert stack.woken == woken


def test_those_that_stand_in(stack: Stack) -> None:
    made = stack.made()
    assert [made.instead(name) for name in ("fixed", "chat", "none-of-it")] == [("big", "chat"), (), ()]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (UNKNOWN, "none of its replicas is ready"),
        (LOADING, "just being loaded"),
        (ASLEEP, "`hostler wake fixed`"),
    ],
)
def test_one_that_never_sleeps_is_not_woken(stack: Stack, word: str, said: str) -> None:
    """Nor is it told as a wake that failed, or shown as one under way."""
    stack.words["fixed-0"] = word
    made = stack.made()
    under_way: list[tuple[str, ...]] = []
    world = stack.world
    stack.world = lambda: (under_way.append(made.under_way), world())[1]  # type: ignore[method-assign]
    made = stack.made()
    with pytest.raises(WakeError, match=said) as found:
        made.wake_now("fixed")
    assert found.value.what == "cannot answer"
    assert stack.woken == []
    assert stack.told == []
    assert set(under_way) == {()}


@pytest.mark.parametrize("before", [LOADING, UNKNOWN])
def test_one_that_never_sleeps_is_waited_for_a_little(
    stack: Stack, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakes, "SHORT_S", 10)
    stack.words["fixed-0"] = before
    threading.Timer(0.1, lambda: stack.words.update({"fixed-0": BUSY})).start()
    stack.made().wake_now("fixed")
    assert stack.told == []


@pytest.mark.parametrize("model", ["fixed", "naps"])
def test_only_the_first_request_of_an_outage_waits(
    stack: Stack, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that sleeps, too, where it is not known what it does; after a while without a request it is another one."""
    monkeypatch.setattr(wakes, "KNOWN_S", 60)
    monkeypatch.setattr(wakes, "SHORT_S", 0.5)
    made = stack.made()
    took: list[float] = []

    def fails() -> None:
        began = time.monotonic()
        with pytest.raises(WakeError):
            made.wake_now(model)
        took.append(time.monotonic() - began)

    fails()
    fails()
    monkeypatch.setattr(wakes, "OUTAGE_S", 0.0)
    made._outage_s(model)
    monkeypatch.setattr(wakes, "OUTAGE_S", 60.0)
    fails()
    assert took[0] >= 0.5
    assert took[1] < 0.5
    assert took[2] >= 0.5


def test_one_that_sleeps_is_woken_though_others_stand_in(stack: Stack) -> None:
    stack.words["naps-0"] = ASLEEP
    stack.made().wake_now("naps")
    assert stack.woken == ["naps-0 on gpu-2"]


def test_when_it_will_be_awake(stack: Stack) -> None:
    """By its last wake; else by its longest start; less what has passed."""
    assert stack.made().eta_s("chat") == 21.0
    assert stack.made().eta_s("big") is None
    made = stack.made({"chat": 9.0})
    assert made.eta_s("chat") == 9.0
    stack.words |= {"chat-0": ASLEEP, "chat-1": ASLEEP}
    stack.slow.clear()
    under_way = threading.Thread(target=made.wake_now, args=("chat",))
    under_way.start()
    until = time.monotonic() + 5
    while (eta := made.eta_s("chat")) == 9.0 and time.monotonic() < until:
        time.sleep(0.01)
    assert eta is not None
    assert 1.0 <= eta < 9.0
    assert made.under_way == ("chat",)
    stack.slow.set()
    under_way.join()


def test_limits(stack: Stack) -> None:
    assert stack.made().limits("chat") == (8, 120.0)
    assert stack.made().limits("nothing-of-it") == wakes.DEFAULT


def test_states(stack: Stack) -> None:
    assert stack.world().model("chat") == ""
    stack.words["chat-0"] = ASLEEP
    assert stack.world().model("chat") == ""
    stack.words["chat-1"] = ASLEEP
    assert stack.world().model("chat") == "asleep"
    stack.words["chat-1"] = BUSY
    assert stack.world().model("chat") == ""
