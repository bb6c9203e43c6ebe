"""A container that is ready has exactly the cards that it asked for, or it does not stay."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base.protocol import NodeError
from hostler.node.cards import cards, inside
from hostler.node.exchange import exchange

from .fakes import Heard, Host

ASKED = ["GPU-3f1c", "GPU-9b0e"]
LISTED = "GPU {}: NVIDIA GeForce RTX 3090 (UUID: {})\n"


def listing(*uuids: str) -> str:
    return "".join(LISTED.format(i, uuid) for i, uuid in enumerate(uuids))


def start(host: Host, tag: str = "") -> dict[str, Any]:
    host.want(cards=ASKED, tag=tag)
    heard = Heard()
    exchange.exchange({"op": "exchange", "id": "chat-0"}, heard)
    return heard.last


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rows that nvidia-smi has for processes on the host."""
    rows: list[list[str]] = []
    monkeypatch.setattr(cards, "query", lambda what: rows if "apps" in what else None)
    return rows


def test_with_its_cards_it_serves(host: Host) -> None:
    assert start(host)["why"] == "it was not there"


@pytest.mark.parametrize(
    ("smi", "got"),
    [
        ((0, listing("GPU-9b0e")), "got GPU-9b0e"),
        ((0, listing("GPU-3f1c", "GPU-77aa", "GPU-9b0e")), "got GPU-3f1c, GPU-77aa, GPU-9b0e"),
        ((6, "No devices were found\n"), "got none (No devices were found)"),
        (
            (255, "Failed to initialize NVML: Unknown Error\n"),
            "got none (Failed to initialize NVML: Unknown Error)",
        ),
    ],
)
def test_a_card_too_few_or_too_many(host: Host, smi: tuple[int, str], got: str) -> None:
    host.docker.smi = smi
    with pytest.raises(NodeError) as raised:
        start(host)
    assert raised.value.message == f"cards in the container: expected GPU-3f1c, GPU-9b0e; {got}"
    assert raised.value.rc == 4
    assert host.docker.names() == []


def test_the_old_one_comes_back(host: Host) -> None:
    start(host)
    before = host.runs()
    host.docker.smi = (0, listing("GPU-9b0e"))
    with pytest.raises(NodeError, match="got GPU-9b0e"):
        start(host, tag="2")
    assert host.runs() == before


@pytest.mark.parametrize("status", inside.NOT_THERE)
def test_without_nvidia_smi_in_it_the_driver_is_asked(
    host: Host, driver: list[list[str]], status: int
) -> None:
    host.docker.smi, host.docker.pids = (status, "exec: nvidia-smi: not found"), [71, 72]
    driver += [["GPU-9b0e", "71", "900"], ["GPU-3f1c", "72", "900"], ["GPU-77aa", "5", "100"]]
    assert start(host)["why"] == "it was not there"


def test_the_driver_knows_of_fewer(host: Host, driver: list[list[str]]) -> None:
    host.docker.smi, host.docker.pids = (127, ""), [71]
    driver += [["GPU-9b0e", "71", "900"], ["GPU-3f1c", "5", "100"]]
    with pytest.raises(NodeError, match="expected GPU-3f1c, GPU-9b0e; got GPU-9b0e"):
        start(host)


def test_what_nobody_can_tell_is_unknown(host: Host) -> None:
    host.docker.smi = (127, "")
    why = "its cards are unknown: no nvidia-smi in it, and the driver names no process of it"
    assert start(host)["why"] == f"it was not there; {why}"


def test_a_container_that_asks_for_none_is_not_looked_at(host: Host) -> None:
    host.want()
    exchange.exchange({"op": "exchange", "id": "chat-0"}, Heard())
    assert not [call for call in host.docker.calls if "exec" in call]
