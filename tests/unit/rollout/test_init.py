"""What `init` asks, of whom, and what comes of the answers."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
import yaml

from hostler.console.out import Out
from hostler.hosts.types import Card, Driver, Facts, Host, Seen
from hostler.proposal.catalogue import Use
from hostler.rollout import init

CARD = Card(index=0, uuid="G0", name="NVIDIA GeForce RTX 3090", memory_mib=24576, used_mib=0)
FACTS = Facts(
    machine_id="m", hostname="a", os_id="debian", os_version="12", codename="bookworm", os_name="Debian", arch="x86_64",
    kernel="6", python="3.11", systemd="252", cpus=8, memory=64 * 2**30, disk_total=10**12, disk_free=10**12,
    boot_id="b", driver=Driver(state="working", version="580"), cards=(CARD,),
)  # fmt: skip


class Typed(io.StringIO):
    """A terminal on which these lines are typed."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(hosts: tuple[Host, ...], **_: float) -> dict[str, Seen]:
        facts = {host.name: replace(FACTS, cards=(replace(CARD, uuid=f"{host.name}-0"),)) for host in hosts}
        return {name: Seen(host=name, at=0, seconds=0, facts=facts[name]) for name in facts}

    monkeypatch.setattr(init, "look", look)


def proposed(
    monkeypatch: pytest.MonkeyPatch, typed: str | None, *, yes: bool = False, uses: tuple[Use, ...] = ()
) -> tuple[list[str], str]:
    """The models of the file, and what was said. `typed` None: there is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else Typed(typed))
    said = io.StringIO()
    text = init.propose(["basement"], Out(stdout=io.StringIO(), stderr=said), yes=yes, uses=uses)
    return list(yaml.safe_load(text)["models"]), said.getvalue()


@pytest.mark.parametrize(
    ("typed", "models"),
    [
        ("\n", ["chat", "embeddings"]),
        ("chat\n", ["chat"]),
        ("code, chat\n", ["chat", "code"]),
        ("Embeddings\n", ["embeddings"]),
        ("pictures\ncode\n", ["code"]),
        ("", ["chat", "embeddings"]),
    ],
)
def test_the_uses_are_asked_on_a_terminal(
    typed: str, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = proposed(monkeypatch, typed)
    assert found == models
    assert said.count("What for: chat, code, embeddings? [chat, and what fits beside it]") == max(
        1, typed.count("\n")
    )


@pytest.mark.parametrize(
    ("typed", "yes", "uses", "models"),
    [
        (None, False, (), ["chat", "embeddings"]),
        ("code\n", True, (), ["chat", "embeddings"]),
        ("chat\n", False, ("code",), ["code"]),
        (None, True, ("chat", "code", "embeddings"), ["chat", "code", "embeddings"]),
    ],
    ids=["no terminal", "yes", "said before", "all"],
)
def test_else_nothing_is_asked(
    typed: str | None,
    yes: bool,
    uses: tuple[Use, ...],
    models: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, said = proposed(monkeypatch, typed, yes=yes, uses=uses)
    assert found == models
    assert "What for" not in said


def test_what_is_proposed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said = proposed(monkeypatch, None)[1].splitlines()
    assert said[-2].startswith("chat: Qwen3 30B A3B, 20.9 GiB of one card, up to 210 tokens a second")
    assert said[-1] == "embeddings: Qwen3 Embedding 0.6B, 1.6 GiB of one card"
