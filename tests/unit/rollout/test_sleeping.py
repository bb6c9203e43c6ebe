"""Who is meant by `sleep NAME` and `wake NAME`, and what each host said."""

from __future__ import annotations

import json
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cli import sleep as verb
from hostler.console.out import Out
from hostler.errors import ConfigureError, Exit, RefusedError, UsageError
from hostler.hosts.types import Host, Seen
from hostler.rollout import givenback, sleeping
from hostler.rollout.sleeping import Who
from hostler.stackfile.fields import Range
from hostler.stackfile.sections import Aws, Gateway, Model, Pool, Stack
from worlds import configure_world as world
from worlds.rented_world import host

AWS = Aws(regions=("eu-central-1",), instances=("g5.xlarge",))
SUSPENDS = world.STACK.replace("user: ops", 'user: ops, wake: "3c:ec:ef:12:34:56"')


def file(gateway: str | None = "gpu-1") -> Any:
    big = Pool(aws=AWS, count=Range(1, 1))
    pools = {"rack": Pool(), "big": big, "both": big}
    models = {"chat": Model(source="hf:a/b"), "both": Model(source="hf:a/b"), "heavy": Model(cloud="x/y")}
    stack = Stack(stack="office", pools=pools, models=models, gateway=Gateway(host=gateway))
    return SimpleNamespace(stack=stack, path="office.yaml", where=lambda path: path)


@pytest.mark.parametrize("word", ["sleep", "wake"])
@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("big", None, Who(name="big", kind="pool", rented=True)),
        ("rack", None, Who(name="rack", kind="pool")),
        ("chat", None, Who(name="chat", kind="model")),
        ("both", "pool", Who(name="both", kind="pool", rented=True)),
        ("both", "model", Who(name="both", kind="model")),
    ],
)
def test_who_is_meant(word: Any, name: str, kind: Any, expected: Who) -> None:
    assert sleeping.who(file(), name, word, kind) == expected


@pytest.mark.parametrize(
    ("name", "kind", "got", "step"),
    [
        ("both", None, "both, which is both", "--model, or --pool"),
        ("bgi", None, "bgi", "write big"),
        ("heavy", None, "heavy, which runs at its provider", "write"),
        ("chat", "pool", "chat", "write"),
        ("rack", "model", "rack", "write"),
    ],
)
def test_nobody_is_meant(name: str, kind: Any, got: str, step: str) -> None:
    with pytest.raises(UsageError) as raised:
        sleeping.who(file(), name, "wake", kind)
    (problem,) = raised.value.problems
    assert problem.got == got
    assert step in problem.next_step


@pytest.mark.parametrize(("gateway", "refused"), [("big-0", True), (None, True), ("gpu-1", False)])
def test_the_gateways_pool_does_not_sleep(gateway: str | None, refused: bool) -> None:
    one = file(gateway)
    one.stack.pools.pop("both")
    assert sleeping.who(one, "big", "wake").rented
    if not refused:
        assert sleeping.who(one, "big", "sleep").rented
        return
    with pytest.raises(RefusedError, match="without the gateway"):
        sleeping.who(one, "big", "sleep")


