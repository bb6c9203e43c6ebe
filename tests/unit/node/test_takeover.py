"""The gateway's container is exchanged with the old one running beside it: each way it can end, a kill at each step."""

from typing import Any

import pytest

from hostler.node.base import instances, spec
from hostler.node.base.protocol import NodeError
from hostler.node.docker import docker
from hostler.node.doors import haproxy
from hostler.node.exchange import exchange, retire, takeover
from hostler.node.replica import beside, journal
from worlds.ports import free_port

from .fakes import Heard, Host, until
from .test_exchange_killed import KilledError, killed_around, killed_at_step

NAME = "hostler-gateway"


@pytest.fixture(autouse=True)
def haproxys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers as a real one does; tests/contract/gateway has that. A soft stop ends the old one at once."""
    monkeypatch.setattr(haproxy, "worker", lambda _: "7")
    monkeypatch.setattr(takeover, "_good", good)
    monkeypatch.setattr(docker, "kill", lambda name, _: docker.stop(name, 1))
    monkeypatch.setattr(beside, "PAUSE", 0.01)
    monkeypatch.setattr(instances, "wait_anew", lambda _: None)


def good(new: dict[str, Any], _: int) -> None:
    if "bad" in new["argv"]:
        raise NodeError("not-ready", "it is not good", "")


def want(host: Host, tag: str = "", *words: str) -> None:
    port = free_port()  # the fake's engines share none
    host.want(
        name="gateway",
        part="gateway",
        effect="restart",
        tag=tag,
        argv=["haproxy", str(port), "4096", *words],
        model="",
        port=0,
        context=0,
        health={"port": port, "path": "/health", "limit_s": 5, "unix": ""},
    )


def exchanged(**request: Any) -> dict[str, Any]:
    heard = Heard()
    exchange.exchange({"op": "exchange", "id": "gateway", **request}, heard)
    return heard.last


def calm(host: Host, tag: str) -> None:
    """One container at rest, under its own name, and it is the applied one."""
    assert host.docker.names() == ["/" + NAME]
    assert journal.names() == []
    assert host.runs("gateway").endswith(tag)
    assert (spec.applied("gateway") or {})["spec"] == host.runs("gateway")


@pytest.fixture
def serving(host: Host) -> Host:
    want(host)
    exchanged()
    return host


def test_the_new_one_is_there_before_the_old_one_goes(serving: Host) -> None:
    want(serving, "2")
    assert exchanged()["outcome"] == "exchanged"
    assert serving.docker.most_running == 2
    calm(serving, "2")


def test_it_asks_for_the_sockets(serving: Host) -> None:
    want(serving, "2")
    exchanged()
    found: Any = docker.inspect(NAME)
    assert found["Config"]["Cmd"][-2:] == ["-x", "/run/hostler/gateway/admin.sock"]


def test_one_that_is_not_good_goes_and_the_old_one_never_stopped(serving: Host) -> None:
    before: Any = docker.inspect(NAME)
    want(serving, "2", "bad")
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert (caught.value.rc, caught.value.more["outcome"]) == (4, "restored")
    after: Any = docker.inspect(NAME)
    assert (after["Id"], docker.running(after)) == (before["Id"], True)
    calm(serving, "4096")


def test_what_the_former_one_still_answers_is_not_cut(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "kill", lambda *_: None)
    want(serving, "2")
    said = exchanged(**{"drain-s": 0.05})
    assert said["outcome"] == "exchanged"
    assert "still answers" in said["why"]
    assert docker.running(beside.former("gateway"))
    want(serving, "3")
    with pytest.raises(NodeError) as caught:
        exchanged(**{"drain-s": 0.05})
    assert caught.value.rc == 3
    docker.stop("hostler-gateway-old", 1)
    assert exchanged()["outcome"] == "exchanged"


POINTS: list[Any] = [
    ("step", beside.BESIDE),
    ("step", beside.LEAVE),
    *(
        (module, name, when)
        for module, name in (
            (docker, "create"),
            (docker, "start"),
            (docker, "rename"),
            (spec, "set_applied"),
            (beside, "soft_stop"),
            (docker, "remove"),
            (journal, "end"),
        )
        for when in ("before", "after")
    ),
]


def kill(host: Host, point: tuple[Any, ...]) -> None:
    want(host, "2")
    with pytest.MonkeyPatch.context() as patch:
        killed_at_step(patch, point[1]) if point[0] == "step" else killed_around(patch, *point)
        with pytest.raises(KilledError):
            exchanged()


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_recover_after_a_kill(serving: Host, point: tuple[Any, ...]) -> None:
    kill(serving, point)
    assert host_serves(serving)
    retire.recover({"op": "recover"}, Heard())
    until(lambda: serving.runs("gateway") != "", "it runs")
    assert len(serving.docker.running()) == 1
    assert exchanged()["outcome"] in ("exchanged", "same", "started")
    calm(serving, "2")


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_boot_after_a_power_cut(serving: Host, point: tuple[Any, ...]) -> None:
    kill(serving, point)
    serving.reboot()
    until(lambda: serving.runs("gateway") != "" and journal.names() == [], "it runs after the boot")
    assert serving.docker.names() == ["/" + NAME]


def host_serves(host: Host) -> bool:
    """Killed wherever it was, one of the two has the doors."""
    return len(host.docker.running()) >= 1


def test_a_retired_door_does_not_come_back(serving: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is retired while the former one has still to finish: nothing is left to go on with."""
    monkeypatch.setattr(docker, "kill", lambda *_: None)
    want(serving, "two")
    assert "still answers" in exchanged(**{"drain-s": 0.05})["why"]
    assert journal.names() == ["gateway"]
    monkeypatch.setattr(instances, "stop", lambda _: None)
    retire.retire({"op": "retire", "id": "gateway", "force": True}, Heard())
    assert journal.names() == []
    heard = Heard()
    retire.recover({"op": "recover"}, heard)
    assert heard.last["recovered"] == {}
    assert spec.applied("gateway") is None


