"""First tokens of a model: the quantile as Prometheus has it, over its replicas, and why it is not known."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.hosts.types import Host, Ssh
from hostler.leases import first_tokens
from hostler.leases.first_tokens import Buckets, quantile
from hostler.leases.view import FRESH_S, View
from hostler.models.types import Member, Replica

BOUNDS = (0.1, 0.5, 1.0)
REPLICAS = tuple(
    Replica(id=f"chat-{at}", model="chat", members=(Member(host=f"gpu-{at}", cards=(), port=1),))
    for at in (0, 1)
)


@pytest.mark.parametrize(
    ("part", "counts", "expected"),
    [
        (0.95, (0, 0, 0, 0), None),
        (0.95, (0, 100, 100, 100), (0.48, False)),  # 0.1 + 0.4 * 0.95
        (0.5, (100, 100, 100, 100), (0.05, False)),  # from 0 on
        (0.95, (90, 90, 100, 100), (0.75, False)),
        (0.9, (90, 90, 100, 100), (0.1, False)),  # on a bound
        (0.95, (0, 0, 0, 7), (1.0, True)),
        (0.95, (90, 94, 95, 100), (1.0, False)),
        (0.95, (90, 93, 94, 100), (1.0, True)),
    ],
)
def test_a_quantile(part: float, counts: tuple[float, ...], expected: tuple[float, bool] | None) -> None:
    found = quantile(part, Buckets(bounds=BOUNDS, counts=counts))
    assert found == (expected and (pytest.approx(expected[0]), expected[1]))


def test_without_bounds_there_is_none() -> None:
    assert quantile(0.95, Buckets(bounds=(), counts=(5,))) is None


def test_engines_of_two_versions_are_added_where_both_know() -> None:
    whole = Buckets(bounds=(0.1, 0.5), counts=(1, 2, 3)) + Buckets(
        bounds=(0.1, 0.25, 0.5), counts=(10, 15, 20, 30)
    )
    assert whole == Buckets(bounds=(0.1, 0.5), counts=(11, 22, 33))


def test_and_in_either_order() -> None:
    one, other = Buckets(bounds=(0.1, 0.5), counts=(1, 2, 3)), Buckets(bounds=(0.5,), counts=(20, 30))
    assert one + other == other + one == Buckets(bounds=(0.5,), counts=(22, 33))


def told(*recent: float, over_s: float = 598.0, **more: Any) -> dict[str, Any]:
    row = {"bounds": [0.1, 0.5], "counts": [9, 9, 9], "sum": 1.0, "recent": list(recent), "over_s": over_s}
    return {"word": "idle", "first_token": row, **more}


def views(*rows: dict[str, Any] | None) -> dict[str, View]:
    return {
        f"gpu-{at}": View(
            host=Host(name=f"gpu-{at}", pool="", ssh=Ssh(address="")),
            looked={"at": 1.0, "replicas": {f"chat-{at}": row} if row else {}},
        )
        for at, row in enumerate(rows)
    }


UNKNOWN: list[tuple[tuple[dict[str, Any] | None, ...], str | None]] = [
    ((told(1, 2, 2),), "nobody looked at chat-1 of late"),  # its host was not heard
    ((told(1, 2, 2), None), "nobody looked at chat-1 of late"),
    ((told(1, 2, 2), {"word": "unknown", "first_token": None}), "the engine of chat-1 did not say it"),
    ((told(1, 2, 2), {"word": "idle", "first_token": {}}), first_tokens.NONE),
    ((told(0, 0, 0), told(0, 0, 0)), "no request came to a first token in 10 min"),
    ((told(0, 0, 0, over_s=0.0), told(0, 0, 0, over_s=0.0)), first_tokens.ONCE),
    ((told(1, 2, 2, word="asleep"), told(1, 2, 2, word="asleep")), None),
]


@pytest.mark.parametrize(("rows", "why"), UNKNOWN)
def test_unknown_has_its_reason(rows: tuple[dict[str, Any] | None, ...], why: str | None) -> None:
    (found,) = first_tokens.models([{"name": "chat"}], REPLICAS, views(*rows), 0.0)
    assert found == {"name": "chat", "first_token_p95_s": None, "first_token_how": why}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((told(10, 20, 20), told(90, 180, 180)), (0.46, "vLLM's histogram, 10 min, 200 requests")),
        ((told(0, 1, 1), told(0, 0, 0, word="asleep")), (0.48, "vLLM's histogram, 10 min, 1 request")),
        (
            (told(0, 4, 4, over_s=45.0), told(0, 0, 0, over_s=30.0)),
            (0.48, "vLLM's histogram, 45 s, 4 requests"),
        ),
        (
            (told(0, 0, 8), told(0, 0, 0)),
            (0.5, "vLLM's histogram, 10 min, 8 requests; more than that, its highest bound"),
        ),
    ],
)
def test_over_the_replicas_of_a_model(rows: tuple[dict[str, Any], ...], expected: tuple[float, str]) -> None:
    (found,) = first_tokens.models([{"name": "chat", "ready": 2}], REPLICAS, views(*rows), 0.0)
    assert (found["first_token_p95_s"], found["first_token_how"]) == expected
    assert found["ready"] == 2


def test_what_is_old_says_nothing() -> None:
    there = views(told(1, 2, 2), told(1, 2, 2))
    (found,) = first_tokens.models([{"name": "chat"}], REPLICAS, there, FRESH_S + 1)
    assert found["first_token_p95_s"] is None
