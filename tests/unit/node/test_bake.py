"""A replica that passed the canary serves for a while: what it does worse takes it back, and a kill decides nothing."""

from __future__ import annotations

import os
import signal
import socketserver
from collections.abc import Callable, Generator
from typing import Any

import pytest

from hostler.node.base import files, spec
from hostler.node.base.protocol import NodeError
from hostler.node.canary import canary
from hostler.node.docker import docker
from hostler.node.doors import drain, haproxy
from hostler.node.exchange import bake, exchange, retire
from hostler.node.owning import end_run
from hostler.node.replica import journal

from .fakes import Heard, Host, until
from .servers import UnixServer, serving
from .test_exchange import calm, exchanged
from .test_exchange_killed import KilledError, killed_at_step

ROW = """# pxname,svname,qcur,scur,stot,econ,eresp,hrsp_2xx,hrsp_5xx,status,
model_chat,chat-0,0,0,{stot},{econ},{eresp},{good},{bad},UP,
"""
METRICS = "llamacpp:tokens_predicted_total {}\nllamacpp:tokens_predicted_seconds_total {}\n"


class Traffic:
    """This host's gateway; with each look at it, requests have come."""

    def __init__(self, host: Host) -> None:
        self.host, self.each, self.token_s, self.worse = host, dict[str, int](), 0.1, 0.1
        self.counts = {"stot": 0, "econ": 0, "eresp": 0, "good": 0, "bad": 0}
        self.then: Callable[[], None] = lambda: None
        self.looks = 0
        fake = self

        class Command(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.readline()
                self.wfile.write(fake.looked().encode())

        path = host.root / haproxy.SOCKETS[0].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.server = serving(UnixServer(str(path), Command))

    def looked(self) -> str:
        if (journal.read("chat-0") or {}).get("phase") == "bake":
            self.looks += 1
            self.counts = {name: count + self.each.get(name, 0) for name, count in self.counts.items()}
            self.then()
        for engine in self.host.docker.engines.values():
            tokens = self.counts["stot"] or 1000
            engine.metrics = METRICS.format(tokens, tokens * (self.worse if self.looks else self.token_s))
        return ROW.format(**self.counts)


@pytest.fixture
def traffic(host: Host) -> Generator[Traffic]:
    """A replica that has served 100 requests."""
    made = Traffic(host)
    made.counts["stot"] = 100
    made.each = {"stot": 10, "good": 10}
    host.want()
    exchanged()
    host.want(tag="2")
    yield made
    made.server.shutdown()
    made.server.server_close()


def baked(seconds: float = 0.3, **more: Any) -> dict[str, Any]:
    return exchanged(**{"bake-s": seconds, **more})


def test_a_good_one_stays(host: Host, traffic: Traffic) -> None:
    traffic.then = lambda: seen.append((host.docker.names(), drain.marked("chat-0")))
    seen: list[Any] = []
    said = baked()
    assert said["outcome"] == "exchanged"
    assert "baked for 0 s: " in said["why"]
    assert said["why"].endswith(" 0 errors")
    assert seen[-1] == (["/hostler-chat-0", "/hostler-chat-0-old"], False)
    assert host.runs().endswith("2")
    calm(host)


@pytest.mark.parametrize("column", ["bad", "econ", "eresp"])
def test_one_that_fails_requests_goes(
    host: Host, traffic: Traffic, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """It is drained before it is stopped."""
    traffic.each = {"stot": 10, column: 1}
    waited: list[Any] = []
    wait = drain.wait

    def waiting(names: Any, specs: Any, limit: float) -> Any:
        waited.append((list(names), (journal.read("chat-0") or {})["phase"], drain.marked("chat-0")))
        return wait(names, specs, limit)

    monkeypatch.setattr(drain, "wait", waiting)
    with pytest.raises(NodeError) as caught:
        baked(30)
    assert (caught.value.rc, caught.value.more["outcome"]) == (4, "restored")
    assert "bake: expected at most 1% of its requests to fail, or 2; got 3 of 30" in caught.value.message
    assert waited == [(["chat-0"], "drain", True), (["chat-0"], "restore", True)]
    assert not host.runs().endswith("2")
    calm(host)


def test_more_errors_may_be_allowed(host: Host, traffic: Traffic) -> None:
    traffic.each = {"stot": 10, "bad": 1}
    assert baked(**{"bake-errors": 0.2})["outcome"] == "exchanged"


def test_a_slow_one_goes(host: Host, traffic: Traffic) -> None:
    traffic.worse = 0.25
    with pytest.raises(
        NodeError, match=r"in 2.0 times the time of the former replica's at most \(100 ms\); got 250 ms"
    ):
        baked()
    assert not host.runs().endswith("2")
    calm(host)


@pytest.mark.parametrize(("now", "stays"), [(81.0, True), (79.0, False)])
def test_a_slow_one_that_is_as_fast_alone_stays(
    host: Host, traffic: Traffic, monkeypatch: pytest.MonkeyPatch, now: float, stays: bool
) -> None:
    """Its clients ask longer questions."""
    traffic.worse = 0.25
    speeds: list[tuple[float, bool]] = []

    def load(*_: Any) -> canary.Load:
        in_bake = (journal.read("chat-0") or {}).get("phase") == "bake"
        speeds.append((now if in_bake else 100.0, drain.marked("chat-0")))
        return canary.Load(speeds[-1][0], 1.5)

    monkeypatch.setattr(canary, "under_load", load)
    if stays:
        assert f"alone it is as fast as that one ({now} tokens a second, then 100.0)" in baked()["why"]
    else:
        with pytest.raises(NodeError, match="times the time of the former"):
            baked()
    assert speeds[-1] == (now, True)
    assert host.runs().endswith("2") is stays
    calm(host)


@pytest.mark.parametrize(("before", "good"), [(10, True), (2, False)])
def test_errors_that_the_former_one_had_too(host: Host, traffic: Traffic, before: int, good: bool) -> None:
    traffic.counts["bad"] = before
    traffic.each = {"stot": 10, "bad": 1}
    if good:
        assert baked()["outcome"] == "exchanged"
    else:
        with pytest.raises(NodeError, match="bake: expected at most 4% of its requests to fail"):
            baked(5)
    calm(host)


def test_one_that_ends_goes(host: Host, traffic: Traffic) -> None:
    """systemd starts it again at once, perhaps before its end is seen: that is no proof."""

    def crash() -> None:
        traffic.then = lambda: None
        host.docker.end(host.docker.running()[0], 139)

    traffic.then = crash
    with pytest.raises(NodeError, match=r"bake: it (ended with status 139|was started again)"):
        baked(30)
    assert not host.runs().endswith("2")
    calm(host)


def test_a_reload_counts_from_nothing(host: Host, traffic: Traffic) -> None:
    """What HAProxy had counted before hides nothing that comes after it."""
    traffic.counts.update(stot=1000, bad=50)

    def reload() -> None:
        if traffic.looks == 5:
            traffic.counts, traffic.each = dict.fromkeys(traffic.counts, 0), {"stot": 10, "bad": 3}

    traffic.then = reload
    with pytest.raises(
        NodeError, match="bake: expected at most 10% of its requests to fail, or 2; got 3 of 10"
    ):
        baked(5)


FEW = bake.Seen(19, 0, 50.0, 10.0)
MANY = bake.Seen(20, 0, 50.0, 10.0)
SLOW = [
    ("few requests now", FEW, MANY._replace(seconds=1.0), False),
    ("few requests then", MANY, FEW._replace(seconds=1.0), False),
    ("twice as long", MANY._replace(seconds=2.0), MANY._replace(seconds=1.0), False),
    ("longer", MANY._replace(seconds=2.1), MANY._replace(seconds=1.0), True),
    ("nothing timed", MANY._replace(timed=0), MANY, False),
    ("nothing known", MANY, None, False),
]


@pytest.mark.parametrize(("now", "then", "slow"), [s[1:] for s in SLOW], ids=[s[0] for s in SLOW])
def test_too_slow(now: bake.Seen, then: bake.Seen | None, slow: bool) -> None:
    assert bool(bake.too_slow(now, then)) is slow


@pytest.mark.parametrize(
    ("requests", "errors", "bad"),
    [(10, 2, False), (10, 3, True), (1000, 10, False), (1000, 11, True), (0, 3, True)],
)
def test_too_many(requests: int, errors: int, bad: bool) -> None:
    assert bool(bake.too_many(bake.Seen(requests, errors, 0, 0))) is bad


def test_times_of_both_engines() -> None:
    vllm = (
        'vllm:time_to_first_token_seconds_sum{model_name="chat"} 8.5\n'
        'vllm:time_to_first_token_seconds_bucket{le="0.1"} 3\n'
        'vllm:time_to_first_token_seconds_count{model_name="chat"} 17.0\n'
    )
    assert bake.times(vllm) == (8.5, 17.0)
    assert bake.times(METRICS.format(221, 10.4744)) == (10.4744, 221.0)
    assert bake.times("te_request_count 5\n") == (0.0, 0.0)


def test_nothing_is_baked_unasked(host: Host, traffic: Traffic) -> None:
    assert "baked" not in exchanged()["why"]
    assert traffic.looks == 0


def test_a_first_start_is_not_baked(host: Host) -> None:
    host.want()
    assert "baked" not in baked()["why"]


def test_an_interruption_ends_it_early(host: Host, traffic: Traffic) -> None:
    """The canary was passed, and it serves: it stays."""
    traffic.then = lambda: os.kill(os.getpid(), signal.SIGTERM) if traffic.looks == 3 else None
    said = baked(3600)
    assert said["outcome"] == "exchanged"
    assert "its bake was ended after 0 of 3600 s: it stays" in said["why"]
    assert host.runs().endswith("2")
    calm(host)


def killed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        killed_at_step(patch, "bake")
        with pytest.raises(KilledError):
            baked()


def test_after_a_kill_it_goes_forward_where_it_runs(
    host: Host, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(host, monkeypatch)
    before = docker.inspect("hostler-chat-0")
    assert dict(end_run.recovered()) == {"chat-0": "went on"}
    assert (docker.inspect("hostler-chat-0") or {})["Id"] == (before or {})["Id"]
    assert host.runs().endswith("2")
    calm(host)


def test_after_a_power_cut_the_old_one_comes_back(
    host: Host, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(host, monkeypatch)
    files.remove(haproxy.SOCKETS[0])
    host.reboot()
    until(lambda: host.runs() != "", "it runs after the boot")
    assert not host.runs().endswith("2")
    calm(host)


def test_after_a_kill_and_a_crash_the_old_one_comes_back(
    host: Host, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(host, monkeypatch)
    host.docker.end(host.docker.running()[0], 139)
    until(lambda: not host.systemd.alive("chat-0"), "its `run` has ended")
    retire.recover({"op": "recover"}, Heard())
    until(lambda: host.runs() != "", "it runs again")
    assert not host.runs().endswith("2")
    calm(host)


def test_a_kill_on_the_way_back_drains_it_first(
    host: Host, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.each = {"stot": 10, "bad": 5}
    with monkeypatch.context() as patch:
        killed_at_step(patch, "restore")
        with pytest.raises(KilledError):
            baked(30)
    marked: list[bool] = []
    stop = exchange.instances.stop

    def stopping(identifier: str) -> None:
        marked.append(drain.marked(identifier))
        stop(identifier)

    monkeypatch.setattr(exchange.instances, "stop", stopping)
    assert dict(end_run.recovered()) == {"chat-0": "went back"}
    assert marked[0]
    assert (spec.applied("chat-0") or {})["spec"] == host.runs()
    assert not host.runs().endswith("2")
    calm(host)
