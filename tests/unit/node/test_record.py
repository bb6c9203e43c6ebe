"""Who a host belongs to, and what it keeps: nothing goes back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from unit.node.conftest import Call


def record(number: int, epoch: int = 1, uid: str = "u1") -> dict[str, Any]:
    return {"uid": uid, "stack": "lab", "number": number, "epoch": epoch}


def kind_of(call: Call, op: str, **request: Any) -> str:
    with pytest.raises(NodeError) as caught:
        call(op, **request)
    return caught.value.kind


def test_commits_follow_each_other(call: Call, root: Path) -> None:
    for number in (1, 2, 3):
        assert call("record-commit", record=record(number)) == {"number": number}
    assert call("record-read") == {"record": record(3), "copies": {}, "older": [1, 2]}
    assert call("record-read", number=1)["record"] == record(1)
    assert os.stat(root / "var/lib/hostler/home/record.json").st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (record(3, epoch=2), "stale"),
        (record(5, epoch=2), "stale"),
        (record(4, epoch=1), "stale"),
        (record(4, epoch=2, uid="u2"), "other-stack"),
        ({}, "usage"),
    ],
)
def test_what_does_not_follow_is_refused(call: Call, wrong: dict[str, Any], kind: str) -> None:
    call("record-commit", record=record(3, epoch=2))
    assert kind_of(call, "record-commit", record=wrong) == kind
    assert call("record-read")["record"] == record(3, epoch=2)


def test_a_host_that_has_seen_a_higher_epoch_refuses(call: Call) -> None:
    call("claim", uid="u1", stack="lab", host="gpu-1", epoch=3)
    assert kind_of(call, "record-commit", record=record(1, epoch=2)) == "stale"
    assert call("record-commit", record=record(8, epoch=3)) == {"number": 8}  # the first one here: restored


def test_twenty_are_kept(call: Call) -> None:
    for number in range(1, 26):
        call("record-commit", record=record(number))
    assert call("record-read")["older"] == list(range(5, 25))


def test_a_damaged_record_is_said_not_replaced(call: Call, root: Path) -> None:
    call("record-commit", record=record(1))
    (root / "var/lib/hostler/home/record.json").write_text("{")
    assert kind_of(call, "record-commit", record=record(2)) == "damaged"


def test_a_full_disk_leaves_the_old_one(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("record-commit", record=record(1))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        call("record-commit", record=record(2))
    monkeypatch.undo()


def test_copies(call: Call) -> None:
    assert call("copy-write", record=record(4)) == {"changed": True}
    assert call("copy-write", record=record(4)) == {"changed": False}
    assert kind_of(call, "copy-write", record=record(3)) == "stale"
    assert call("copy-write", record=record(2, epoch=2)) == {"changed": True}
    assert call("record-read")["copies"] == {"u1": record(2, epoch=2)}
    assert kind_of(call, "copy-write", record=record(1, uid="../../x")) == "usage"


def test_claim(call: Call, root: Path) -> None:
    claim = {"uid": "u1", "stack": "lab", "host": "gpu-1", "epoch": 2}
    assert call("claim", **claim) == {"changed": True}
    assert call("claim", **claim) == {"changed": False}
    assert json.loads((root / "etc/hostler/stack.json").read_text()) == claim
    assert kind_of(call, "claim", **{**claim, "uid": "u2"}) == "other-stack"
    assert kind_of(call, "claim", **{**claim, "epoch": 1}) == "stale"
    assert call("claim", **{**claim, "epoch": 3}) == {"changed": True}


def test_baseline_is_made_once(call: Call, root: Path) -> None:
    (root / "etc/docker").mkdir(parents=True)
    (root / "etc/docker/daemon.json").write_text('{"log-level": "warn"}')
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n")
    (root / "etc/apt/keyrings").mkdir(parents=True)
    (root / "etc/apt/keyrings/k.asc").write_text("k")
    first = call("baseline")
    assert first["changed"] is True
    kept = first["baseline"]
    assert kept["daemon_json"] == '{"log-level": "warn"}'
    assert kept["accounts"] == ["root", "me"]
    assert list(kept["apt"]) == ["/etc/apt/keyrings/k.asc"]
    assert "/etc/docker" in kept["paths"]
    (root / "etc/docker/daemon.json").unlink()
    assert call("baseline") == {"changed": False, "baseline": kept}
