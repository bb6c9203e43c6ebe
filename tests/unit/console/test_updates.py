"""The controller's word in `status`: what it said, that it is silent, that it is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure.controller import STATUS
from hostler.console import updates
from hostler.hosts.types import Seen, Value
from hostler.stackfile.outside import Updates
from worlds import configure_world as world

WEEKLY = Updates(engines="weekly")
NOW = 100_000.0


def home(**said: Any) -> Seen:
    text = json.dumps({"at": NOW - 300, "state": "waiting", "text": "chat: image 1 -> 2", **said})
    return replace(world.bare(1), observed={f"path:{STATUS}": Value({"text": text}, NOW)})


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (home(), "waiting: chat: image 1 -> 2 (5 min ago)"),
        (home(last={"model": "chat", "what": "image", "ended": "good"}), "last: chat, image: good"),
        (home(last={"model": "", "what": "", "ended": ""}), "waiting: chat: image 1 -> 2 (5 min ago)"),
        (home(at=NOW - 7200), "nothing heard of the controller for 2 h (it said: chat: image 1 -> 2)"),
        (home(at=NOW - 7200, state="working"), "working: "),
        (world.bare(1), "no turn yet"),
        (replace(home(), observed={f"path:{STATUS}": Value({"text": "{"}, NOW)}), "no turn yet"),
        (world.dead(1), "unknown: the gateway's host does not answer"),
        (None, "unknown"),
    ],
)
def test_what_is_said(seen: Seen | None, sentence: str) -> None:
    found = updates.row(WEEKLY, seen, NOW)
    assert found is not None
    assert sentence in updates.sentence(found)


def test_where_nothing_is_taken_unasked_nothing_is_said() -> None:
    assert updates.row(None, home(), NOW) is None
    assert updates.row(Updates(), home(), NOW) is None
