"""First tokens for Prometheus: a histogram a model, which only grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hostler.controller.page.source import Histogram
from hostler.controller.service.waits import Waits
from hostler.hosts.types import Host, Ssh
from hostler.leases.view import FRESH_S, View
from hostler.models.types import Member, Replica

REPLICAS = tuple(
    Replica(id=f"chat-{at}", model="chat", members=(Member(host="gpu-1", cards=(), port=1),)) for at in (0, 1)
)


@dataclass
class One:
    counts: Sequence[float]
    total: float
    born: str = "a"
    bounds: Sequence[float] = (0.1, 0.5)


def add(waits: Waits, *ones: One | None, now: float = 0.0) -> Histogram | None:
    rows: dict[str, Any] = {
        f"chat-{at}": {
            "born": one.born,
            "first_token": {"bounds": list(one.bounds), "counts": list(one.counts), "sum": one.total},
        }
        if one
        else {"born": None, "first_token": None}
        for at, one in enumerate(ones)
    }
    host = Host(name="gpu-1", pool="", ssh=Ssh(address=""))
    view = View(host=host, looked={"at": 1.0, "replicas": rows})
    waits.add({"gpu-1": view}, REPLICAS, now)
    return waits.histograms().get("chat")


def made(*counts: float, total: float, bounds: tuple[float, ...] = (0.1, 0.5)) -> Histogram:
    return Histogram(bounds_s=bounds, counts=counts, total_s=total)


def test_it_grows_from_0_by_what_all_replicas_count() -> None:
    """Not by what they had counted before this process began."""
    waits = Waits()
    assert add(waits, One((100, 200, 300), 90.0), One((5, 5, 5), 1.0)) == made(0, 0, 0, total=0.0)
    assert add(waits, One((101, 203, 304), 92.0), One((5, 6, 7), 1.5)) == made(1, 4, 6, total=2.5)
    assert add(waits, One((101, 203, 304), 92.0), One((5, 6, 7), 1.5)) == made(1, 4, 6, total=2.5)


def test_a_restart_takes_nothing_back() -> None:
    waits = Waits()
    add(waits, One((4, 4, 4), 1.0))
    add(waits, One((6, 6, 6), 2.0))
    assert add(waits, One((1, 1, 2), 0.5, born="b")) == made(3, 3, 4, total=1.5)
    assert add(waits, One((0, 0, 1), 0.25, born="b")) == made(3, 3, 5, total=1.75)  # they fell
    assert add(waits, One((9, 9, 9), 4.0, born="c")) == made(12, 12, 14, total=5.75)


def test_silence_and_what_goes_take_nothing_back() -> None:
    waits = Waits()
    add(waits, One((4, 4, 4), 1.0), One((1, 1, 1), 1.0))
    add(waits, None, One((2, 2, 2), 2.0))
    assert add(waits, One((9, 9, 9), 9.0), now=FRESH_S + 1) == made(1, 1, 1, total=1.0)  # too old to count
    assert add(waits, One((6, 6, 6), 2.0), None) == made(3, 3, 3, total=2.0)
    waits.add({}, (), 0.0)
    assert waits.histograms()["chat"] == made(3, 3, 3, total=2.0)


def test_of_two_versions_only_bounds_that_both_have_stay() -> None:
    waits = Waits()
    add(waits, One((1, 1, 1), 1.0), One((1, 1, 1, 1), 1.0, bounds=(0.1, 0.25, 0.5)))
    found = add(waits, One((2, 3, 4), 2.0), One((2, 3, 4, 5), 2.0, bounds=(0.1, 0.25, 0.5)))
    assert found == made(2, 5, 7, total=2.0)


def test_an_engine_without_one_has_none() -> None:
    assert add(Waits(), None) is None
