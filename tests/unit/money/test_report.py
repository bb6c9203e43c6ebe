"""Months added by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hostler.errors import UsageError
from hostler.money import months
from hostler.money.folding import folded
from hostler.money.report import Report, report
from hostler.money.rows import GENERATED, PROMPT, SHADOW, Row, cost_of

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0


def at(text: str, zone: Any = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def row(start: float, hours: float, price: float | None = 1.0, **changes: Any) -> Row:
    amount = changes.pop("amount", hours)
    whole: dict[str, Any] = {
        "id": f"{changes.get('kind', 'host')}/{changes.get('model', '')}/{changes.get('key', '')}@{start}",
        "kind": "host",
        "host": "burst-0",
        "start": start,
        "end": start + hours * HOUR,
        "amount": amount,
        "unit": "h",
        "price": price,
        "currency": "USD",
        "cost": cost_of(amount, price),
        "basis": "measured",
        **changes,
    }
    return Row(**whole)


def tokens(start: float, prompt: float, generated: float, **changes: Any) -> list[Row]:
    both = ((PROMPT, prompt), (GENERATED, generated))
    return [
        row(start, 1, None, kind="tokens", amount=amount, unit=unit, currency="", model="chat", **changes)
        for unit, amount in both
    ]


def days_of(found: Report) -> dict[str, float]:
    return {line.name: round(line.cost.amount, 9) for line in found.by["day"]}


def test_a_month_of_two_days() -> None:
    rows = [row(at("2026-11-02"), 10), row(at("2026-11-03"), 4, 0.5, basis="estimated")]
    found = report(rows, at("2026-11-03T06:00"))
    assert (found.month, found.currency) == ("2026-11", "USD")
    assert (found.so_far.measured, found.so_far.estimated) == (10, 2)
    assert found.today
    assert found.today.amount == 2
    assert days_of(found) == {"2026-11-02": 10, "2026-11-03": 2}
    assert (found.since, found.until) == (at("2026-11-02"), at("2026-11-03T04:00"))


def test_a_day_has_25_hours_when_clocks_go_back() -> None:
    """2026-10-25 in Berlin: from 22:00 UTC the day before to 23:00 UTC."""
    rows = [row(at("2026-10-24", BERLIN), 24 * 3 + 1)]
    found = report(rows, at("2026-10-31"), zone=BERLIN)
    assert days_of(found) == {"2026-10-24": 24, "2026-10-25": 25, "2026-10-26": 24}


def test_a_day_has_23_hours_when_they_go_forward() -> None:
    found = report([row(at("2026-03-28", BERLIN), 24 * 3 - 1)], at("2026-03-31", BERLIN), zone=BERLIN)
    assert days_of(found) == {"2026-03-28": 24, "2026-03-29": 23, "2026-03-30": 24}


def test_a_month_ends_where_its_zone_says() -> None:
    rows = [row(at("2026-10-31T22:00"), 3)]  # in Berlin: 23:00 to 02:00 of the next day
    october = report(rows, at("2026-11-05"), zone=BERLIN, month="2026-10")
    november = report(rows, at("2026-11-05"), zone=BERLIN)
    assert (october.so_far.amount, november.so_far.amount) == pytest.approx((1, 2))
    assert october.today is None
    assert october.projection == october.so_far
    assert report(rows, at("2026-11-05")).so_far.amount == pytest.approx(1)  # UTC: 22:00 to 01:00


@pytest.mark.parametrize(
    ("month", "zone", "files"),
    [
        ("2026-11", UTC, ["2026-10", "2026-11"]),
        ("2026-11", BERLIN, ["2026-10", "2026-11"]),
        ("2026-12", ZoneInfo("America/New_York"), ["2026-12", "2027-01"]),
    ],
    ids=str,
)
def test_files_of_a_month(month: str, zone: Any, files: list[str]) -> None:
    assert months.files(month, zone) == files


@pytest.mark.parametrize("month", ["2026", "2026-13", "2026-1", "../../x", "0000-01"])
def test_what_is_no_month(month: str) -> None:
    with pytest.raises(UsageError):
        report([], 0.0, month=month)


def test_currencies_meet_at_a_rate_only() -> None:
    start = at("2026-11-02")
    rows = [row(start, 10), row(start, 10, 0.3, kind="energy", unit="kWh", currency="EUR", host="gpu-1")]
    rated = report(rows, at("2026-11-03"), currency="EUR", rating={"USD": 0.9}.get)
    assert rated.so_far.amount == pytest.approx(12)
    assert rated.so_far.whole
    bare = report(rows, at("2026-11-03"), currency="EUR")
    assert (bare.so_far.amount, dict(bare.so_far.other)) == (pytest.approx(3), {"USD": pytest.approx(10)})
    assert not bare.so_far.whole
    assert any("10.00 USD, for which there is no rate" in note for note in bare.notes)


def test_an_unknown_price_is_told_with_how_much_of_it() -> None:
    start = at("2026-11-02")
    dark = row(start + 4 * HOUR, 2, None, amount=None, basis="unknown", source="nobody looked")
    power = row(start, 1, None, kind="energy", unit="kWh", amount=0.7)
    found = report([row(start, 3, None), row(start + 3 * HOUR, 1), dark, power], at("2026-11-03"))
    assert found.so_far.amount == 1
    assert dict(found.so_far.unknown) == {"host h": 3, "host unseen h": 2, "energy kWh": 0.7}
    assert "host: nobody looked" in found.notes


def test_the_months_end_is_what_runs_now_and_what_was() -> None:
    """29 days and a half are left of November: 708 h of one machine."""
    rows = [row(at("2026-11-01T06:00") + 300 * i, 1 / 12) for i in range(72)]
    rows += [row(at("2026-11-01T05:45"), 5, 9.0, host="burst-1")]  # gone for more than an hour
    found = report(rows, at("2026-11-01T12:00"))
    assert found.so_far.amount == pytest.approx(51)
    assert found.hourly
    assert found.hourly.amount == pytest.approx(1)
    assert found.projection
    assert found.projection.amount == pytest.approx(51 + 708)
    assert found.projection.measured == pytest.approx(51)


def test_the_months_end_is_not_known_where_nobody_looked_for_long() -> None:
    found = report([row(at("2026-11-01"), 5)], at("2026-11-02"))
    assert (found.hourly, found.projection) == (None, None)


def test_what_runs_at_no_known_price_makes_the_months_end_unknown_too() -> None:
    found = report([row(at("2026-11-30"), 12, None)], at("2026-11-30T12:00"))
    assert found.projection
    assert dict(found.projection.unknown) == {"host h": pytest.approx(24)}


def test_saved_and_shadow_are_apart_and_in_no_sum() -> None:
    start = at("2026-11-02")
    rows = [
        row(start, 2),
        row(start, 3, kind="saved", basis="estimated", source="terminate, idle"),
        row(start, 5, kind="saved", basis="estimated", source=f"{SHADOW}terminate, idle", model="x"),
    ]
    found = report(rows, at("2026-11-03"))
    assert (found.so_far.amount, found.saved.amount, found.shadow.amount) == (2, 3, 5)


def test_a_million_tokens() -> None:
    start = at("2026-11-02")
    found = report(
        [row(start, 3, model="chat"), row(start, 1), *tokens(start, 1_000_000, 500_000)], at("2026-11-03")
    )
    chat, nobody = found.by["model"]
    assert (chat.name, chat.per_million) == ("chat", 2.0)
    assert (nobody.name, nobody.per_million, nobody.cost.amount) == ("", None, 1)


def test_a_million_tokens_of_unknown_cost_cost_no_zero() -> None:
    start = at("2026-11-02")
    found = report([row(start, 3, None, model="chat"), *tokens(start, 5, 5)], at("2026-11-03"))
    assert found.by["model"][0].per_million is None


def test_keys_have_their_part_of_a_model() -> None:
    start = at("2026-11-02")
    rows = [
        row(start, 10, model="chat"),
        row(start, 2),
        *tokens(start, 600, 400),
        *tokens(start, 100, 150, key="ci", basis="estimated", host=""),
        *tokens(start, 300, 200, key="app", basis="estimated", host=""),
    ]
    found = report(rows, at("2026-11-03"))
    keys = {line.name: line for line in found.by["key"]}
    assert {name: line.cost.amount for name, line in keys.items()} == pytest.approx(
        {"app": 5.0, "ci": 2.5, "": 4.5}
    )
    assert keys["ci"].cost.measured == 0
    assert (keys[""].prompt, keys[""].generated) == (200, 50)
    assert sum(line.cost.amount for line in keys.values()) == pytest.approx(found.so_far.amount)


def test_an_empty_ledger_says_so() -> None:
    found = report([], at("2026-11-03"))
    assert (found.since, found.until, found.currency, found.hourly) == (None, None, "", None)


def test_a_ledger_that_begins_in_the_month_says_since_when() -> None:
    notes = report([row(at("2026-11-02"), 1)], at("2026-11-03")).notes
    assert "the ledger begins 2026-11-02 00:00 UTC: what was spent before is not in it" in notes
    assert not report([row(at("2026-10-31"), 30)], at("2026-11-03")).notes


def test_what_json_says_is_what_it_is() -> None:
    start = at("2026-11-02")
    found = report([row(start, 3, model="chat"), *tokens(start, 10, 20)], at("2026-11-03")).to_json()
    assert found["so_far"] == {
        "amount": 3.0,
        "currency": "USD",
        "measured": 3.0,
        "estimated": 0.0,
        "unknown": {},
        "other": {},
        "whole": True,
    }
    line = found["by"]["model"][0]
    assert (line["name"], line["prompt_tokens"], line["generated_tokens"]) == ("chat", 10, 20)
    assert replace(report([], 0.0), month="x").month == "x"


def test_a_months_rows_become_few_and_say_the_same() -> None:
    rows = [row(at("2026-11-02") + 300 * i, 1 / 12) for i in range(2000)]
    rows += [
        row(at("2026-11-02") + 300 * i, 1 / 12, kind="saved", source=f"{SHADOW}stop, idle") for i in range(9)
    ]
    now = rows[1999].end
    fewer = folded(rows, now)
    assert len(fewer) < 40
    one, other = report(rows, now), report(fewer, now)
    assert other.so_far.amount == pytest.approx(one.so_far.amount)
    assert other.shadow.amount == pytest.approx(one.shadow.amount)
    assert (other.hourly, other.projection) == (one.hourly, one.projection)
    assert days_of(other) == pytest.approx(days_of(one))
    assert folded(fewer, now) == fewer


def test_folded_rows_say_how_their_kwh_are_known() -> None:
    start = at("2026-11-02")
    hows = (("its meter", "measured", 2.0), ("cards", "measured", 1.0), ("idle", "estimated", 1.0))
    rows = [
        row(
            start + 300 * i,
            1,
            kind="energy",
            unit="kWh",
            amount=kwh,
            basis=basis,
            source=how,
            id=f"{how}@{i}",
        )
        for i in (*range(9), 50)
        for how, basis, kwh in hows
    ]
    rows.append(row(start, 2, None, kind="energy", unit="kWh", amount=None, basis="unknown", source="nobody"))
    found = report(folded(rows, at("2026-11-05")), at("2026-11-05")).energy
    assert [(one.how, one.basis, one.kwh, one.hours) for one in found] == [
        *((how, basis, 10 * kwh, None) for how, basis, kwh in hows),
        ("nobody", "unknown", None, 2.0),
    ]
    assert found == report(rows, at("2026-11-05")).energy


def test_folded_hours_of_which_nothing_is_known_are_no_more_than_they_were() -> None:
    start = at("2026-11-02")
    rows = [
        row(start + i * 4 * HOUR, 1, None, amount=None, basis="unknown", source="nobody looked")
        for i in (0, 2)
    ]
    found = report(folded(rows, at("2026-11-05")), at("2026-11-05"))
    assert dict(found.so_far.unknown) == {"host unseen h": 2}
