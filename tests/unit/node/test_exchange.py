"""exchange(replica): each way it can end, and a kill at each step of it."""

from typing import Any

import pytest

from hostler.node.base import instances, spec
from hostler.node.base.protocol import NodeError
from hostler.node.canary import canary
from hostler.node.docker import docker
from hostler.node.doors import drain
from hostler.node.exchange import exchange, retire
from hostler.node.replica import journal

from .fakes import Heard, Host


def exchanged(**request: Any) -> dict[str, Any]:
    heard = Heard()
    exchange.exchange({"op": "exchange", "id": "chat-0", **request}, heard)
    return heard.last


def calm(host: Host) -> None:
    """What must hold after everything: one container under its own name, nothing drained, no journal."""
    assert host.docker.names() == ["/hostler-chat-0"]
    assert not drain.marked("chat-0")
    assert journal.names() == []
    assert host.docker.most_running <= 1
    assert (spec.applied("chat-0") or {})["spec"] == host.runs()


def test_first_start(host: Host) -> None:
    host.want()
    said = exchanged()
    assert (said["outcome"], said["changed"]) == ("started", True)
    calm(host)
    assert (host.root / "etc/systemd/system/multi-user.target.wants/hostler@chat-0.service").is_symlink()


def test_same_changes_nothing(host: Host) -> None:
    host.want()
    exchanged()
    before = len([c for c in host.docker.calls if not c.startswith("GET")])
    assert exchanged() == {"changed": False, "outcome": "same", "why": "as wanted", "log": []}
    assert len([c for c in host.docker.calls if not c.startswith("GET")]) == before


def test_changed_is_exchanged(host: Host) -> None:
    host.want()
    exchanged()
    host.want(tag="2")
    assert exchanged()["outcome"] == "exchanged"
    calm(host)
    assert host.runs().endswith("2")


def test_stopped_is_started(host: Host) -> None:
    host.want()
    exchanged()
    instances.stop("chat-0")
    assert exchanged()["outcome"] == "started"
    calm(host)


def test_force_exchanges_as_it_is(host: Host) -> None:
    host.want()
    exchanged()
    first = docker.inspect("hostler-chat-0")
    said = exchanged(force=True)
    assert (said["outcome"], said["why"]) == ("exchanged", "as it is")
    assert (docker.inspect("hostler-chat-0") or {})["Id"] != (first or {})["Id"]
    calm(host)


def test_changed_by_hand(host: Host) -> None:
    """Somebody made the container anew without our label."""
    host.want()
    exchanged()
    host.docker.running()[0]["Config"]["Labels"] = {}
    said = exchanged()
    assert (said["outcome"], said["why"]) == ("exchanged", "it was changed by hand")
    calm(host)


BAD = {
    "exits": "it ended with status 1",
    "slow": "not ready in 2 s: /health says 503",
    "small": "context: expected 4096 tokens a request; got 2048",
    "wrong": "smoke: expected 'Paris' in the answer; got 'Lyon'",
    "mute": "smoke: the answer is empty",
    "broken": "smoke: the stream is empty",
    "cut": "smoke: the stream broke off",
    "one piece": "smoke: the stream: expected its 8 tokens one after the other",
    "no tokens": "smoke: the answer has 0 tokens",
    "aborts": "smoke: the answer's finish_reason: expected stop or length; got 'abort'",
    "garbage": "smoke: it repeats itself: nothing but 'Paris Paris",
    "renamed": "model: expected chat; the engine has talk",
    "other": "model: expected the one of /models/chat.gguf; the engine has loaded /models/other.gguf",
    "unmountable": "it cannot be started: Docker: bind source path does not exist",
}


def bad(host: Host, behaviour: str) -> None:
    if behaviour == "unmountable":
        host.want(argv=["good", str(host.port), "4096", "unmountable"])
    elif behaviour == "other":
        host.want(argv=["other", str(host.port), "4096", "-m", "/models/chat.gguf"])
    else:
        host.want(behaviour)


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_one_is_taken_back(host: Host, monkeypatch: pytest.MonkeyPatch, behaviour: str) -> None:
    host.want()
    exchanged()
    good = host.runs()
    bad(host, behaviour)
    waited: list[str] = []
    monkeypatch.setattr(drain, "wait_served", waited.extend)
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert set(waited) == {"chat-0"}  # the next replica must not be drained before this one serves
    said = caught.value.as_json()
    assert caught.value.rc == 4
    assert (said["outcome"], said["changed"]) == ("restored", False)
    assert BAD[behaviour] in said["why"]
    if behaviour != "unmountable":
        assert said["log"][0] == "loading"
    assert host.runs() == good
    calm(host)


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_first_one_leaves_nothing(host: Host, behaviour: str) -> None:
    bad(host, behaviour)
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert (caught.value.rc, caught.value.more["outcome"]) == (4, "failed")
    assert BAD[behaviour] in caught.value.message
    assert host.docker.names() == []
    assert spec.applied("chat-0") is None
    assert journal.names() == []
    assert not drain.marked("chat-0")


