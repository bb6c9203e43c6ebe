"""An end that does not come: what is still there, and costs, is named."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cloud.types import Holding
from hostler.console.out import Out
from hostler.errors import ProvisionError, RefusedError
from hostler.hosts.types import Host, Seen, Ssh
from hostler.rollout import ending

HELD = tuple(
    Holding(region="eu-central-1", kind=kind, id=name, uid="u", slot=slot, state=state)
    for kind, name, slot, state in (
        ("instance", "i-1", "burst-0", "running"),
        ("volume", "vol-1", "", ""),
        ("network", "vpc-1", "", ""),
        ("bucket", "hostler-1-lab", "", ""),
    )
)


def left(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[str, str]]:
    def destroy() -> None:
        raise ProvisionError.of("burst-0", expected="AWS to accept it", got="InternalError: try again")

    def holdings(*_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(ending.rented, "fleet_of", lambda *_, **__: SimpleNamespace(destroy=destroy))
    monkeypatch.setattr(ending.account, "holdings", holdings)
    observation: Any = SimpleNamespace(file=None)
    with pytest.raises(ProvisionError) as raised:
        ending.end(
            observation,
            "u",
            ending.Held(holdings=HELD, regions=("eu-central-1",), state=True),
            Out(stderr=StringIO()),
        )
    first, *others = raised.value.problems
    assert "InternalError" in first.got
    assert all("hostler down" in one.next_step for one in others)
    return [(one.where, one.got) for one in others]


def test_what_still_costs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left(monkeypatch, HELD) == [
        ("burst-0 (i-1 in eu-central-1)", "still there: instance, running"),
        ("volume (vol-1 in eu-central-1)", "still there: volume"),
    ]


def test_where_nobody_can_be_asked_all_of_before_may_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    expired = ProvisionError.of("AWS", expected="credentials", got="expired ones")
    assert [got for _, got in left(monkeypatch, expired)] == [
        "perhaps still there: instance, running",
        "perhaps still there: volume",
    ]


def test_what_costs_nothing_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left(monkeypatch, HELD[2:]) == []


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, False),
        ({"uid": "u"}, True),  # the gateway's host still carries the stack
        ({"error": "no answer"}, True),
        ({"gateway": "burst-0"}, True),
        ({"home": "burst-0"}, True),
    ],
)
def test_a_second_down_goes_on_where_the_gateway_is_gone(change: dict[str, str], refused: bool) -> None:
    """The first one emptied the owned hosts, and the end of what is rented did not come."""
    hosts = {
        name: Host(name=name, pool="p", ssh=Ssh(address=name), owned=name == "gpu-1")
        for name in ("gpu-1", "burst-0")
    }
    uid, error = change.get("uid", ""), change.get("error", "")
    observation: Any = SimpleNamespace(
        record=None,
        gateway=hosts[change.get("gateway", "gpu-1")],
        every=tuple(hosts.values()),
        cloud=SimpleNamespace(in_use={"burst-0": None}, unmet=(), home=change.get("home", "")),
        seen={
            "gpu-1": Seen(host="gpu-1", at=0.0, seconds=0.0, uid=uid, error=error),
            "burst-0": Seen(host="burst-0", at=0.0, seconds=0.0, uid="u"),
        },
    )
    out = Out(stderr=StringIO())
    if not refused:
        return ending.drain(observation, out, cut=False)
    with pytest.raises(RefusedError):
        ending.drain(observation, out, cut=False)
    return None