def test_a_retired_door_waits_for_its_former_container(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "kill", lambda *_: None)
    want(serving, "two")
    exchanged(**{"drain-s": 0.05})
    with pytest.raises(NodeError) as caught:
        retire.retire({"op": "retire", "id": "gateway", "drain-s": 0.05}, Heard())
    assert (caught.value.rc, caught.value.more["outcome"]) == (3, "refused")
    assert len(serving.docker.running()) == 2
    docker.stop("hostler-gateway-old", 1)
    retire.retire({"op": "retire", "id": "gateway", "drain-s": 0.05}, Heard())
    assert serving.docker.names() == []


def test_what_a_bad_new_one_has_begun_to_answer_is_not_cut(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes when it has finished; until then no other one is started, and it goes without anybody, too."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(docker, "kill", lambda name, signal: asked.append((name, signal)))
    want(serving, "2", "bad")
    with pytest.raises(NodeError) as caught:
        exchanged(**{"drain-s": 0.05})
    assert caught.value.more["outcome"] == "restored"
    assert (NAME + "-new", "SIGUSR1") in asked
    assert docker.running(docker.inspect(NAME + "-new"))
    with pytest.raises(NodeError) as refused:
        exchanged(**{"drain-s": 0.05})
    assert refused.value.rc == 3
    docker.stop(NAME + "-new", 1)
    with journal.locked(["gateway"]):
        beside.attend("gateway")
    calm(serving, "4096")


def test_one_that_fails_with_the_doors_in_its_hand_is_not_called_restored(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> None:
        raise NodeError("not-ready", "it fell over", "")

    want(serving, "two")
    monkeypatch.setattr(takeover.wait, "ready", broken)
    with pytest.raises(NodeError) as raised:
        exchanged()
    assert (raised.value.more["outcome"], raised.value.more["changed"]) == ("failed", True)


@pytest.mark.parametrize(
    ("row", "waits"),
    [
        ({"check_status": "INI", "status": "UP"}, True),
        ({"check_status": "INI", "status": "MAINT (resolution)"}, False),  # its name has no address: no check
        ({"check_status": "L7OK", "status": "UP"}, False),
        ({"check_status": "", "status": "no check"}, False),
    ],
)
def test_what_is_waited_for(row: dict[str, str], waits: bool) -> None:
    assert takeover.unchecked(row) is waits
