"""Whom a snippet talks to: a model that chats."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.cli import main, options
from hostler.rollout import address
from hostler.rollout.address import Connection


def told(*models: str, chats: tuple[str, ...]) -> Connection:
    return Connection(address="http://gpu-1:8000", key="k", models=models, ca="", chats=chats)


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(options, "load", lambda _file: Path())
    return monkeypatch


@pytest.mark.parametrize("kind", ["openai", "langchain", "curl"])
def test_a_model_for_embeddings_is_not_asked_to_chat(
    kind: str, say: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say.setattr(address, "connection", lambda *_: told("embeddings", "talk", chats=("talk",)))
    assert main.run(["connect", kind]) == 0
    assert '"talk"' in capsys.readouterr().out


def test_none_that_chats_is_said(say: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    say.setattr(address, "connection", lambda *_: told("embeddings", chats=()))
    assert main.run(["connect", "curl"]) == 2
    assert "POST http://gpu-1:8000/v1/embeddings" in capsys.readouterr().err
