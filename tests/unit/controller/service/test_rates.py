"""Tokens a second: from counters of one run of an engine, over a minute."""

from __future__ import annotations

from typing import Any

from hostler.controller.service.rates import Rates
from hostler.hosts.types import Host, Ssh
from hostler.leases.view import FRESH_S, View
from hostler.models.types import Member, Replica

REPLICAS = tuple(
    Replica(id=f"chat-{at}", model="chat", members=(Member(host="gpu-1", cards=(), port=1),)) for at in (0, 1)
)


def view(at: float, *generated: float | None, born: str = "b") -> dict[str, View]:
    rows: dict[str, Any] = {
        f"chat-{number}": {"work": None if one is None else [9.0, one], "born": born}
        for number, one in enumerate(generated)
    }
    return {
        "gpu-1": View(
            host=Host(name="gpu-1", pool="", ssh=Ssh(address="")), looked={"at": at, "replicas": rows}
        )
    }


def add(rates: Rates, views: dict[str, View], now: float = 0.0) -> None:
    rates.add(views, REPLICAS, now)


def row(rates: Rates, asleep: int = 0) -> float | None:
    return rates.models([{"name": "chat", "asleep": asleep}], REPLICAS)[0]["tokens_per_s"]


def test_over_a_minute() -> None:
    rates = Rates()
    for second in range(0, 300, 5):
        add(rates, view(second, 10.0 * min(second, 200), 0.0))
    assert rates.of("chat-0") == 0.0  # silent for longer than that
    assert rates.of("chat-1") == 0.0
    add(rates, view(300, 2600.0, 0.0))
    assert rates.of("chat-0") == 10.0
    assert row(rates) == 10.0


def test_twice_the_same_look() -> None:
    rates = Rates()
    for _ in range(3):
        add(rates, view(10, 50.0, 0.0))
    assert rates.of("chat-0") is None
    assert row(rates) is None


def test_a_restart_begins_anew() -> None:
    rates = Rates()
    add(rates, view(0, 1000.0, 0.0))
    add(rates, view(5, 1100.0, 0.0))
    add(rates, view(10, 7.0, 0.0, born="c"))
    assert rates.of("chat-0") is None
    add(rates, view(20, 27.0, 0.0, born="c"))
    assert rates.of("chat-0") == 2.0


def test_unknown_is_not_nothing() -> None:
    """One that is asleep makes none; one that does not say is unknown, and so is the model."""
    rates = Rates()
    for second in (0, 10):
        add(rates, view(second, 5.0 * second, None))
    assert row(rates) is None
    assert row(rates, asleep=1) == 5.0


def test_of_a_host_that_is_silent_nothing_is_known() -> None:
    """Its last look stays as it is."""
    rates = Rates()
    for second in (0, 10):
        add(rates, view(second, 5.0 * second, 0.0))
    assert row(rates) == 5.0
    add(rates, view(10, 50.0, 0.0), FRESH_S + 1)
    assert rates.of("chat-0") is None
    assert row(rates) is None
    add(rates, view(40, 60.0, 0.0))
    assert rates.of("chat-0") is None
    add(rates, view(50, 70.0, 0.0))
    assert rates.of("chat-0") == 1.0


def test_of_what_is_no_replica_any_more_nothing_is_kept() -> None:
    rates = Rates()
    for second in (0, 10):
        add(rates, view(second, 5.0 * second, 0.0))
    rates.add({}, (), 0.0)
    assert rates.of("chat-0") is None
