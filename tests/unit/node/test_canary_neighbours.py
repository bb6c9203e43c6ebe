"""What a comparison with the former replica may not blame the new one for, and what it may."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.canary import canary, neighbours
from hostler.node.cards import cards
from hostler.node.docker import docker
from hostler.node.replica import wait
from worlds.ports import free_port

from .fakes import Host
from .servers import FakeEngine
from .test_canary import change

HALF = "80% of the former replica's; got "


def test_a_neighbour_that_serves_meanwhile(host: Host) -> None:
    port = free_port()
    files.write_json(f"{files.APPLIED}/chat-1.json", {"id": "chat-1", "port": port})
    engine = FakeEngine(port, "good", 4096)
    engine.busy = 2
    said = change(host, "steady", "half")
    engine.close()
    assert said["outcome"] == "exchanged"
    assert HALF in said["why"]
    assert "which says nothing: chat-1 serves besides it" in said["why"]


def test_another_process_on_its_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    uses = [cards.Use("GPU-1", 7, 900), cards.Use("GPU-2", 8, 900)]
    monkeypatch.setattr(cards, "uses", lambda: uses)
    monkeypatch.setattr(docker, "processes", lambda _: [7])
    spec = {"id": "chat-0", "cards": ["GPU-1"]}
    assert neighbours.on_its_cards(spec) == ""
    uses.append(cards.Use("GPU-1", 9, 400))
    assert neighbours.on_its_cards(spec) == "process 9 is on card GPU-1, too"


@pytest.mark.parametrize(
    ("neighbour", "used", "free"), [(500, 550, True), (100, 550, False), (900, 950, True)]
)
def test_a_neighbour_that_grows_is_no_remnant(
    monkeypatch: pytest.MonkeyPatch, neighbour: int, used: int, free: bool
) -> None:
    before = cards.Held([cards.Use("GPU-1", 7, 4000)], {"GPU-1": 4100}, [cards.Use("GPU-1", 8, 100)])
    monkeypatch.setattr(cards, "uses", lambda: [cards.Use("GPU-1", 8, neighbour)])
    monkeypatch.setattr(cards, "used_mib", lambda: {"GPU-1": used})
    monkeypatch.setattr(cards, "free_mib", dict)
    assert (cards._not_yet(["GPU-1"], 0, before) == "") is free


def test_other_weights_may_repeat_themselves(host: Host) -> None:
    argv = ["looping", str(host.port), "4096", "-m", "/models/other-model.gguf"]
    said = change(host, "good", "looping", argv=argv)
    assert said["outcome"] == "exchanged"
    assert "it repeats itself: its answer can be compressed" in said["why"]


def test_a_model_of_vectors_is_asked_no_chats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "under_load", lambda *_: pytest.fail("it was asked"))
    spec = {"id": "chat-0", "model": "m", "port": 1, "argv": ["--embeddings"]}
    assert canary._compared(spec, {"speed": 9.0, "repeats": 1.5}, None) == ""


TOOLS = [
    ("a new image that tells of none", [], [], True),
    ("without its parser", ["--x"], [], False),
    ("other weights with tools", ["-m", "/m/a"], ["-m", "/m/b", "--tool-call-parser=x"], False),
]


@pytest.mark.parametrize(("old", "new", "bad"), [t[1:] for t in TOOLS], ids=[t[0] for t in TOOLS])
def test_tools_that_were_lost(
    monkeypatch: pytest.MonkeyPatch, old: list[str], new: list[str], bad: bool
) -> None:
    monkeypatch.setattr(canary, "calls", lambda _: False)
    monkeypatch.setattr(canary.wire, "get", lambda *_: None)
    monkeypatch.setattr(docker, "logs", lambda _: [])
    spec: dict[str, Any] = {"id": "chat-0", "model": "m", "port": 1, "image": {"name": "x"}}
    if bad:
        with pytest.raises(wait.FailedError, match="expected a call of get_weather"):
            canary.tools({**spec, "argv": new}, True, {**spec, "argv": old})
    else:
        assert canary.tools({**spec, "argv": new}, True, {**spec, "argv": old}) == (
            "tools: expected a call of get_weather, as by the former replica; got none" if new else ""
        )
