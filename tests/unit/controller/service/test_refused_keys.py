"""Keys that are refused once what they may cost is used up, over runs of the controller."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostler.controller.service import alarms
from hostler.money.rows import GENERATED, Row

from .test_accounts import NOW, PRICED, Place, spent

KEYED = "budget: {keys: {ci: {act: %s USD}, app: {act: 500 USD}}}\n"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    return Place(monkeypatch, tmp_path)


def asked(key: str, cost: float) -> tuple[Row, ...]:
    """A machine's cost, all of it by one key's tokens."""
    row = replace(spent(cost), model="chat")
    tokens = replace(
        row, id=f"t {key}", kind="tokens", host="", amount=1e6, unit=GENERATED, price=None, cost=None, key=key
    )
    return row, tokens


def refusals(place: Place) -> list[str]:
    return list(place.accounts.refused)


def test_a_key_is_refused_once_its_sum_is_reached(place: Place) -> None:
    place.text = PRICED + KEYED % 280
    place.again()
    place.has("gpu-1", *asked("ci", 280.5))
    assert refusals(place) == []  # nobody knows yet
    place.tick()
    assert refusals(place) == ["ci"]
    rows = {row["key"]: row for row in place.report()["budgets"]}
    assert (rows["ci"]["refused_until"], rows["app"]["refused_until"]) == (NOW + 20 * 86400, None)
    assert "of 280.00 USD; it is free again on 2026-12-01 00:00 UTC" in rows["ci"]["text"]
    assert list(alarms.on({"money": place.report()})) == ["budget-refused ci"]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, ["ci"]),
        ({"text": PRICED + KEYED % 300}, []),
        ({"text": PRICED + KEYED % 280.2}, ["ci"]),
        ({"wall": NOW + 20 * 86400}, []),
        ({"text": PRICED}, []),
    ],
    ids=["as it was", "raised", "raised too little", "in another month", "taken out"],
)
def test_it_is_refused_over_a_restart_until_it_is_judged_anew(
    place: Place, change: dict[str, Any], refused: list[str]
) -> None:
    place.text = PRICED + KEYED % 280
    place.again()
    place.has("gpu-1", *asked("ci", 280.5))
    place.tick()
    told = {name: one.text for name, one in alarms.on({"money": place.report()}).items()}
    for name, value in change.items():
        setattr(place, name, value)
    place.silent.add("gpu-1")
    place.again()
    assert refusals(place) == refused
    place.tick()
    assert (place.report(), refusals(place)) == (None, refused)
    if not change:
        assert alarms.news(told, alarms.on({"money": place.accounts.alarming()})) == ([], [])
    place.silent.clear()
    place.tick()
    assert refusals(place) == refused


@pytest.mark.parametrize("text", ["", "[]", '{"keys": [1]}', '{"keys": [{"key": "ci"}]}'])
def test_what_was_kept_of_keys_and_is_damaged_refuses_nobody(place: Place, text: str) -> None:
    place.text = PRICED + KEYED % 280
    (place.own / "refused.json").write_text(text)
    place.again()
    assert refusals(place) == []
