from __future__ import annotations

from dataclasses import replace

import yaml

from hostler.hosts.types import Driver, Seen
from hostler.proposal.choosing import choose
from hostler.proposal.proposal import Found, stack_text, summary, there
from hostler.stackfile.load import loads

from .machines import cards, found


def test_the_file_says_what_was_found() -> None:
    hosts = [
        found("basement", *cards(2)),
        found("ops@10.0.0.5:2222"),
        Found(address="attic", seen=Seen(host="attic", at=0, seconds=1, error="no route to host")),
    ]
    text = stack_text("home", hosts)
    data = yaml.safe_load(text)
    assert data["stack"] == "home"
    assert data["pools"] == {"home": {"hosts": ["basement", "ops@10.0.0.5:2222", "attic"]}}
    assert list(data["models"]) == ["chat", "code", "embeddings"]
    assert set(data) == {"stack", "pools", "models"}
    for words in ("2 x NVIDIA GeForce RTX 3090, 24.0 GiB", "NVIDIA driver 580.95.05", "no cards", "not reached: no route",
                  "one card of basement", "# gateway:", "runs on basement"):  # fmt: skip
        assert words in text


def test_a_whole_file() -> None:
    """What a newcomer reads, word by word."""
    assert stack_text("basement", [found("basement", *cards(1))]).splitlines()[5:26] == [
        "  home:  # machines that you own; a pool is a list of addresses",
        "    hosts:",
        "      # Debian, 8 processors, 64.0 GiB of main memory",
        "      # 1 x NVIDIA GeForce RTX 3090, 24.0 GiB",
        "      # NVIDIA driver 580.95.05",
        "      - basement",
        "",
        "models:  # by the names that clients ask for",
        "  # Qwen3 30B A3B, strong, and quick for its size",
        "  # 20.9 GiB of one card, up to 210 tokens a second; 18.6 GB to download, Apache 2.0",
        "  # larger: gpt-oss 120B needs 60.1 GiB of one card",
        "  # smaller: hf:ggml-org/gpt-oss-20b-GGUF:MXFP4",
        "  chat:",
        '    source: "hf:unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:Q4_K_M"',
        "    context: 32k",
        "",
        "  # For embeddings: Qwen3 Embedding 0.6B, vectors of 1,024 numbers, in a hundred languages",
        "  # 1.6 GiB of one card; 0.6 GB to download, Apache 2.0",
        "  # smaller: hf:nomic-ai/nomic-embed-text-v1.5-GGUF:Q8_0",
        "  embeddings:",
        '    source: "hf:Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0"',
    ]


def test_the_file_loads_as_a_stack_file() -> None:
    text = stack_text("home", [found("basement", *cards(1)), found("ops@10.0.0.5:2222")])
    stack = loads(text.encode(), "home.yaml").stack
    assert [host.address for host in stack.pools["home"].hosts] == ["basement", "10.0.0.5"]
    assert (stack.models["embeddings"].engine, stack.models["embeddings"].context) == ("embeddings", 2048)
    assert stack.models["chat"].context == 32768


def test_a_second_one_where_there_is_room() -> None:
    alone, twice = (stack_text("home", [found("a", *cards(count))]) for count in (1, 8))
    assert "replicas" not in alone
    assert "    # replicas: 2  # there is room for a second one" in twice


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


def test_a_host_whose_driver_is_missing() -> None:
    """Its cards are not seen yet: what fits its main memory, and a word on what to do."""
    missing = Driver(state="missing", detail="no driver for 2 NVIDIA card(s) on the PCI bus")
    text = stack_text("home", [found("a", driver=missing)])
    assert "2 NVIDIA card(s) on the PCI bus; once it works, `hostler init` sees the cards" in text
    assert "of main memory" in text


def test_the_summary_says_what_is_proposed() -> None:
    lines = summary(choose(there([found("a", *cards(1))])), host=True)
    assert lines == [
        "chat: Qwen3 30B A3B, 20.9 GiB of one card of a, up to 210 tokens a second",
        "embeddings: Qwen3 Embedding 0.6B, 1.6 GiB of one card of a",
    ]
