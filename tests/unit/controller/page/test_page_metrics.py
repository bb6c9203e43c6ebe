"""Metrics: Prometheus' own parser reads them, each number is the snapshot's, and what is unknown is not there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from hostler import resources
from hostler.controller.page import metrics
from hostler.controller.page.source import Board
from worlds import page_world as world

Labels = dict[str, str]
GPU = world.RACK[0].uuid


def registry(snapshot: dict[str, Any] | None) -> CollectorRegistry:
    source = Board()
    if snapshot is not None:
        source.put(snapshot, world.SERIES)
    made = CollectorRegistry(auto_describe=False)
    made.register(metrics.Stack(source))
    return made


def samples(snapshot: dict[str, Any] | None) -> dict[str, list[tuple[Labels, float]]]:
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(generate_latest(registry(snapshot)).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(name: str, **labels: str) -> float | None:
    rows = [
        number for found, number in samples(world.snapshot()).get(name, []) if labels.items() <= found.items()
    ]
    assert len(rows) < 2, rows
    return rows[0] if rows else None


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("hostler_release", {}, 41),
        ("hostler_snapshot_timestamp_seconds", {}, world.AT),
        ("hostler_host_up", {"host": "gpu-1"}, 1),
        ("hostler_host_up", {"host": "gpu-3"}, 0),
        ("hostler_host_up", {"host": "burst-0"}, None),
        ("hostler_model_replicas", {"model": "fast"}, 2),
        ("hostler_model_ready_replicas", {"model": "fast"}, 1),
        ("hostler_model_tokens_per_second", {"model": "chat"}, 48.37),
        ("hostler_model_tokens_per_second", {"model": "embed"}, None),
        ("hostler_replica_requests_running", {"replica": "chat-0", "host": "gpu-1", "model": "chat"}, 6),
        ("hostler_replica_requests_waiting", {"replica": "fast-1"}, 0),
        ("hostler_replica_requests_running", {"replica": "embed-0"}, None),
        ("hostler_card_memory_bytes", {"uuid": GPU}, 24576 * 2**20),
        ("hostler_card_memory_used_bytes", {"uuid": GPU, "replica": "chat-0"}, 20900 * 2**20),
        ("hostler_card_memory_used_bytes", {"uuid": GPU, "replica": "other"}, 420 * 2**20),
        ("hostler_card_memory_used_bytes", {"uuid": world.RACK[3].uuid}, None),
        ("hostler_card_power_watts", {"uuid": GPU, "host": "gpu-1"}, 268.4),
        ("hostler_card_power_watts", {"uuid": world.RACK[3].uuid}, None),
        ("hostler_card_power_limit_watts", {"uuid": GPU}, 280),
        ("hostler_card_temperature_celsius", {"uuid": GPU}, 66),
        ("hostler_card_utilization_ratio", {"uuid": GPU}, 0.87),
        ("hostler_card_expected", {"uuid": "GPU-lost"}, 1),
        ("hostler_card_up", {"uuid": "GPU-lost"}, 0),
        ("hostler_card_up", {"uuid": GPU}, 1),
        ("hostler_card_energy_joules_total", {"uuid": GPU, "host": "gpu-1"}, 1_234_567),
        ("hostler_idle_seconds", {"subject": "gpu-2", "kind": "host"}, 1610),
        ("hostler_idle_seconds", {"subject": "chat-0"}, 0),
        ("hostler_idle_seconds", {"subject": "gpu-3"}, None),
        ("hostler_idle_action_seconds", {"subject": "gpu-2", "action": "suspend", "shadow": "true"}, 190),
        ("hostler_asleep", {"subject": "heavy-0"}, 1),
        ("hostler_idle_action_seconds", {"subject": "fast-0", "action": "sleep", "shadow": "false"}, 300),
        ("hostler_idle_action_seconds", {"subject": "chat-0"}, None),
        ("hostler_asleep", {"subject": "gpu-3"}, None),
        ("hostler_cost_today", {"currency": "EUR"}, 3.18),
        ("hostler_cost_month", {"currency": "EUR"}, 88.41),
        ("hostler_cost_month", {"currency": "USD"}, 12.4),
        ("hostler_cost_month_projected", {"currency": "EUR"}, 152.6),
        ("hostler_cost_month_complete", {}, 0),
        ("hostler_budget_month", {"currency": "EUR"}, 150),
        ("hostler_saved_month", {"currency": "EUR"}, 41.07),
        ("hostler_saved_month_shadow", {"currency": "EUR"}, 7.5),
        ("hostler_tokens_total", {"model": "chat", "direction": "generation"}, 40211),
        ("hostler_requests_total", {"model": "chat", "code": "5xx"}, 1),
        ("hostler_wakes_total", {"model": "heavy", "outcome": "good"}, 4),
        ("hostler_given_back_total", {"action": "terminate"}, 2),
        ("hostler_requests_held", {"model": "heavy"}, 3),
        ("hostler_first_token_seconds_bucket", {"model": "chat", "le": "0.5"}, 200),
        ("hostler_first_token_seconds_bucket", {"model": "chat", "le": "+Inf"}, 211),
        ("hostler_first_token_seconds_count", {"model": "chat"}, 211),
        ("hostler_first_token_seconds_sum", {"model": "chat"}, 61.5),
        ("hostler_build_info", {}, 1),
    ],
)  # fmt: skip
def test_each_number(name: str, labels: Labels, expected: float | None) -> None:
    found = value(name, **labels)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_host_that_was_given_back_is_not_down() -> None:
    found = world.snapshot()
    next(row for row in found["hosts"] if row["name"] == "gpu-3")["parked"] = True
    assert {labels["host"] for labels, _ in samples(found)["hostler_host_up"]} == {"gpu-1", "gpu-2"}


def test_a_card_by_replica_adds_up_to_what_it_says() -> None:
    found = world.snapshot()
    cards = {card["uuid"]: card["used_mib"] for card in found["cards"] if card.get("used_mib") is not None}
    sums: dict[str, float] = {}
    for labels, number in samples(found)["hostler_card_memory_used_bytes"]:
        sums[labels["uuid"]] = sums.get(labels["uuid"], 0) + number
    assert sums == {uuid: used * 2**20 for uuid, used in cards.items()}


def test_memory_of_a_replica_that_the_card_does_not_tell_is_unknown() -> None:
    found = world.snapshot()
    row = next(row for row in found["memory"] if row["replica"] == "fast-0")
    row["seen_mib"] = None
    card = next(card for card in found["cards"] if card["uuid"] == row["card"])
    assert list(metrics.taken(card, found["memory"])) == [("unknown", card["used_mib"])]


def test_what_has_no_known_price_costs_no_0() -> None:
    found = world.snapshot()
    found["money"]["today"] |= {"amount": 0.0, "whole": False, "unknown": {"host h": 3.0}}
    assert "hostler_cost_today" not in samples(found)


@pytest.mark.parametrize("snapshot", [None, world.calm(), world.hostile(), {"at": world.AT} | {
    name: [] for name in ("hosts", "models", "replicas", "cards", "memory")}])  # fmt: skip
def test_both_formats_are_read_back(snapshot: dict[str, Any] | None) -> None:
    assert samples(snapshot)["hostler_build_info"]
    text = openmetrics(registry(snapshot)).decode()
    assert {family.name for family in openmetrics_families(text)} >= {"hostler_build", "hostler_release"}


def test_hostile_labels_come_back_as_they_were() -> None:
    models = {labels["model"] for labels, _ in samples(world.hostile())["hostler_model_replicas"]}
    assert models == {world.HOSTILE + name for name in ("chat", "fast", "embed", "heavy")}


def test_two_of_one_name_make_one_sample() -> None:
    found = world.snapshot()
    found["replicas"].append(found["replicas"][0])
    rows = samples(found)["hostler_replica_requests_running"]
    assert len(rows) == len({tuple(sorted(labels.items())) for labels, _ in rows})


UNITS = (
    "_seconds",
    "_bytes",
    "_watts",
    "_celsius",
    "_ratio",
    "_joules",
    "_tokens",
    "_per_second",
    "_total",
    "_info",
)
BARE = (
    "release", "up", "replicas", "expected", "asleep", "running", "waiting", "held", "today", "month", "projected", "complete",
    "shadow", "bucket", "count", "sum",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(metrics.names()))
def test_names_are_as_prometheus_wants_them(name: str) -> None:
    assert re.fullmatch(r"hostler_[a-z0-9]+(_[a-z0-9]+)*", name)
    assert name.endswith((*UNITS, *(f"_{word}" for word in BARE)))


def panels() -> list[dict[str, Any]]:
    text = (resources.templates() / "grafana" / "hostler.json").read_text(encoding="utf-8")
    return json.loads(text)["panels"]


def queries() -> list[str]:
    board = json.loads((resources.templates() / "grafana" / "hostler.json").read_text(encoding="utf-8"))
    variables = [one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    notes = [one["expr"] for one in board["annotations"]["list"]]
    return [
        *variables,
        *notes,
        *(target["expr"] for panel in panels() for target in panel.get("targets", [])),
    ]


def used(query: str) -> list[tuple[str, set[str]]]:
    """(metric, labels that it is asked by) of a query."""
    return [
        (name, set(re.findall(r"(\w+)\s*=~?", inside or "")))
        for name, inside in re.findall(r"\b(hostler_\w+)(?:\{([^}]*)\})?", query)
    ]


@pytest.mark.parametrize("query", queries())
def test_a_dashboard_asks_only_for_what_there_is(query: str) -> None:
    assert used(query)
    labels = {name: set(names) for name, (_, names) in metrics.FAMILIES.items()}
    labels |= {f"{name}_total": set(names) for name, (_, names) in metrics.COUNTERS.items()}
    labels |= {f"{metrics.FIRST_TOKEN}_{end}": {"model", "le"} for end in ("bucket", "count", "sum")}
    for name, asked in used(query):
        assert name in metrics.names()
        assert asked <= labels[name]
    grouped = [
        word.strip() for inner in re.findall(r"(?:by|on) \(([^)]*)\)", query) for word in inner.split(",")
    ]
    assert set(grouped) <= set().union(*(labels[name] for name, _ in used(query)))


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads((resources.templates() / "grafana" / "hostler.json").read_text(encoding="utf-8"))
    assert board["id"] is None
    assert (
        board["templating"]["list"][0] | {"name": "datasource", "type": "datasource"}
        == board["templating"]["list"][0]
    )
    found = [panel for panel in panels() if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in found} == {"${datasource}"}
    assert len({panel["id"] for panel in panels()}) == len(panels())
    titles = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert titles == ["Now", "Models", "Cards", "Idle", "Money"]


def test_no_two_panels_cover_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & taken
        assert at["x"] + at["w"] <= 24
        taken |= own


def test_every_metric_of_the_stack_is_on_the_dashboard_or_meant_for_alerts() -> None:
    shown = {name for query in queries() for name, _ in used(query)}
    assert metrics.names() - shown == {
        "hostler_build_info",
        "hostler_first_token_seconds_count",
        "hostler_first_token_seconds_sum",
        "hostler_host_disk_free_bytes",
        "hostler_model_context_tokens",
        "hostler_model_tokens_per_second",
    }
