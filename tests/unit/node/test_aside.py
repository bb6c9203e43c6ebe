"""A host's replicas aside and back: what is drained, for how long, and what becomes of it when nobody comes back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hostler.node.base import instances, spec
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.canary import canary
from hostler.node.doors import away, drain
from hostler.node.exchange import exchange
from hostler.node.replica import container
from hostler.node.upgrades import aside, reboots, upgrades
from worlds.ports import free_port

from .fakes import Heard, Host, until
from .test_exchange import exchanged


@pytest.fixture
def served(host: Host) -> Host:
    host.want()
    exchanged()
    return host


def asked(function: Any, **request: Any) -> dict[str, Any]:
    heard = Heard()
    function({"run": "r1", **request}, heard)
    return heard.last


def gone(run: str = "r1") -> dict[str, Any]:
    return asked(aside.host_away, limit=1, run=run)


def test_away_and_back(served: Host) -> None:
    said = gone()
    assert (said["changed"], said["replicas"]) == (True, ["chat-0"])
    assert drain.marked("chat-0")
    assert "speed" in (away.read() or {})["replicas"]["chat-0"]
    assert gone()["changed"] is False
    back = asked(aside.host_back)
    assert back == {"changed": True, "replicas": ["chat-0"], "proven": ["chat-0"], "unproven": ""}
    assert not drain.marked("chat-0")
    assert away.read() is None
    assert asked(aside.host_back)["changed"] is False


def test_a_mark_of_somebody_else_stays(served: Host) -> None:
    drain.mark("chat-0")
    assert gone()["replicas"] == []
    asked(aside.host_back)
    assert drain.marked("chat-0")


def test_requests_that_do_not_end_are_not_cut(served: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "in_flight", lambda *_: drain.Flight(2, 2))
    with pytest.raises(NodeError, match="2 in the engine") as refused:
        asked(aside.host_away, limit=0.05)
    assert refused.value.rc == 3
    assert not drain.marked("chat-0")
    assert away.read() is None
    assert asked(aside.host_away, limit=0.05, cut=True)["in_flight"] == {"chat-0": {"engine": 2, "proxy": 2}}
    assert drain.marked("chat-0")


def test_called_off_while_it_waits(served: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever asked for it, over another connection."""

    def waits(*_: Any) -> dict[str, drain.Flight]:
        asked(aside.host_back, unproven=True)
        return {}

    monkeypatch.setattr(drain, "wait", waits)
    with pytest.raises(NodeError, match="called off"):
        gone()
    assert not drain.marked("chat-0")
    assert away.read() is None


def test_what_did_not_serve_before_need_not_after(served: Host) -> None:
    """It is drained all the same: it might become ready in the middle."""
    instances.stop("chat-0")
    assert gone()["replicas"] == ["chat-0"]
    assert drain.marked("chat-0")
    assert asked(aside.host_back)["proven"] == []
    assert not drain.marked("chat-0")


