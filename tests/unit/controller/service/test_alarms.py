"""What is on is told once, and once more when it is over."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.controller.service import alarms

GOOD: dict[str, Any] = {
    "hosts": [{"name": "gpu-1", "reached": True, "error": "", "error_kind": "", "next": ""}],
    "cards": [{"host": "gpu-1", "uuid": "GPU-1", "name": "RTX 3090", "state": "seen"}],
    "replicas": [{"id": "chat-0", "host": "gpu-1", "model": "chat", "event": None}],
    "money": {"budgets": [{"key": "", "state": "ok", "text": "12 of 300 USD"}]},
}
SILENT = {"name": "gpu-1", "reached": False, "error": "no answer", "error_kind": "timeout", "next": ""}


@pytest.mark.parametrize(
    ("change", "name", "said", "command"),
    [
        ({"hosts": [SILENT]}, "host gpu-1", "does not answer", "hostler doctor"),
        ({"hosts": [{**SILENT, "next": "hostler ssh gpu-1"}]}, "host gpu-1", "does not answer", "hostler ssh gpu-1"),
        ({"hosts": [{**SILENT, "next": "look at its key"}]}, "host gpu-1", "does not answer", "hostler doctor"),
        (
            {"cards": [{"host": "gpu-1", "uuid": "GPU-1", "name": "RTX 3090", "state": "missing"}]},
            "card GPU-1",
            "a card is gone, RTX 3090",
            "hostler doctor",
        ),
        (
            {"replicas": [{"id": "chat-0", "host": "gpu-1", "model": "chat", "event": {"what": "restart loop", "wrong": True}}]},
            "stall chat-0",
            "restart loop",
            "hostler logs chat-0",
        ),
        ({"strays": {"things": [{"kind": "instance", "id": "i-1", "region": "eu"}]}}, "stray i-1", "costs", "hostler doctor --remove-strays"),
        (
            {"money": {"budgets": [{"key": "ci", "state": "hold", "text": "20.10 of 20 USD"}]}},
            "budget-hold ci",
            "20.10 of 20 USD",
            "hostler cost --by host",
        ),
        (
            {"money": {"budgets": [{"key": "ci", "state": "hold", "text": "12.30 of 12 EUR", "refused_until": 9.0}]}},
            "budget-refused ci",
            "12.30 of 12 EUR",
            "hostler cost --by key",
        ),
        ({"idle": [{"name": "burst-0", "host": "burst-0", "stays": "3 times, last: no space"}]}, "stays burst-0", "cannot end", "hostler ssh burst-0"),
        ({"certificates": [{"host": "gpu-1", "name": "server", "days": 3.2}]}, "certificate gpu-1/server", "3 days", "hostler up"),
    ],
)  # fmt: skip
def test_each(change: dict[str, Any], name: str, said: str, command: str) -> None:
    assert alarms.on(GOOD) == {}
    found = alarms.on({**GOOD, **change})
    assert list(found) == [name]
    assert said in found[name].text
    assert found[name].next == command


@pytest.mark.parametrize(
    "row",
    [
        {**SILENT, "error_kind": "absent"},  # given back
        {**SILENT, "error_kind": "unknown"},  # AWS could not be asked
    ],
)
def test_a_host_that_is_not_rented_is_no_alarm(row: dict[str, Any]) -> None:
    assert alarms.on({**GOOD, "hosts": [row]}) == {}


def test_told_once_and_over() -> None:
    now = alarms.on({**GOOD, "hosts": [SILENT]})
    began, over = alarms.news({}, now)
    assert ([one.event for one in began], over) == (["host"], [])
    told = {name: one.text for name, one in now.items()}
    assert alarms.news(told, now) == ([], [])
    other = alarms.on({**GOOD, "hosts": [{**SILENT, "error": "another reason"}]})
    assert alarms.news(told, other) == ([], [])
    began, over = alarms.news(told, {})
    assert began == []
    assert (over[0].event, over[0].about, over[0].text) == ("host", "gpu-1", f"over: {told['host gpu-1']}")


def test_nothing_known_is_nothing_wrong() -> None:
    assert alarms.on({}) == {}


def test_a_step_of_a_budget_is_not_over_with_the_next() -> None:
    def at(state: str) -> dict[str, alarms.Alarm]:
        return alarms.on({"money": {"budgets": [{"key": "", "state": state, "text": state}]}})

    told = {name: one.text for name, one in at("warn").items()}
    began, over = alarms.news(told, at("hold"))
    assert ([one.event for one in began], over) == (["budget-hold"], [])
    began, over = alarms.news(told, at("ok"))
    assert ([one.event for one in over], began) == (["budget-warn"], [])


def test_that_a_key_is_refused_is_told_with_its_begin_and_its_end() -> None:
    def at(state: str, until: float | None) -> dict[str, alarms.Alarm]:
        row = {"key": "ci", "state": state, "text": state, "refused_until": until}
        return alarms.on({"money": {"budgets": [row]}})

    def names(found: list[alarms.Alarm]) -> list[str]:
        return [one.event for one in found]

    told = {name: one.text for name, one in at("hold", None).items()}
    began, over = alarms.news(told, at("hold", 9.0))
    assert (names(began), over) == (["budget-refused"], [])
    told = {name: one.text for name, one in at("hold", 9.0).items()}
    assert alarms.news(told, at("hold", 9.0)) == ([], [])
    began, over = alarms.news(told, at("hold", None))
    assert (names(began), names(over)) == (["budget-hold"], ["budget-refused"])
