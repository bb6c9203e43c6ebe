"""Models that are not plain chats: one that thinks long, and a base model without a chat template."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.canary import canary

from .fakes import Host
from .test_canary import change, restored
from .test_exchange import calm, exchanged


def test_one_that_thinks_long_is_unproven(host: Host) -> None:
    host.want("thinks")
    said = exchanged()
    assert said["outcome"] == "started"
    assert "whether it answers 'Paris' is unproven: it still thought after 256 tokens" in said["why"]


def test_a_base_model_completes(host: Host) -> None:
    host.want("base")
    said = exchanged()
    assert "it has no chat template: asked for completions" in said["why"]
    calm(host)


def test_a_base_model_is_compared_like_any(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    measured = canary.measured
    monkeypatch.setattr(canary, "measured", lambda spec: kept.append(measured(spec)) or kept[-1])
    assert change(host, "base", "base")["outcome"] == "exchanged"
    assert (kept[0]["chat"], 1 < kept[0]["repeats"] < 2) == (False, True)


def test_a_template_that_was_lost(host: Host) -> None:
    restored(
        host, "good", "base", "chat: expected an answer, as by the former replica; it has no chat template"
    )
