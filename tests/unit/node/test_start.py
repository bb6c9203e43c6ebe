"""Replicas started side by side, and doors whose files were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files, instances
from hostler.node.base.protocol import Answers, NodeError, Request
from hostler.node.doors import haproxy
from hostler.node.exchange import door, exchange, start

from .fakes import Heard

# in place of the agent: what it says of `exchange ID -`; two that are started wait for each other
PROGRAM = """
import json, os, sys, time
identifier, folder = sys.argv[2], os.path.dirname(sys.argv[0])
asked = json.loads(sys.stdin.readline())
open(os.path.join(folder, identifier), "w").close()
end = time.monotonic() + 10
while time.monotonic() < end and identifier.startswith("pair") and not all(os.path.exists(os.path.join(folder, n)) for n in ("pair-0", "pair-1")):
    time.sleep(0.01)
if identifier == "bad":
    print(json.dumps({"error": "failed", "message": "it exited", "outcome": "failed", "log": ["no GPU"]}))
    sys.exit(4)
if identifier == "loud":
    print(json.dumps({"error": "failed", "message": "it exited", "log": ["x" * 1000] * 100}))
    sys.exit(4)
if identifier == "mute":
    sys.exit(9)
print(json.dumps({"changed": identifier != "same", "outcome": "started", "cut": asked.get("cut")}))
"""


@pytest.fixture
def active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Instances that run."""
    program = tmp_path / "agent.py"
    program.write_text(PROGRAM)
    monkeypatch.setattr(start.sys, "argv", [str(program)])
    found: set[str] = set()
    monkeypatch.setattr(instances, "active", found.__contains__)
    return found


def started(*ids: str) -> dict[str, Any]:
    heard = Heard()
    start.start({"op": "start", "ids": list(ids), "cut": True}, heard)
    return heard.last


def test_what_runs_is_left_to_the_exchange(active: set[str], tmp_path: Path) -> None:
    active.add("chat-0")
    assert started("chat-0") == {"changed": False, "started": [], "why": ""}
    assert not (tmp_path / "chat-0").exists()


def test_side_by_side(active: set[str]) -> None:
    said = started("pair-0", "pair-1", "same")
    assert said == {
        "changed": True,
        "started": ["pair-0", "pair-1"],
        "why": "pair-0: started; pair-1: started; same: started",
    }


def test_a_failure_is_said_when_all_have_ended(active: set[str], tmp_path: Path) -> None:
    with pytest.raises(NodeError) as caught:
        started("mute", "bad", "chat-1")
    assert caught.value.message == "mute: it said nothing (status 9); bad: it exited"
    assert caught.value.rc == 9
    assert (tmp_path / "chat-1").exists()


def test_a_long_log_hangs_nobody(active: set[str]) -> None:
    """More than a pipe holds."""
    with pytest.raises(NodeError, match="loud: it exited"):
        started("loud", "chat-1")


def test_its_own_words_are_kept(active: set[str]) -> None:
    with pytest.raises(NodeError) as caught:
        started("bad")
    said = caught.value.as_json()
    assert (caught.value.rc, said["outcome"], said["log"], said["id"]) == (4, "failed", ["no GPU"], "bad")


DOORS = [
    ("as wanted", "same", False, False, False, "same"),
    ("files changed", "same", False, True, True, "reloaded"),
    ("files changed, and it was put right", "same", True, True, True, "reloaded"),
    ("exchanged", "exchanged", True, True, False, "exchanged"),
]


@pytest.mark.parametrize(
    ("exchange_says", "changed", "due", "reloads", "outcome"),
    [d[1:] for d in DOORS],
    ids=[d[0] for d in DOORS],
)
def test_a_door(
    short_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    exchange_says: str,
    changed: bool,
    due: bool,
    reloads: bool,
    outcome: str,
) -> None:
    reloaded: list[str] = []

    def exchanged(_request: Request, answers: Answers) -> int:
        answers.say(changed=changed, outcome=exchange_says, why="", log=[])
        return 0

    def reload(request: Request, _answers: Answers) -> int:
        reloaded.append(str(request["id"]))
        return 0

    monkeypatch.setattr(exchange, "exchange", exchanged)
    monkeypatch.setattr(haproxy, "reload", reload)
    if due:
        files.write(f"{files.DUE}/edge", b"")
    heard = Heard()
    door.door({"op": "door", "id": "edge"}, heard)
    assert (heard.last["outcome"], heard.last["changed"]) == (outcome, changed or due)
    assert reloaded == ["edge"] * reloads
    assert files.read(f"{files.DUE}/edge") is None


def test_what_could_not_be_loaded_stays_due(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exchanged(_request: Request, answers: Answers) -> int:
        answers.say(changed=False, outcome="same", why="", log=[])
        return 0

    def reload(_request: Request, _answers: Answers) -> int:
        raise NodeError("reload", "no new worker")

    monkeypatch.setattr(exchange, "exchange", exchanged)
    monkeypatch.setattr(haproxy, "reload", reload)
    files.write(f"{files.DUE}/edge", b"")
    with pytest.raises(NodeError, match="no new worker"):
        door.door({"op": "door", "id": "edge"}, Heard())
    assert files.read(f"{files.DUE}/edge") == b""
