"""exchange(replica): each way it can end, and a kill at each step of it."""

from typing import Any

import pytest

from hostler.node import docker, drain, end_run, exchange, heal, instances, journal, retire, spec
from hostler.node.protocol import NodeError

from .fakes import Heard, Host, until


class KilledError(BaseException):
    """kill -9: no handler of the program runs."""


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
    "unmountable": "it cannot be started: Docker: bind source path does not exist",
}


def bad(host: Host, behaviour: str) -> None:
    if behaviour == "unmountable":
        host.want(argv=["good", str(host.port), "4096", "unmountable"])
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


STEPS = ["drain", "stop", "start", "check", "commit"]
INSIDE: list[tuple[Any, str]] = [
    (drain, "mark"),
    (docker, "rename"),
    (spec, "set_applied"),
    (exchange, "set_applied"),
    (instances, "stop"),
    (instances, "start"),
    (docker, "remove"),
    (journal, "end"),
    (drain, "unmark"),
]


def killed_at_step(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    step = journal.step

    def killing(record: dict[str, Any], name: str, **more: Any) -> None:
        step(record, name, **more)
        if name == phase:
            raise KilledError

    monkeypatch.setattr(journal, "step", killing)


def killed_around(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, when: str) -> None:
    function = getattr(module, name)

    def killing(*arguments: Any) -> Any:
        if when == "after":
            function(*arguments)
        raise KilledError

    monkeypatch.setattr(module, name, killing)


def ways() -> list[Any]:
    steps = [pytest.param(("step", phase), id=phase) for phase in STEPS]
    names = [(m, n, w) for m, n in INSIDE for w in ("before", "after")]
    return steps + [pytest.param((m, n, w), id=f"{w}-{m.__name__.split('.')[-1]}.{n}") for m, n, w in names]


def kill(host: Host, way: tuple[Any, ...], behaviour: str = "good") -> None:
    """A running replica, and an exchange to another specification that is killed on the way, if it comes there."""
    host.want()
    exchanged()
    host.want(behaviour, tag="2")
    with pytest.MonkeyPatch.context() as patch:
        killed_at_step(patch, way[1]) if way[0] == "step" else killed_around(patch, *way)
        try:
            exchanged()
        except (KilledError, NodeError):
            return
        assert way[:2] == (spec, "set_applied"), "the kill point was never reached"


@pytest.mark.parametrize("way", ways())
def test_recover_after_a_kill(host: Host, way: tuple[Any, ...]) -> None:
    kill(host, way)
    retire.recover({"op": "recover"}, Heard())
    until(lambda: host.runs() != "", "it runs again")
    calm(host)
    assert exchanged()["outcome"] in ("exchanged", "same", "started")
    calm(host)
    assert host.runs().endswith("2")


@pytest.mark.parametrize("phase", STEPS)
def test_the_next_run_recovers_it_first(host: Host, monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    """What is planned next counts the replicas that serve: this one is to be among them."""
    waited: list[str] = []
    monkeypatch.setattr(drain, "wait_served", waited.extend)
    kill(host, ("step", phase))
    assert dict(end_run.recovered()) == {"chat-0": "went on" if phase == "commit" else "went back"}
    assert (host.runs() != "", waited[-1:]) == (True, ["chat-0"])
    calm(host)


def test_what_cannot_be_recovered_now_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(host, ("step", "start"))

    def refused(_: str) -> str:
        raise NodeError("docker", "it does not answer")

    monkeypatch.setattr(exchange, "healed_now", refused)
    assert dict(end_run.recovered()) == {"chat-0": "not put right: it does not answer"}


@pytest.mark.parametrize("way", ways())
def test_exchange_again_after_a_kill(host: Host, way: tuple[Any, ...]) -> None:
    kill(host, way)
    assert exchanged()["outcome"] in ("exchanged", "same", "started")
    calm(host)
    assert host.runs().endswith("2")


@pytest.mark.parametrize("way", ways())
def test_a_boot_after_a_power_cut(host: Host, way: tuple[Any, ...]) -> None:
    """No operator at all: the instance's own `run` puts it right."""
    kill(host, way)
    host.reboot()
    until(lambda: host.runs() != "", "it runs after the boot")
    calm(host)


@pytest.mark.parametrize(
    "way", [("step", "restore"), (heal, "go_back", "before"), (heal, "go_back", "after")], ids=str
)
def test_a_kill_on_the_way_back(host: Host, way: tuple[Any, ...]) -> None:
    kill(host, way, behaviour="wrong")
    retire.recover({"op": "recover"}, Heard())
    until(lambda: host.runs() != "", "the old one runs again")
    calm(host)
    assert not host.runs().startswith("wrong")


def test_one_exchange_at_a_time(host: Host) -> None:
    host.want()
    with journal.locked(["chat-0"]), pytest.raises(NodeError, match="another exchange") as caught:
        exchanged()
    assert caught.value.rc == 3


def test_a_signal_goes_back_first(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    host.want()
    exchanged()
    good = host.runs()
    monkeypatch.setattr(exchange.wait, "proven", lambda _spec: os.kill(os.getpid(), signal.SIGTERM))
    host.want(tag="2")
    with pytest.raises(NodeError, match="interrupted") as caught:
        exchanged()
    assert (caught.value.more["outcome"], host.runs()) == ("restored", good)
    calm(host)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


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
