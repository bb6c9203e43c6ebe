"""`hostler cost` as data, as tables and as CSV. What is not known is never shown as 0."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hostler.cloud.money import amount
from hostler.console.out import Out
from hostler.money import sums
from hostler.money.report import By
from hostler.money.rows import Row
from hostler.money.sums import Figure, Rating

UNKNOWN = "unknown"
NONE = "-"
FIGURES = (
    ("today", "today"),
    ("this month", "so_far"),
    ("by the month's end", "projection"),
    ("an hour as of late", "hourly"),
    ("saved by idling", "saved"),
    ("would have saved (shadow)", "shadow"),
)
NOBODY = {
    "model": "(no model)",
    "key": "(no key known)",
    "host": "(no host)",
    "day": NONE,
}
COLUMNS = (
    "name", "amount", "currency", "measured", "estimated", "whole", "prompt_tokens", "generated_tokens", "per_million",
    "unknown",
)  # fmt: skip


def hours(found: Mapping[str, Sequence[Row]], currency: str, rating: Rating) -> list[dict[str, Any]]:
    """What an hour costs now, a row a host."""
    return [
        {
            "host": host,
            "cost": _sum(rows, currency, rating).to_json() if rows else None,
            "how": "; ".join(dict.fromkeys(f"{row.kind}: {row.source}" for row in rows)),
        }
        for host, rows in found.items()
    ]


def _sum(rows: Iterable[Row], currency: str, rating: Rating) -> Figure:
    return sums.total((sums.spent(row) for row in rows), currency, rating)


def show(report: Mapping[str, Any], by: By, out: Out) -> None:
    ledger = report["ledger"]
    if ledger["rows"]:
        _figures(report, out)
        out.data("")
        _lines(report, by, out)
        if report["energy"]:
            out.data("")
            _energy(report["energy"], out)
    if not ledger["rows"] or report["hourly"] is None:
        if ledger["rows"]:
            out.data("")
        _now(report["now"], out)
    show_notes(report, out)


def show_notes(report: Mapping[str, Any], out: Out) -> None:
    """The story: what the figures lack, what budgets say, and what to do."""
    ledger = report["ledger"]
    for text in (*report["notes"], *ledger["problems"]):
        out.say(f"note: {text}")
    for row in report["budgets"]:
        whose = f"key {row['key']}" if row["key"] else "the stack"
        if row["text"]:
            out.say(f"budget of {whose}: {row['state']}: {row['text']}")
    if ledger["why"]:
        out.say(ledger["why"])
    if ledger["next"]:
        out.say(f"next: {ledger['next']}")


def _figures(report: Mapping[str, Any], out: Out) -> None:
    span = f"{_when(report['since'])} to {_when(report['until'])}"
    out.data(f"{report['month']} ({report['zone']}), as the ledger has it: {span}")
    if limit := report["budget"]:
        out.data(f"budget {limit['amount']:g} {limit['currency']} a month")
    rows = [(label, *_cells(report[name])) for label, name in FIGURES if name != "today" or report[name]]
    out.table(("", "AMOUNT", "MEASURED", "ESTIMATED", "NOT IN IT"), rows)


def _cells(figure: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    if figure is None:
        return UNKNOWN, NONE, NONE, "nothing was counted of late"
    return (
        money(figure),
        _value(figure["measured"]),
        _value(figure["estimated"]),
        missing(figure) or NONE,
    )


def _lines(report: Mapping[str, Any], by: By, out: Out) -> None:
    heads = (by.upper(), "AMOUNT", "TOKENS IN", "TOKENS OUT", "PER MILLION", "MEASURED", "NOT IN IT")
    refused = {row["key"] for row in report["budgets"] if row["refused_until"]} if by == "key" else set[str]()
    out.table(heads, [_line(row, by, row["name"] in refused) for row in report["by"][by]])


def _line(row: Mapping[str, Any], by: By, refused: bool) -> tuple[str, ...]:
    cost = row["cost"]
    each = row["per_million"]
    return (
        f"{row['name']} (refused)" if refused else row["name"] or NOBODY[by],
        money(cost),
        _count(row["prompt_tokens"]),
        _count(row["generated_tokens"]),
        NONE if each is None else f"{'' if cost['whole'] else '> '}{amount(each)} {cost['currency']}",
        f"{100 * cost['measured'] / cost['amount']:.0f}%" if cost["amount"] else NONE,
        missing(cost) or NONE,
    )


def _energy(rows: Sequence[Mapping[str, Any]], out: Out) -> None:
    """How the month's kWh are known."""
    out.table(
        ("ELECTRICITY", "KWH", "HOW"),
        [
            (row["basis"], f"{row['hours']:.1f} h, kWh unknown" if row["kwh"] is None else f"{row['kwh']:.2f}", row["how"])
            for row in rows
        ],
    )  # fmt: skip


def _now(rows: Sequence[Mapping[str, Any]], out: Out) -> None:
    out.table(
        ("HOST", "AN HOUR NOW", "NOT IN IT", "HOW"),
        [
            (row["host"], *((money(row["cost"]), missing(row["cost"]) or NONE) if row["cost"] else (UNKNOWN, NONE)), row["how"] or "it is not seen")
            for row in rows
        ],
    )  # fmt: skip


def money(figure: Mapping[str, Any]) -> str:
    """`12.30 EUR`; `> 12.30 EUR` where there is more; unknown where nothing is known."""
    if figure["whole"]:
        return f"{_value(figure['amount'])} {figure['currency']}".rstrip()
    return f"> {_value(figure['amount'])} {figure['currency']}" if figure["amount"] else UNKNOWN


def missing(figure: Mapping[str, Any]) -> str:
    """`3.0 h of host, 2.00 USD without a rate`"""
    dark = [f"{_used(name, value)}" for name, value in figure["unknown"].items()]
    return ", ".join(dark + [f"{value:.2f} {name} without a rate" for name, value in figure["other"].items()])


def _used(name: str, value: float) -> str:
    kind, unit = name.partition(" ")[0], name.rpartition(" ")[2]
    return f"{value:.1f} {unit} of {kind}{' of which nothing is known' if 'unseen' in name else ''}"


def _value(value: float) -> str:
    return amount(value) if value else "0"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value else NONE


def _when(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC") if at else UNKNOWN


def as_csv(report: Mapping[str, Any], by: By) -> str:
    """A line for each of `by`, with its name first; empty fields are unknown."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((by, *COLUMNS[1:]))
    for row in report["by"][by]:
        cost = row["cost"]
        flat = {**cost, **row, "unknown": missing(cost)}
        known = cost["whole"] or cost["amount"]
        cells = {**flat, "amount": flat["amount"] if known else None}
        table.writerow([_plain(cells[name]) for name in COLUMNS])
    return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
