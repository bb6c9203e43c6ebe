"""Whose the account named hostler is, and that a login of somebody's is never taken over."""

from __future__ import annotations

import json
import pwd
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import accounts, files
from hostler.node.base.protocol import NodeError
from hostler.node.probe import probe
from unit.node.conftest import Call

OURS = ("hostler", "x", 998, 998, "", "/var/lib/hostler", "/usr/sbin/nologin")
CLAIM = {"uid": "u1", "stack": "lab", "host": "gpu-1", "epoch": 1}


def has(monkeypatch: pytest.MonkeyPatch, entry: tuple[Any, ...] | None) -> None:
    def getpwnam(name: str) -> pwd.struct_passwd:
        if entry is None or name != "hostler":
            raise KeyError(name)
        return pwd.struct_passwd(entry)

    monkeypatch.setattr(accounts.pwd, "getpwnam", getpwnam)


def other(at: int, value: Any) -> tuple[Any, ...]:
    return (*OURS[:at], value, *OURS[at + 1 :])


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        (OURS, True),
        (other(6, "/sbin/nologin"), True),
        (other(6, "/bin/false"), True),
        (other(6, "/bin/bash"), False),
        (other(6, ""), False),
        (other(5, "/home/hostler"), False),
        (other(2, 1000), False),
        (other(2, 0), False),
    ],
)
def test_like_ours(root: Path, monkeypatch: pytest.MonkeyPatch, entry: tuple[Any, ...], ours: bool) -> None:
    has(monkeypatch, entry)
    seen = probe.observe_files({"account": ["hostler", "nobody-else"]})
    assert seen["account:hostler"]["value"] == {
        "uid": entry[2],
        "home": entry[5],
        "shell": entry[6],
        "like_ours": ours,
    }
    assert seen["account:nobody-else"] == {"absent": True}


def test_where_system_accounts_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("/etc/login.defs", b"#SYS_UID_MAX 100\nSYS_UID_MIN 10\nSYS_UID_MAX\t\t499\n")
    has(monkeypatch, other(2, 500))
    assert accounts.look("hostler") is not None
    assert not (accounts.look("hostler") or {})["like_ours"]
    has(monkeypatch, other(2, 499))
    assert (accounts.look("hostler") or {})["like_ours"]


LOGIN = other(6, "/bin/bash")


@pytest.mark.parametrize(
    ("entry", "before", "fine"),
    [
        (None, None, True),
        (OURS, None, True),
        (LOGIN, None, False),
        (LOGIN, ["root", "hostler"], False),
        (OURS, ["root", "hostler"], True),
        (LOGIN, ["root"], True),  # ours: made after the first contact, and changed by somebody
    ],
    ids=["none", "like ours", "a login", "a login, in the baseline", "like ours, in the baseline", "ours"],
)
def test_a_claim_takes_nobodys_login(
    call: Call,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: tuple[Any, ...] | None,
    before: list[str] | None,
    fine: bool,
) -> None:
    has(monkeypatch, entry)
    if before is not None:
        files.write_json(files.BASELINE, {"accounts": before})
    if fine:
        assert call("claim", **CLAIM) == {"changed": True}
        return
    with pytest.raises(NodeError, match="uid 998, home /var/lib/hostler, shell /bin/bash") as caught:
        call("claim", **CLAIM)
    assert (caught.value.kind, caught.value.rc) == ("account", 3)
    assert "rename" in caught.value.next_step
    assert files.read(files.STACK) is None
    assert (files.read(files.BASELINE) is None) is (before is None)
    assert before is None or json.loads(files.read(files.BASELINE) or b"") == {"accounts": before}
