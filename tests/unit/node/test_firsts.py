"""How long requests waited for their first token: an engine's page, and what it counted within ten minutes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from hostler.node.base import clock
from hostler.node.idle import firsts, keeping

from .fakes import Host
from .idling import NAME, door, engine, serving_one

__all__ = ["door", "serving_one"]
# As vLLM 0.11 has them.
BOUNDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
PAGE = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="chat"} 1.0
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1",model_name="chat"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.5",model_name="chat"} 7.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="chat"} 9.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="chat"} 9.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="chat"} 4.25
# HELP vllm:time_to_first_token_seconds_created Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds_created gauge
vllm:time_to_first_token_seconds_created{engine="0",model_name="chat"} 1.7645e+09
# HELP vllm:inter_token_latency_seconds Histogram of inter-token latency in seconds.
# TYPE vllm:inter_token_latency_seconds histogram
vllm:inter_token_latency_seconds_bucket{engine="0",le="0.1",model_name="chat"} 500.0
vllm:inter_token_latency_seconds_bucket{engine="0",le="+Inf",model_name="chat"} 500.0
"""
SEEN = {"bounds": [0.1, 0.5], "counts": [1.0, 7.0, 9.0], "sum": 4.25}


def without(text: str) -> str:
    return "".join(line for line in PAGE.splitlines(keepends=True) if text not in line)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (PAGE, SEEN),
        (
            PAGE + PAGE.replace('engine="0"', 'engine="1"'),
            {"bounds": [0.1, 0.5], "counts": [2, 14, 18], "sum": 8.5},
        ),
        (PAGE.replace('engine="0",', "").replace(',model_name="chat"', ""), SEEN),
        (PAGE.replace('le="0.1",model_name="chat"', 'model_name="chat",le="0.1"'), SEEN),
        (without('le="+Inf"'), {}),
        (PAGE.replace("} 7.0", "} 0.5"), {}),
        ("llamacpp:prompt_tokens_total 7\nllamacpp:requests_processing 1\n", {}),
        ("", {}),
    ],
    ids=[
        "vLLM",
        "two engines",
        "no labels",
        "another order",
        "no +Inf",
        "not cumulative",
        "llama.cpp",
        "empty",
    ],
)
def test_a_page(page: str, expected: dict[str, Any]) -> None:
    assert firsts.parsed(page) == expected


def test_a_page_as_the_library_of_vllm_writes_it() -> None:
    registry = CollectorRegistry()
    made = Histogram(
        "vllm:time_to_first_token_seconds", "x", ["model_name", "engine"], registry=registry, buckets=BOUNDS
    ).labels("chat", "0")
    for seconds in (0.0004, 0.3, 0.3, 4000.0):
        made.observe(seconds)
    found = firsts.parsed(generate_latest(registry).decode())
    assert found["bounds"] == list(BOUNDS)
    assert (found["counts"][0], found["counts"][8], found["counts"][9]) == (1, 1, 3)
    assert (found["counts"][-2], found["counts"][-1], found["sum"]) == (3, 4, pytest.approx(4000.6004))


class Engine:
    """Its counts, and the states that they go through."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.now, self.born, self.counts = 1000.0, "a", [0.0, 0.0, 0.0]

    def look(self, *more: float, after: float = 5.0) -> Any:
        self.now += after
        self.counts = [before + new for before, new in zip(self.counts, more or (0, 0, 0), strict=True)]
        seen = {"bounds": [0.1, 0.5], "counts": list(self.counts), "sum": 1.0}
        said = firsts.after(self.state, "chat-0", self.now, self.born, seen)
        self.state = json.loads(json.dumps(self.state))
        return said


def test_what_was_counted_before_it_was_seen_is_not_of_late() -> None:
    one = Engine()
    one.counts = [50.0, 60.0, 70.0]
    first = one.look()
    assert (first["recent"], first["over_s"], first["counts"]) == ([0, 0, 0], 0, [50, 60, 70])
    found = one.look(1, 2, 3)
    assert (found["recent"], found["over_s"], found["counts"]) == ([1, 2, 3], 5, [51, 62, 73])


def test_what_is_older_than_ten_minutes_is_forgotten() -> None:
    one = Engine()
    one.look()
    one.look(9, 9, 9)
    for _ in range(100):
        assert one.look()["recent"] == [9, 9, 9]
    found = [one.look() for _ in range(30)][-1]
    assert found["recent"] == [0, 0, 0]
    assert 585 <= found["over_s"] <= 615
    assert len(one.state["chat-0"]["marks"]) <= 22


def test_after_a_gap_it_begins_with_what_was_seen_then() -> None:
    one = Engine()
    one.look()
    found = one.look(5, 5, 5, after=700.0)
    assert (found["recent"], found["over_s"]) == ([0, 0, 0], 0)


@pytest.mark.parametrize("born", ["b", "a"], ids=["another run", "counters that fell"])
def test_over_a_restart_all_is_counted(born: str) -> None:
    one = Engine()
    one.look()
    one.look(4, 5, 6)
    one.born, one.counts = born, [0.0, 0.0, 0.0]
    assert one.look(1, 1, 2)["recent"] == [5, 6, 8]


def test_while_it_says_nothing_nothing_is_lost() -> None:
    one = Engine()
    one.look()
    assert firsts.after(one.state, "chat-0", one.now, "a", None) is None
    assert one.look(1, 1, 1)["recent"] == [1, 1, 1]


def test_one_without_a_histogram_says_so_and_keeps_nothing() -> None:
    one = Engine()
    one.look()
    assert firsts.after(one.state, "chat-0", one.now, "a", {}) == {}
    assert one.state == {}


@pytest.mark.parametrize(
    "damage",
    [
        {"bounds": [0.1, 0.7]},
        {"at": 9e9},
        {"grown": [1.0]},
        {"grown": None},
        {"marks": [[1, [2.0]]]},
        {"marks": "x"},
        {"counts": []},
        {"born": None, "counts": "abc"},
    ],
    ids=str,
)
def test_a_state_that_is_damaged_is_as_none(damage: dict[str, Any]) -> None:
    one = Engine()
    one.look()
    one.look(1, 1, 1)
    one.state["chat-0"].update(damage)
    found = one.look(1, 1, 1)
    assert (found["recent"], found["over_s"]) == ([0, 0, 0], 0)
    assert one.look(1, 1, 1)["recent"] == [1, 1, 1]


def test_a_look_at_the_host_has_it(serving_one: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10_000.0]
    monkeypatch.setattr(clock, "boottime", lambda: now[0])
    assert keeping.look()["replicas"][NAME]["first_token"] == {}  # llama-server's page
    engine(serving_one).metrics = PAGE
    assert keeping.look()["replicas"][NAME]["first_token"] == {**SEEN, "recent": [0, 0, 0], "over_s": 0}
    now[0] += 20
    engine(serving_one).metrics = PAGE.replace("} 9.0", "} 12.0")
    found = keeping.look()["replicas"][NAME]["first_token"]
    assert (found["recent"], found["over_s"]) == ([0, 0, 3], 20)
    now[0] += 20
    engine(serving_one).close()
    assert keeping.look()["replicas"][NAME]["first_token"] is None
