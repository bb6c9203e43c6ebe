"""Prometheus metrics: the snapshot's numbers and the counters, in base units. What is unknown has no sample: never 0.

Names follow Prometheus' naming guide, and those of the engines' and DCGM's own metrics where they have the thing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from hostler import __version__
from hostler.controller.page.source import Histogram, Series, Snapshot, Source

MIB = 2**20
FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "hostler_snapshot_timestamp_seconds": ("When the numbers below were seen, since 1970.", ()),
    "hostler_release": ("Number of the release that is live.", ()),
    "hostler_host_up": ("Whether a host answers.", ("host", "pool")),
    "hostler_host_disk_free_bytes": ("Free on the disk that holds models and images.", ("host",)),
    "hostler_model_replicas": ("Replicas that a model has.", ("model",)),
    "hostler_model_ready_replicas": ("Replicas that answer and get requests.", ("model",)),
    "hostler_model_tokens_per_second": ("Tokens that a model makes in a second.", ("model",)),
    "hostler_model_context_tokens": ("Tokens that a request may have.", ("model",)),
    "hostler_replica_requests_running": ("Requests that are being answered.", ("replica", "model", "host")),
    "hostler_replica_requests_waiting": ("Requests that wait in the engine.", ("replica", "model", "host")),
    "hostler_card_expected": ("Whether a card is to be there.", ("uuid", "host", "card")),
    "hostler_card_up": ("Whether a card is there.", ("uuid", "host", "card")),
    "hostler_card_memory_bytes": ("Memory that a card has.", ("uuid", "host")),
    "hostler_card_memory_used_bytes": (
        "Memory that is taken, by replica; of `other` programs; `unknown` where the card does not tell whose it is.",
        ("uuid", "host", "replica"),
    ),
    "hostler_card_utilization_ratio": ("Part of the time in which a card computes.", ("uuid", "host")),
    "hostler_card_power_watts": ("Power that a card draws.", ("uuid", "host")),
    "hostler_card_power_limit_watts": ("Power that a card may draw.", ("uuid", "host")),
    "hostler_card_temperature_celsius": ("How hot a card is.", ("uuid", "host")),
    "hostler_idle_seconds": ("For how long it has been idle; 0 while it is busy.", ("kind", "subject")),
    "hostler_idle_action_seconds": ("In how long it is given back.", ("kind", "subject", "action", "shadow")),
    "hostler_asleep": ("Whether it sleeps on purpose.", ("kind", "subject")),
    "hostler_cost_today": ("What today cost until now.", ("currency",)),
    "hostler_cost_month": ("What the month cost until now.", ("currency",)),
    "hostler_cost_month_projected": ("What the month will cost if it goes on so.", ("currency",)),
    "hostler_cost_month_complete": ("Whether all that the month used has a known price.", ()),
    "hostler_budget_month": ("What a month may cost.", ("currency",)),
    "hostler_saved_month": ("What giving back idle machines saved this month.", ("currency",)),
    "hostler_saved_month_shadow": ("What it would have saved, where it only reports.", ("currency",)),
    "hostler_requests_held": ("Requests that wait for a model to wake.", ("model",)),
}
COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "hostler_tokens": ("Tokens read (prompt) and made (generation).", ("model", "direction")),
    "hostler_requests": ("Requests that the gateway answered.", ("model", "code")),
    "hostler_wakes": ("Times that a model was woken.", ("model", "outcome")),
    "hostler_given_back": ("Times that something idle was given back.", ("action", "outcome")),
    "hostler_card_energy_joules": ("Energy that a card took.", ("uuid", "host")),
}
MONEY: Mapping[str, str] = {  # family -> figure of the money report
    "hostler_cost_today": "today",
    "hostler_cost_month": "so_far",
    "hostler_cost_month_projected": "projection",
    "hostler_saved_month": "saved",
    "hostler_saved_month_shadow": "shadow",
}
FIRST_TOKEN = "hostler_first_token_seconds"  # noqa: S105 - no password
BUILD = "hostler_build"
Sample = tuple[str, tuple[str, ...], float | int | bool | None]


def names() -> set[str]:
    """Every name that a query may use."""
    counters = {f"{name}_total" for name in COUNTERS}
    return {
        *FAMILIES,
        *counters,
        *(f"{FIRST_TOKEN}_{end}" for end in ("bucket", "count", "sum")),
        f"{BUILD}_info",
    }


class Stack(Collector):
    """Reads the source anew at each scrape."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        snapshot, series = self.source.snapshot() or {}, self.source.series()
        yield InfoMetricFamily(BUILD, "Hostler's own version.", value={"version": __version__})
        values: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for name, labels, value in (*of_snapshot(snapshot), *of_series(series, snapshot)):
            if value is not None:
                values[name].setdefault(
                    labels, float(value)
                )  # a second one of the same is refused by Prometheus
        for name, (text, labels) in FAMILIES.items():
            yield _filled(GaugeMetricFamily(name, text, labels=labels), values[name])
        for name, (text, labels) in COUNTERS.items():
            yield _filled(CounterMetricFamily(name, text, labels=labels), values[name])
        yield _first_tokens(series.first_token)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[tuple[str, ...], float]
) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _first_tokens(found: Mapping[str, Histogram]) -> Metric:
    text = "From a request to its first token."
    family = HistogramMetricFamily(FIRST_TOKEN, text, labels=["model"])
    for model, one in found.items():
        bounds = [*(str(float(bound)) for bound in one.bounds_s), "+Inf"]
        family.add_metric([model], list(zip(bounds, one.counts, strict=True)), one.total_s)
    return family