def test_what_does_worse_stays_drained(served: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    gone()
    monkeypatch.setattr(canary, "proven", raises)
    with pytest.raises(NodeError, match="hostler-chat-0: half as fast"):
        asked(aside.host_back)
    assert drain.marked("chat-0")
    assert away.read() is not None


def raises(found: spec.Spec, *_: Any) -> str:
    raise canary.wait.FailedError("half as fast", ["a line"])


def test_drained_again_after_a_reboot(served: Host) -> None:
    gone()
    served.reboot()
    asked(aside.host_back)
    assert not drain.marked("chat-0")


def test_the_mark_is_there_before_its_container_starts(served: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    gone()
    seen: list[bool] = []
    ensure = container.ensure
    monkeypatch.setattr(
        container, "ensure", lambda found: (seen.append(drain.marked("chat-0")), ensure(found))[1]
    )
    served.reboot()
    until_runs(served)
    assert seen == [True]


def until_runs(served: Host) -> None:
    until(lambda: bool(served.runs()), "it runs")


def test_not_drained_again_when_nobody_came_for_an_hour(served: Host) -> None:
    gone()
    note = away.read() or {}
    away.write({**note, "at": note["at"] - away.AGAIN_S - 1})
    served.reboot()
    until_runs(served)
    assert not drain.marked("chat-0")


@pytest.mark.parametrize("by", ["the agent", "ansible, after the installation"])
def test_drained_again_after_our_reboot_however_long_its_packages_took(
    served: Host, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    gone()
    note = away.read() or {}
    away.write({**note, "at": note["at"] - away.AGAIN_S - 1})
    if by == "the agent":
        monkeypatch.setattr(reboots.shell, "run", lambda *_, **__: Result((), 0, "", ""))
        asked(reboots.reboot)
    else:
        monkeypatch.setattr(upgrades, "keeps_containers", lambda: True)
        monkeypatch.setattr(
            upgrades, "_manager", lambda: SimpleNamespace(tried=lambda _: [], install=len, due=list)
        )
        asked(upgrades.install, names=["openssl"])
    drain.unmark("chat-0")
    away.again("chat-0")
    assert drain.marked("chat-0")


def test_the_next_run_lets_it_serve(served: Host) -> None:
    gone()
    assert aside.left_behind("r1") == {}
    assert drain.marked("chat-0")
    assert aside.left_behind("r2") == {"chat-0": "gets requests again"}
    assert not drain.marked("chat-0")
    assert away.read() is None
    assert aside.left_behind("r3") == {}


def test_the_next_run_does_not_send_requests_to_what_answers_wrongly(
    served: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone()
    monkeypatch.setattr(aside.smoke, "smoke", raises)
    assert aside.left_behind("r2") == {"chat-0": "stays drained: half as fast"}
    assert drain.marked("chat-0")


def test_an_exchange_asks_what_was_left_drained_and_lets_it_serve(
    served: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hostler up`, the next time: whoever drained it, and whatever else it does."""
    gone()
    with monkeypatch.context() as patch:
        patch.setattr(canary, "proven", raises)
        with pytest.raises(NodeError, match="half as fast"):
            exchanged()
    assert drain.marked("chat-0")
    said = exchanged()
    assert (said["outcome"], said["why"], said["changed"]) == ("same", "it was draining", True)
    assert not drain.marked("chat-0")
    assert away.read() is None


@pytest.fixture
def second(served: Host) -> Host:
    """chat-0 stayed drained after the first upgrade; chat-1 serves."""
    port = free_port()
    health = {"port": port, "path": "/health", "limit_s": 2, "unix": ""}
    served.want(name="chat-1", argv=["good", str(port), "4096"], port=port, health=health)
    exchange.exchange({"op": "exchange", "id": "chat-1"}, Heard())
    drain.mark("chat-0")
    away.write({"run": "r0", "at": 1.0, "replicas": {"chat-0": {"speed": 9.0}}})
    return served


def only_chat_1(found: spec.Spec, *_: Any) -> str:
    return raises(found) if found["id"] == "chat-0" else ""


def test_the_next_upgrade_keeps_the_note_of_what_stayed_drained(
    second: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gone("r2")["replicas"] == ["chat-0", "chat-1"]
    monkeypatch.setattr(canary, "proven", only_chat_1)
    back = asked(aside.host_back)
    assert (back["replicas"], back["proven"]) == (["chat-1"], ["chat-1"])
    assert back["unproven"] == "chat-0 stays drained: hostler-chat-0: half as fast"
    assert (drain.marked("chat-0"), drain.marked("chat-1")) == (True, False)
    assert (away.read() or {})["replicas"] == {"chat-0": {"speed": 9.0}}


def test_the_next_upgrade_brings_it_back_when_it_is_good(second: Host) -> None:
    gone("r2")
    assert asked(aside.host_back)["replicas"] == ["chat-0", "chat-1"]
    assert not drain.marked("chat-0")
    assert away.read() is None


@pytest.mark.parametrize("how", ["refused", "called off"])
def test_what_stayed_drained_stays_so_when_the_next_upgrade_does_not_come(
    second: Host, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "refused":
        monkeypatch.setattr(drain, "in_flight", lambda *_: drain.Flight(2, 2))
        with pytest.raises(NodeError, match="2 in the engine"):
            asked(aside.host_away, limit=0.05, run="r2")
    else:
        gone("r2")
        asked(aside.host_back, unproven=True)
    assert (drain.marked("chat-0"), drain.marked("chat-1")) == (True, False)
    assert (away.read() or {})["replicas"] == {"chat-0": {"speed": 9.0}}


def test_one_late_answer_of_its_health_check_is_no_replica_that_did_not_serve(
    served: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would never be asked again before it serves."""
    late, healthy = [True], aside.wait.healthy
    monkeypatch.setattr(aside.wait, "healthy", lambda health: not (late and late.pop()) and healthy(health))
    gone()
    assert "speed" in (away.read() or {})["replicas"]["chat-0"]
