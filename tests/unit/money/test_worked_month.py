"""README's worked month: a rented machine that an office uses, as `shadow: true` reports it, counted look by look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hostler.cloud import prices
from hostler.money import metering
from hostler.money.looks import Away, Look
from hostler.money.metering import State
from hostler.money.report import report
from hostler.money.rows import Rate, Row
from unit.money.looks import rented

README = Path(__file__).resolve().parents[3] / "README.md"
BERLIN = ZoneInfo("Europe/Berlin")
START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
LOOK = timedelta(minutes=2)
PRICE, AFTER_H = 1.258, 0.5  # g5.xlarge on demand in eu-central-1; `after: 30m`


def usd(amount: float | None) -> Rate:
    return Rate(amount=amount, currency="USD", source="AWS price list")


def idle(at: datetime) -> bool:
    """Requests come from Monday to Friday, from 8 to 18; half an hour later it is idle."""
    here = at.astimezone(BERLIN)
    return here.weekday() > 4 or not 8 <= here.hour + here.minute / 60 < 18 + AFTER_H


def test_a_worked_month() -> None:
    disk, address = prices.disk("eu-central-1", 100).amount, prices.address().amount
    assert disk
    assert address
    there = rented(price=usd(PRICE), disk=usd(disk), address=usd(address))
    away = Away(
        subject="burst-0", host="burst-0", do="terminate", shadow=True, unit="h", amount=1.0,
        rate=usd(PRICE + disk + address),
    )  # fmt: skip
    state, rows, at = State(), list[Row](), START
    while at <= END:
        look = Look(at=at.timestamp(), machines=(there,), away=(away,) if idle(at) else ())
        state = metering.tick(state, look)
        rows += state.unwritten
        state = metering.written(state, {row.id for row in state.unwritten})
        at += LOOK
    found = report([*rows, *metering.under_way(state)], END.timestamp() - 1, month="2026-11")
    spent, would = found.so_far.amount, found.shadow.amount
    assert spent == pytest.approx(720 * (PRICE + disk + address))
    assert would == pytest.approx((720 - 21 * 10.5) * (PRICE + disk + address), rel=0.01)  # 21 working days
    said = README.read_text(encoding="utf-8")
    assert f"this month                 {spent:.2f} USD" in said
    assert f"would have saved (shadow)  {would:.2f} USD" in said
    assert f"{100 * would / spent:.0f} of 100" in said
