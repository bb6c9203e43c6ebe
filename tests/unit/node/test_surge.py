"""A replica is exchanged beside its former one: each way it can end, and a kill at each step of it."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base import instances, sockets, spec
from hostler.node.base.protocol import NodeError
from hostler.node.docker import docker
from hostler.node.doors import drain, ports
from hostler.node.exchange import bake, exchange
from hostler.node.replica import beside, journal

from .fakes import Heard, Host

NAME = "hostler-chat-0"


@pytest.fixture(autouse=True)
def machine(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 GiB are free, and nobody else uses a port."""
    memory(host, 4096)
    monkeypatch.setattr(sockets, "quiet", lambda _: True)
    monkeypatch.setattr(sockets, "connected", lambda port: asked(host, port))
    monkeypatch.setattr(beside, "PAUSE", 0.01)
    monkeypatch.setattr(instances, "wait_anew", lambda name: anew(host, name))


def asked(host: Host, port: int) -> bool:
    """Who asks an engine is connected to it."""
    return any(one.busy and one.port == port for one in host.docker.engines.values())


def anew(host: Host, name: str) -> None:
    """systemd starts another `run`, which adopts what is there now; the former one ends with its container."""
    host.systemd.threads.pop(name)
    host.systemd.systemctl("start", f"hostler@{name}.service")


def memory(host: Host, mib: int) -> None:
    path = host.root / "proc/meminfo"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"MemTotal: 99999999 kB\nMemAvailable: {mib * 1024} kB\n")


def want(host: Host, behaviour: str = "good", tag: str = "", **more: Any) -> None:
    words = [behaviour, str(host.port), "4096", "--port", str(host.port)]
    host.want(argv=words, tag=tag, **{"memory_mib": 1000, **more})


def exchanged(**request: Any) -> dict[str, Any]:
    heard = Heard()
    exchange.exchange({"op": "exchange", "id": "chat-0", **request}, heard)
    return heard.last


def port() -> int:
    return spec.port(spec.applied("chat-0") or {})


def calm(host: Host, tag: str) -> None:
    """One container at rest under its own name; it is the applied one, and listens where that says."""
    assert host.docker.names() == ["/" + NAME]
    assert journal.names() == []
    assert host.runs().endswith(tag)
    assert (spec.applied("chat-0") or {})["spec"] == host.runs()
    found: Any = docker.inspect(NAME)
    assert str(port()) in found["Config"]["Cmd"]
    assert not drain.marked("chat-0")


@pytest.fixture
def serving(host: Host) -> Host:
    want(host, tag="1")
    exchanged()
    return host


def test_both_run_until_the_new_one_serves(serving: Host) -> None:
    want(serving, tag="2")
    said = exchanged()
    assert (said["outcome"], said["changed"]) == ("exchanged", True)
    assert "beside the old one" in said["why"]
    assert serving.docker.most_running == 2
    assert port() == serving.port + ports.SECOND
    calm(serving, "2")
    assert exchanged()["outcome"] == "same"


def test_the_next_one_has_the_first_port_again(serving: Host) -> None:
    for tag in ("2", "3"):
        want(serving, tag=tag)
        exchanged()
    assert port() == serving.port
    calm(serving, "3")


def test_as_it_is_goes_beside_too(serving: Host) -> None:
    assert "as it is; beside the old one" in exchanged(force=True)["why"]
    calm(serving, "1")


def test_in_place_keeps_the_port(serving: Host) -> None:
    """No door has to be told."""
    want(serving, tag="2")
    exchanged()
    memory(serving, 500)
    serving.docker.most_running = 0
    want(serving, tag="3")
    said = exchanged()
    assert "in place: main memory: 500 MiB free, 1256 needed" in said["why"]
    assert serving.docker.most_running == 1
    assert port() == serving.port + ports.SECOND
    calm(serving, "3")


def test_one_that_stood_still_starts_where_it_was(serving: Host) -> None:
    want(serving, tag="2")
    exchanged()
    instances.stop("chat-0")
    assert exchanged()["outcome"] == "started"
    assert port() == serving.port + ports.SECOND
    calm(serving, "2")


REASONS: dict[str, tuple[dict[str, Any], str]] = {
    "asked": ({"beside": False}, ""),
    "unknown": ({"memory_mib": 0}, "how much memory it takes is not known"),
    "words": ({"argv": ["good", "PORT", "4096"]}, ""),
}


@pytest.mark.parametrize("reason", REASONS)
def test_when_it_is_done_in_place(serving: Host, reason: str) -> None:
    more, why = REASONS[reason]
    if "argv" in more:
        words: Any = [word.replace("PORT", str(serving.port)) for word in more["argv"]]
        serving.want(tag="2", argv=words)
    else:
        want(serving, tag="2", **more)
    said = exchanged()
    assert serving.docker.most_running == 1
    assert ("in place: " + why in said["why"]) if why else "in place" not in said["why"]
    calm(serving, "2")


def test_no_room_and_nothing_else_that_serves(serving: Host) -> None:
    """What the plan did not allow is not done."""
    memory(serving, 500)
    before = docker.inspect(NAME)
    want(serving, tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged(beside=True)
    assert (caught.value.rc, caught.value.more["outcome"]) == (3, "refused")
    assert "main memory: 500 MiB free" in caught.value.message
    assert docker.inspect(NAME) == before
    calm(serving, "1")


@pytest.mark.parametrize("behaviour", ["exits", "slow", "small", "wrong", "mute", "broken", "cut", "renamed"])
def test_a_bad_one_goes_and_the_old_one_never_stopped(serving: Host, behaviour: str) -> None:
    before: Any = docker.inspect(NAME)
    want(serving, behaviour, tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged(beside=True)
    if behaviour == "exits":  # the fake says that it is out of memory: no fault of its own
        assert (caught.value.rc, caught.value.more["outcome"]) == (3, "refused")
        assert "it cannot start beside the one that serves" in caught.value.message
        assert caught.value.more["log"]
    else:
        assert (caught.value.rc, caught.value.more["outcome"]) == (4, "restored")
        assert "the old one never stopped" in caught.value.message
    after: Any = docker.inspect(NAME)
    assert (after["Id"], after["State"]) == (before["Id"], before["State"])
    calm(serving, "1")


def test_too_little_memory_after_all_is_tried_in_place(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake's `exits` says that it is out of memory; alone it starts."""
    start = serving.docker.start

    def crowded(found: dict[str, Any]) -> None:
        alone = not serving.docker.running()
        found["Config"]["Cmd"][0] = "good" if alone else found["Config"]["Cmd"][0]
        start(found)

    monkeypatch.setattr(serving.docker, "start", crowded)
    want(serving, "exits", tag="2")
    said = exchanged()
    assert "in place: there was too little memory for both" in said["why"]
    calm(serving, "2")


def test_a_bake_that_does_worse_gives_the_old_one_its_requests(
    serving: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: Any = docker.inspect(NAME)
    told: list[int] = []
    monkeypatch.setattr(ports, "tell", lambda _, to=None: told.append(spec.port(to) if to else port()))

    def worse(*_: Any) -> str:
        raise NodeError("bake", "bake: it does worse")

    monkeypatch.setattr(bake, "bake", worse)
    want(serving, tag="2")
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert "it does worse; the old one never stopped" in caught.value.message
    after: Any = docker.inspect(NAME)
    assert (after["Id"], after["State"]) == (before["Id"], before["State"])
    assert told[:2] == [serving.port + ports.SECOND, serving.port]
    calm(serving, "1")