class Hosts:
    """What they are asked, and what they answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, text: str = world.STACK) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.why: list[str] = []
        self.no: dict[str, Exception] = {}
        self.reached = ["gpu-1", "gpu-2"]
        self.file = world.stack(text)
        self.record = world.record(replicas=world.placement("gpu-1", "gpu-2").replicas)
        self.more: dict[str, Seen] = {}
        self.hosts: tuple[Host, ...] = world.hosts()
        monkeypatch.setattr(sleeping, "observe", lambda *_, **__: self.seen())
        monkeypatch.setattr(sleeping.home, "running", lambda _: self.record)
        monkeypatch.setattr(sleeping, "home_of", lambda found: found.gateway)
        monkeypatch.setattr(sleeping, "session", self.session)

    def seen(self) -> Any:
        seen = {"gpu-1": world.bare(1), "gpu-2": world.bare(2) if "gpu-2" in self.reached else world.dead(2)}
        return SimpleNamespace(
            file=self.file, seen={**seen, **self.more}, every=self.hosts, gateway=self.hosts[0],
            host=lambda name: next(one for one in self.hosts if one.name == name),
        )  # fmt: skip

    @contextmanager
    def session(self, *_: Any, why: str, **__: Any) -> Any:
        self.why.append(why)
        yield SimpleNamespace(call=self.call, run="run-1", gateway=self.hosts[0])

    def call(self, name: str, op: str, _limit_s: float = 60.0, /, **request: Any) -> dict[str, Any]:
        self.asked.append((name, op, request))
        if name in self.no:
            raise self.no[name]
        return {"changed": True, "why": f"{op} on {name}"}

    def do(self, word: Any, name: str = "chat", kind: Any = "model") -> tuple[sleeping.Row, ...]:
        return sleeping.engines(self.file, Who(name=name, kind=kind), word, Out(stderr=StringIO()))


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    return Hosts(monkeypatch)


@pytest.mark.parametrize(("name", "kind"), [("chat", "model"), ("rack", "pool")])
def test_each_host_of_a_model_or_a_pool_is_asked_under_the_lock(hosts: Hosts, name: str, kind: str) -> None:
    rows = hosts.do("sleep", name, kind)
    assert [(row.replica, row.host, row.changed) for row in rows] == [
        ("chat-0", "gpu-1", True),
        ("chat-1", "gpu-2", True),
    ]
    assert sorted((one, op, request["id"], request["force"]) for one, op, request in hosts.asked) == [
        ("gpu-1", "sleep", "chat-0", True),
        ("gpu-2", "sleep", "chat-1", True),
    ]
    assert hosts.why == [f"sleep {name}"]


def test_wake_asks_no_more_than_needed(hosts: Hosts) -> None:
    hosts.do("wake")
    assert sorted(hosts.asked, key=str) == [
        ("gpu-1", "wake", {"id": "chat-0"}),
        ("gpu-2", "wake", {"id": "chat-1"}),
    ]


def test_one_that_says_no_stops_no_other(hosts: Hosts, capsys: pytest.CaptureFixture[str]) -> None:
    hosts.no["gpu-1"] = ConfigureError.of(
        "gpu-1", expected="a replica that wakes", got="out of memory", next_step="hostler logs chat-0"
    )
    rows = hosts.do("wake")
    assert [row.changed for row in rows] == [False, True]
    assert sleeping.code(rows) == Exit.CONFIGURE
    said = StringIO()
    out = Out(as_json=True, stdout=(data := StringIO()), stderr=said)
    assert verb.show(rows, "wake", out) == Exit.CONFIGURE
    found = json.loads(data.getvalue())
    assert [(one["replica"], one["error"], one["next"]) for one in found] == [
        ("chat-0", True, "hostler logs chat-0"),
        ("chat-1", False, None),
    ]
    assert "out of memory" in said.getvalue()


def test_one_that_does_not_answer_is_an_error_of_its_own(hosts: Hosts) -> None:
    hosts.reached.remove("gpu-2")
    rows = hosts.do("sleep")
    assert [(row.changed, row.error is None) for row in rows] == [(True, True), (False, False)]
    assert sleeping.code(rows) == Exit.HOST


def test_one_that_is_given_back_is_woken_by_its_pool(hosts: Hosts) -> None:
    parked = host("203.0.113.9")
    hosts.hosts = (*hosts.hosts, parked)
    hosts.more["burst-0"] = givenback.seen(parked)
    hosts.record = world.record(replicas=world.placement("gpu-1", "burst-0").replicas)
    rows = hosts.do("wake")
    assert [one for one, _, _ in hosts.asked] == ["gpu-1"]
    assert rows[1].error
    assert rows[1].error.problems[0].next_step == "hostler wake burst"
    assert sleeping.code(rows) == Exit.REFUSED
    rows = hosts.do("sleep")
    assert (rows[1].error, rows[1].changed) == (None, False)


def test_what_runs_nowhere_cannot_sleep(hosts: Hosts) -> None:
    hosts.record = world.record(replicas=())
    with pytest.raises(UsageError, match="a replica of it"):
        hosts.do("sleep")


@pytest.mark.parametrize("comes", [True, False])
def test_a_suspended_machine_is_woken_first(monkeypatch: pytest.MonkeyPatch, comes: bool) -> None:
    hosts = Hosts(monkeypatch, SUSPENDS)
    hosts.reached.remove("gpu-2")
    looks = iter([world.dead(2), world.bare(2) if comes else world.dead(2)])
    monkeypatch.setattr(sleeping, "look", lambda _: {"gpu-2": next(looks)})
    monkeypatch.setattr(sleeping, "PAUSE_S", 0.0)
    monkeypatch.setattr(sleeping, "BOOT_S", sleeping.BOOT_S if comes else 0.0)
    monkeypatch.setattr(
        sleeping, "transport_for", lambda one: SimpleNamespace(close=lambda: None, name=one.name)
    )
    later: list[tuple[str, str, str]] = []

    def call(transport: Any, op: str, **request: Any) -> dict[str, Any]:
        later.append((transport.name, op, request["id"]))
        return {"changed": False, "why": "it was awake"}

    monkeypatch.setattr(sleeping, "agent_call", call)
    rows = hosts.do("wake")
    assert ("gpu-1", "wake-host", {"mac": "3c:ec:ef:12:34:56"}) in hosts.asked
    assert later == ([("gpu-2", "wake", "chat-1")] if comes else [])
    assert (rows[1].why == "it was awake") is comes
    assert sleeping.code(rows) == (Exit.DONE if comes else Exit.HOST)


def test_nobody_wakes_a_machine_to_put_it_to_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, SUSPENDS)
    hosts.reached.remove("gpu-2")
    hosts.do("sleep")
    assert [(name, op) for name, op, _ in hosts.asked] == [("gpu-1", "sleep")]