def of_snapshot(found: Snapshot) -> Iterator[Sample]:
    if not found:
        return
    yield "hostler_snapshot_timestamp_seconds", (), found.get("at")
    yield "hostler_release", (), found.get("release")
    for row in found["hosts"]:
        away = row.get("parked") or row["error_kind"] in (
            "absent",
            "unknown",
        )  # given back, or nobody knows where it is
        yield "hostler_host_up", (row["name"], row["pool"]), None if away else row["reached"]
        yield "hostler_host_disk_free_bytes", (row["name"],), row.get("disk_free")
    for row in found["models"]:
        yield from _model(row)
    for row in found["replicas"]:
        labels = (row["id"], row["model"], row["host"])
        yield "hostler_replica_requests_running", labels, row["running"]
        yield "hostler_replica_requests_waiting", labels, row["waiting"]
    for row in found["cards"]:
        yield from _card(row, found["memory"])
    for row in found.get("idle") or ():
        yield from _idle(row)
    yield from _money(found.get("money") or {})


def _model(row: Mapping[str, Any]) -> Iterator[Sample]:
    labels = (row["name"],)
    yield "hostler_model_replicas", labels, row["replicas"]
    yield "hostler_model_ready_replicas", labels, row["ready"]
    yield "hostler_model_tokens_per_second", labels, row.get("tokens_per_s")
    yield "hostler_model_context_tokens", labels, row.get("context")


def _card(row: Mapping[str, Any], memory: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    labels = (row["uuid"], row["host"])
    there = {"seen": 1, "missing": 0}.get(row["state"])
    yield "hostler_card_expected", (*labels, row["name"]), row.get("expected", True)
    yield "hostler_card_up", (*labels, row["name"]), there
    yield "hostler_card_memory_bytes", labels, _times(row["memory_mib"], MIB)
    for replica, mib in taken(row, memory):
        yield "hostler_card_memory_used_bytes", (*labels, replica), mib * MIB
    yield "hostler_card_utilization_ratio", labels, _times(row.get("utilization"), 0.01)
    yield "hostler_card_power_watts", labels, row.get("power_w")
    yield "hostler_card_power_limit_watts", labels, row.get("power_limit_w")
    yield "hostler_card_temperature_celsius", labels, row.get("temperature_c")


def taken(card: Mapping[str, Any], memory: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """(replica, MiB): together just what the card says that is taken."""
    if card.get("used_mib") is None:
        return
    there = [row for row in memory if (row["card"], row["host"]) == (card["uuid"], card["host"])]
    known = {row["replica"]: int(row["seen_mib"]) for row in there if row["seen_mib"] is not None}
    yield from known.items()
    rest = int(card["used_mib"]) - sum(known.values())
    yield "other" if len(known) == len(there) else "unknown", max(0, rest)


def _idle(row: Mapping[str, Any]) -> Iterator[Sample]:
    labels = (row["kind"], row["name"])
    state = row["state"]
    seconds = {"idle": row.get("since_s"), "busy": 0, "loading": 0}.get(state)
    yield "hostler_idle_seconds", labels, seconds
    yield "hostler_asleep", labels, None if state == "unknown" else state == "asleep"
    shadow = "true" if row.get("shadow") else "false"
    yield "hostler_idle_action_seconds", (*labels, str(row.get("do") or ""), shadow), row.get("in_s")


def _money(found: Mapping[str, Any]) -> Iterator[Sample]:
    for name, key in MONEY.items():
        figure: Mapping[str, Any] = found.get(key) or {}
        if figure.get("whole") or figure.get("amount"):  # else nothing of it has a known price
            yield name, (figure["currency"],), figure["amount"]
        others: Mapping[str, float] = figure.get("other") or {}
        yield from ((name, (currency,), amount) for currency, amount in others.items())
    if found.get("so_far"):
        yield "hostler_cost_month_complete", (), found["so_far"]["whole"]
    budget: Mapping[str, Any] = found.get("budget") or {}
    if budget:
        yield "hostler_budget_month", (budget["currency"],), budget["amount"]


def of_series(series: Series, snapshot: Snapshot) -> Iterator[Sample]:
    hosts = {row["uuid"]: row["host"] for row in snapshot.get("cards") or ()}
    yield from (("hostler_tokens", labels, value) for labels, value in series.tokens.items())
    yield from (("hostler_requests", labels, value) for labels, value in series.requests.items())
    yield from (("hostler_wakes", labels, value) for labels, value in series.wakes.items())
    yield from (("hostler_given_back", labels, value) for labels, value in series.given_back.items())
    yield from (("hostler_requests_held", (model,), value) for model, value in series.held.items())
    for uuid, value in series.joules.items():
        yield "hostler_card_energy_joules", (uuid, hosts.get(uuid, "")), value


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
