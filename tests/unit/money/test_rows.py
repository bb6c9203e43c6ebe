"""Rows to JSON and back; what is no row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hostler.codec import DecodeError
from hostler.money import rows
from hostler.money.rows import Row

ROW = Row(
    id="host//burst-0/chat/@0", kind="host", host="burst-0", pool="burst", model="chat", start=0, end=300,
    amount=1 / 12, unit="h", price=1.2, currency="USD", cost=0.1, basis="measured", source="AWS price list",
)  # fmt: skip


def test_a_row_comes_back() -> None:
    data = rows.to_json(ROW)
    assert rows.from_json(json.loads(json.dumps(data))) == ROW
    assert next(iter(data)) == "id"  # the host finds it there without reading on


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": 3},
        {"kind": "fun"},
        {"basis": "sure"},
        {"start": None},
        {"end": -1},
        {"cost": "1"},
        {"cost": True},
        {"price": float("nan")},
        {"amount": float("inf")},
        {"colour": "red"},
    ],
    ids=str,
)
def test_what_is_no_row_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        rows.from_json({**rows.to_json(ROW), **wrong})


def test_what_a_row_lacks_is_named() -> None:
    data = rows.to_json(ROW)
    del data["amount"]
    with pytest.raises(DecodeError, match="amount missing"):
        rows.from_json(data)


def test_an_id_counts_once_and_a_torn_line_is_told() -> None:
    line = json.dumps(rows.to_json(ROW))
    later = json.dumps(rows.to_json(replace(ROW, id="b", start=-5)))
    found, problems = rows.read([line, line[:40], line, later, "[]"])
    assert [row.id for row in found] == ["b", ROW.id]
    assert problems == ("ledger:2: no JSON", "ledger:5: expected a row; got list")


def test_an_unknown_price_is_no_price() -> None:
    assert rows.cost_of(3.0, None) is None
    assert rows.cost_of(None, 3.0) is None
    assert rows.cost_of(3.0, 0.0) == 0