def test_an_exit_is_seen_at_once(host: Host) -> None:
    """Not after the health check's limit."""
    health = {"port": host.port, "path": "/health", "limit_s": 60, "unix": ""}
    host.want("exits", health=health)
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert caught.value.more["log"] == ["loading", "error: out of memory"]


def test_in_flight_is_refused(host: Host) -> None:
    host.want()
    exchanged()
    good = host.runs()
    next(iter(host.docker.engines.values())).busy = 2
    host.want(tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged()
    said = caught.value.as_json()
    assert caught.value.rc == 3
    assert said["in_flight"] == {"chat-0": {"engine": 2, "proxy": 0}}
    assert (said["outcome"], host.runs()) == ("refused", good)
    calm(host)


def test_unknown_is_busy(host: Host) -> None:
    """An engine that does not answer is not idle."""
    host.want()
    exchanged()
    next(iter(host.docker.engines.values())).close()
    host.want(tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert caught.value.more["in_flight"] == {"chat-0": {"engine": None, "proxy": 0}}


def test_a_stopped_engine_has_nothing_in_flight(host: Host) -> None:
    """Docker's own word: what does not run is not waited for."""
    host.want()
    exchanged()
    found = host.docker.find("hostler-chat-0")
    assert found
    host.docker.end(found, 137)
    assert drain.in_flight("chat-0", spec.applied("chat-0")) == drain.Flight(0, 0)


def test_cut_goes_on(host: Host) -> None:
    host.want()
    exchanged()
    next(iter(host.docker.engines.values())).busy = 2
    host.want(tag="2")
    assert exchanged(cut=True, **{"drain-s": 0})["outcome"] == "exchanged"
    calm(host)


def test_it_waits_for_what_is_in_flight(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.want()
    exchanged()
    seen: list[drain.Flight] = []
    count = drain.in_flight

    def one_after_another(identifier: str, found: Any) -> drain.Flight:
        assert drain.marked("chat-0")
        seen.append(count(identifier, found))
        flights = [1, 0, 1, 0, 0]  # nothing once is not calm
        return drain.Flight(flights[len(seen) - 1], 0)

    monkeypatch.setattr(drain, "in_flight", one_after_another)
    host.want(tag="2")
    assert exchanged()["outcome"] == "exchanged"
    assert len(seen) == 5


def test_one_exchange_at_a_time(host: Host) -> None:
    host.want()
    with journal.locked(["chat-0"]), pytest.raises(NodeError, match="another exchange") as caught:
        exchanged()
    assert caught.value.rc == 3


def test_a_signal_goes_back_first(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    before = signal.getsignal(signal.SIGTERM)
    host.want()
    exchanged()
    good = host.runs()
    monkeypatch.setattr(canary, "proven", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    host.want(tag="2")
    with pytest.raises(NodeError, match="interrupted") as caught:
        exchanged()
    assert (caught.value.more["outcome"], host.runs()) == ("restored", good)
    calm(host)
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_edge_drains_its_replicas(host: Host) -> None:
    host.want()
    exchanged()
    edge = host.want(name="edge", part="edge", effect="restart", model="", port=0, context=0, health=None)
    assert exchange.drained_with(edge) == ["chat-0"]


def test_retire(host: Host) -> None:
    host.want()
    exchanged()
    heard = Heard()
    retire.retire({"op": "retire", "id": "chat-0"}, heard)
    assert heard.last == {"changed": True, "outcome": "retired"}
    assert host.docker.names() == []
    left = [path for path in host.root.rglob("*chat-0*") if path.name != "chat-0"]
    assert left == []
    retire.retire({"op": "retire", "id": "chat-0"}, heard)
    assert heard.last == {"changed": False, "outcome": "same"}


def test_a_busy_one_is_not_retired(host: Host) -> None:
    host.want()
    exchanged()
    next(iter(host.docker.engines.values())).busy = 1
    with pytest.raises(NodeError) as caught:
        retire.retire({"op": "retire", "id": "chat-0"}, Heard())
    assert caught.value.rc == 3
    calm(host)


@pytest.mark.parametrize("stands", ["nothing", "a stopped one", "a stopped one, drained by hand"])
def test_an_unproven_one_is_not_routed(host: Host, monkeypatch: pytest.MonkeyPatch, stands: str) -> None:
    """Where nothing serves: the health of the new one alone opens no door."""
    if stands != "nothing":
        host.want()
        exchanged()
        instances.stop("chat-0")
    by_hand = stands.endswith("by hand") and drain.mark("chat-0")
    marked: list[bool] = []
    monkeypatch.setattr(canary, "proven", lambda *_: marked.append(drain.marked("chat-0")) or "")
    host.want(tag="2")
    assert exchanged()["outcome"] == ("started" if stands == "nothing" else "exchanged")
    assert marked == [True]
    assert by_hand or not drain.marked("chat-0")
