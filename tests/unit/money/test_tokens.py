"""Tokens from counters, and whose they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.money.looks import Count, Look, Usage
from hostler.money.rows import GENERATED, PROMPT, Row
from unit.money.looks import T0, ledger, run


def count(prompt: float | None, generated: float | None = None, **changes: Any) -> Count:
    one = Count(replica="chat-0", model="chat", host="gpu-1", born="r1", prompt=prompt, generated=generated)
    return replace(one, **changes)


def looks(*counts: Count | None, every: int = 30) -> list[Look]:
    return [Look(at=T0 + every * i, counts=(one,) if one else ()) for i, one in enumerate(counts)]


def tokens(rows: tuple[Row, ...], unit: str = PROMPT, key: str = "") -> float:
    return sum(row.amount or 0.0 for row in rows if (row.kind, row.unit, row.key) == ("tokens", unit, key))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((count(500), count(600), count(650)), 150),
        ((count(500), count(20), count(50)), 50),  # reset, by nobody's word
        ((count(500), count(700, born="r2"), count(750, born="r2")), 750),  # restarted, and past where it was
        ((count(500), count(None), count(650)), 150),  # one look failed
        ((count(500), None, count(650)), 150),
        ((count(500), count(None, born="r2"), count(80, born="r2")), 80),
        ((count(None), count(900), count(950)), 50),  # what it had before is not ours
    ],
    ids=["grows", "reset", "restarted", "silent", "away", "restarted, silent", "late"],
)
def test_counters(counts: tuple[Count, ...], expected: float) -> None:
    rows = ledger(run(looks(*counts)))
    assert tokens(rows) == expected
    assert {row.basis for row in rows} == {"measured"}
    assert all(row.cost is None for row in rows)


def test_a_new_replica_counts_from_its_start() -> None:
    fresh = count(90, replica="chat-1", started=T0 + 10)
    old = count(90, replica="chat-2", started=T0 - 10)
    found = [Look(at=T0), Look(at=T0 + 30, counts=(fresh, old))]
    assert tokens(ledger(run(found))) == 90


def test_over_a_gap_they_are_a_row() -> None:
    rows = ledger(run(looks(count(0, 0), count(100, 50), every=7200)))
    assert (tokens(rows), tokens(rows, GENERATED), len(rows)) == (100, 50, 2)


def used(at: int, tokens_so_far: float, sent: dict[str, float], born: str = "h1") -> Look:
    return Look(at=T0 + at, counts=(count(0, tokens_so_far),), usage=Usage(born=born, sent={"chat": sent}))


def test_keys_have_their_share_of_the_bytes() -> None:
    rows = ledger(
        run(
            [
                used(0, 0, {"ci": 50}),
                used(150, 60, {"ci": 150, "app": 300}),
                used(300, 100, {"ci": 150, "app": 300}),
            ]
        )
    )
    assert tokens(rows, GENERATED) == 100
    assert (tokens(rows, GENERATED, "ci"), tokens(rows, GENERATED, "app")) == (25, 75)
    assert {row.basis for row in rows if row.key} == {"estimated"}


def test_the_gateways_counters_begin_anew() -> None:
    found = [
        used(0, 0, {"ci": 500, "app": 20}),
        used(150, 50, {"ci": 30, "app": 30}, "h2"),  # lower, and higher than before
        used(300, 120, {"ci": 30, "app": 90}, "h2"),
    ]
    rows = ledger(run(found))
    assert (tokens(rows, GENERATED, "ci"), tokens(rows, GENERATED, "app")) == (30, 90)


def test_bytes_wait_for_the_tokens_that_come_at_an_answers_end() -> None:
    found = [used(0, 0, {}), used(200, 0, {"ci": 900}), used(310, 0, {"ci": 900}), used(700, 80, {"ci": 900})]
    rows = ledger(run(found))
    assert tokens(rows, GENERATED, "ci") == 80
    assert [(row.start - T0, row.end - T0) for row in rows if row.key] == [(0, 700)]


def test_tokens_of_no_key_stay_nobodys() -> None:
    rows = ledger(run([used(300 * i, 10 * i, {}) for i in range(30)]))
    assert tokens(rows, GENERATED) == 290
    assert not [row for row in rows if row.key]
