from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from hostler.hosts.types import Card, Driver, Seen
from hostler.models import source
from hostler.models.catalogue import CATALOGUE, Entry, propose
from hostler.models.proposal import Found, stack_text
from hostler.stackfile.load import loads

from .test_rooms import FACTS


def cards(count: int, memory: int = 24576, used: int = 0) -> tuple[Card, ...]:
    return tuple(
        Card(index=n, uuid=f"G{n}", name="NVIDIA GeForce RTX 3090", memory_mib=memory, used_mib=used)
        for n in range(count)
    )


def found(address: str, *there: Card, **facts: Any) -> Found:
    seen = replace(FACTS, cards=there, **facts)
    return Found(address=address, seen=Seen(host=address, at=0, seconds=0, facts=seen))


@pytest.mark.parametrize(
    ("hosts", "memory", "title", "count"),
    [
        ([cards(4)], 0, "Llama 3.3 70B", 2),
        ([cards(1)], 0, "Qwen2.5 32B", 1),
        ([cards(1, 16376)], 0, "Mistral Small 24B", 1),
        ([cards(1, 12288)], 0, "Qwen2.5 14B", 1),
        ([cards(1, 8192)], 0, "Llama 3.1 8B", 1),
        ([cards(1, 24576, used=20000)], 0, "Llama 3.2 3B", 1),
        ([cards(1), cards(1)], 0, "Qwen2.5 32B", 1),
        ([(), cards(1, 8192)], 999999, "Llama 3.1 8B", 1),
        ([()], 60000, "Llama 3.2 3B", 0),
        ([()], 2000, "Qwen2.5 1.5B", 0),
        ([()], 900, "SmolLM2 135M", 0),
    ],
)
def test_the_best_that_fits(hosts: list[tuple[Card, ...]], memory: int, title: str, count: int) -> None:
    choice = propose(hosts, memory)
    assert choice
    assert (choice.entry.title, choice.cards) == (title, count)
    assert [one.entry for one in choice.considered] == list(CATALOGUE[: CATALOGUE.index(choice.entry)])
    assert all(one.reason for one in choice.considered)


def test_nothing_fits() -> None:
    assert propose([()], 10) is None
    assert propose([], 0) is None


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.title)
def test_catalogue_entries_are_sources(entry: Entry) -> None:
    parsed = source.parse(entry.source)
    assert isinstance(parsed, source.HubSource)
    assert source.format_of(entry.source) == "gguf"
    assert source.label(f"x-{parsed.quantization}.gguf") == entry.quantization
    assert entry.need().how == "header"


def test_the_file_says_what_was_found() -> None:
    hosts = [
        found("basement", *cards(2), driver=Driver(state="working", version="580.65")),
        found("ops@10.0.0.5:2222"),
        Found(address="attic", seen=Seen(host="attic", at=0, seconds=1, error="no route to host")),
    ]
    text = stack_text("home", hosts)
    data = yaml.safe_load(text)
    assert data["stack"] == "home"
    assert data["pools"] == {"home": {"hosts": ["basement", "ops@10.0.0.5:2222", "attic"]}}
    assert data["models"]["chat"]["source"] == "hf:bartowski/Llama-3.3-70B-Instruct-GGUF:Q4_K_M"
    assert set(data) == {"stack", "pools", "models"}
    for words in ("2 x NVIDIA GeForce RTX 3090, 24.0 GiB", "NVIDIA driver 580.65", "no cards", "not reached: no route",
                  "on 2 cards", "# gateway:", "runs on basement"):  # fmt: skip
        assert words in text


def test_the_file_loads_as_a_stack_file() -> None:
    text = stack_text("home", [found("basement", *cards(1)), found("ops@10.0.0.5:2222")])
    stack = loads(text.encode(), "home.yaml").stack
    assert [host.address for host in stack.pools["home"].hosts] == ["basement", "10.0.0.5"]
    assert stack.models["chat"].source == "hf:bartowski/Qwen2.5-32B-Instruct-GGUF:Q4_K_M"
    uncommented = text.replace("    # replicas", "    replicas").replace("    # context", "    context")
    model = loads(uncommented.encode(), "home.yaml").stack.models["chat"]
    assert (model.replicas, model.context) == (2, 16384)


def test_a_host_cannot_write_into_the_file() -> None:
    evil = replace(cards(1)[0], name="x\npools: {}\n\x1b[31m")
    data = yaml.safe_load(stack_text("home", [found("on", evil, os_name="a\nmodels: {}"), found("it's")]))
    assert set(data) == {"stack", "pools", "models"}
    assert data["pools"]["home"]["hosts"] == ["on", "it's"]


def test_when_nothing_fits_it_says_so() -> None:
    text = stack_text(
        "home", [Found(address="attic", seen=Seen(host="attic", at=0, seconds=1, error="dead"))]
    )
    assert "no model of the catalogue fits" in text
    assert yaml.safe_load(text)["models"]["chat"]["source"].startswith("hf:HuggingFaceTB/SmolLM2")
