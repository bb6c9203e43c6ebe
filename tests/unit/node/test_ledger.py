"""The ledger's files: appended to, each row once, whole after a kill and a full disk."""

from __future__ import annotations

import base64
import json
import os
import stat
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base.protocol import NodeError
from hostler.node.owning import ledger
from unit.node.conftest import Call

OCTOBER, NOVEMBER = 1_793_491_199, 1_793_491_200  # the last second, and the first
UID = "u1"


def row(name: str, start: float = NOVEMBER, **more: Any) -> dict[str, Any]:
    return {"start": start, "cost": 0.1, "id": name, **more}


def append(call: Call, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return call("ledger-append", uid=UID, rows=list(rows), **more)


def ids(call: Call, month: str = "2026-11", of: str = "months") -> list[str]:
    packed = call("ledger-read", uid=UID, months=[month])[of].get(month)
    lines = zlib.decompress(base64.b64decode(packed)).decode().splitlines() if packed else []
    return [json.loads(line)["id"] for line in lines]


@pytest.fixture
def file(root: Path) -> Path:
    return root / "var/lib/hostler/home/ledger/2026-11.jsonl"


def test_a_row_twice_is_a_row(call: Call, file: Path) -> None:
    assert append(call, row("a"), row("b"), row("a")) == {"added": 2, "known": 1, "mended": 0}
    assert append(call, row("b", cost=9), row("c")) == {"added": 1, "known": 1, "mended": 0}
    assert ids(call) == ["a", "b", "c"]
    assert json.loads(file.read_text().splitlines()[1])["cost"] == 0.1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_months_file_has_what_begins_in_it(call: Call) -> None:
    append(call, row("a", OCTOBER), row("b", NOVEMBER))
    assert (ids(call, "2026-10"), ids(call)) == (["a"], ["b"])
    assert sorted(call("ledger-read", uid=UID)["months"]) == ["2026-10", "2026-11"]
    assert list(call("ledger-read", uid=UID, months=["2026-10", "2026-09"])["months"]) == ["2026-10"]


@pytest.mark.parametrize("name", ['quote "', "back \\", "ümlaut", '\\"', "a,b}"])
def test_names_of_any_kind(call: Call, name: str) -> None:
    append(call, row(name))
    assert append(call, row(name), row(name + "x"))["known"] == 1
    assert ids(call) == [name, name + "x"]


@pytest.mark.parametrize("left", [1, 5, 9])
def test_a_torn_line_goes_and_comes_again(call: Call, file: Path, left: int) -> None:
    append(call, row("a"), row("b"))
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"\n") + 1 + left])
    assert ids(call) == ["a"]
    assert append(call, row("b"), row("c")) == {"added": 2, "known": 0, "mended": left}
    assert ids(call) == ["a", "b", "c"]


def test_a_line_that_lacks_only_its_end_is_a_row(call: Call, file: Path) -> None:
    append(call, row("a"))
    file.write_bytes(file.read_bytes()[:-1])
    assert ids(call) == ["a"]
    assert append(call, row("a"), row("b")) == {"added": 1, "known": 1, "mended": 0}
    assert ids(call) == ["a", "b"]


def test_a_full_disk_loses_nothing(call: Call, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(call, row("a"))
    really = os.write

    def full(handle: int, content: bytes) -> int:
        really(handle, content[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ledger.os, "write", full)
        with pytest.raises(OSError, match="No space"):
            append(call, row("b"), row("c"))
    assert ids(call) == ["a"]
    assert append(call, row("b"), row("c")) == {"added": 2, "known": 0, "mended": 20}
    assert ids(call) == ["a", "b", "c"]


def test_it_is_on_disk_when_it_answers(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = list[int]()
    monkeypatch.setattr(ledger.os, "fsync", lambda handle: synced.append(os.fstat(handle).st_mode))
    append(call, row("a"))
    assert [stat.S_ISDIR(mode) for mode in synced] == [False, True]


def test_two_at_once(call: Call) -> None:
    def many(writer: int) -> None:
        for i in range(20):
            append(call, row(f"{i}"), row(f"{writer}-{i}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(many, range(4)))
    found = ids(call)
    assert len(found) == len(set(found)) == 20 + 4 * 20


def test_nobody_reads_what_is_there_before_it_has_the_lock(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[object]()
    flock, whole = ledger.fcntl.flock, ledger.whole
    monkeypatch.setattr(ledger.fcntl, "flock", lambda handle, how: done.append(how) or flock(handle, how))
    monkeypatch.setattr(ledger, "whole", lambda handle: done.append("read") or whole(handle))
    append(call, row("a"))
    assert done == [ledger.fcntl.LOCK_EX, "read"]
    ids(call)
    assert done[2:] == [ledger.fcntl.LOCK_SH, "read"]


def test_a_copy_is_kept_apart(call: Call, root: Path) -> None:
    append(call, row("a"), copy=True)
    assert (ids(call), ids(call, of="copies")) == ([], ["a"])
    assert (root / "var/lib/hostler/copies/u1.ledger/2026-11.jsonl").exists()
    assert call("record-read")["copies"] == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": [{"id": "a"}]},
        {"rows": [{"start": 1}]},
        {"rows": [{"id": "", "start": 1}]},
        {"rows": ["a"]},
        {},
    ],
    ids=str,
)
def test_what_is_no_row_is_refused(call: Call, root: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(NodeError) as caught:
        call("ledger-append", uid=UID, **wrong)
    assert caught.value.kind == "usage"
    assert not (root / "var/lib/hostler/home").exists()


@pytest.mark.parametrize("month", ["../record", "2026-13", "2026-11\n", 7])
def test_what_is_no_month_is_refused(call: Call, month: Any) -> None:
    with pytest.raises(NodeError, match="is no month"):
        call("ledger-read", uid=UID, months=[month])


def test_another_stacks_host_is_refused(call: Call) -> None:
    call("claim", uid="u2", stack="lab", host="gpu-1", epoch=1)
    for op in ("ledger-append", "ledger-read"):
        with pytest.raises(NodeError) as caught:
            call(op, uid=UID, rows=[])
        assert (caught.value.kind, caught.value.rc) == ("other-stack", 3)
