"""`hostler-node adopt`: a rented host's lease."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostler.node.base import files, instances
from hostler.node.base.protocol import REFUSED, NodeError
from hostler.node.base.shell import Result
from hostler.node.owning import adopt

from .conftest import Call

NOW = 1_800_000_000.0


class Systemd:
    def __init__(self) -> None:
        self.active, self.starts = True, True
        self.asked: list[str] = []

    def systemctl(self, *words: str, timeout: float = 60.0) -> Result:  # noqa: ARG002 - as the real one
        self.asked.append(" ".join(words))
        good = self.active if words[0] == "is-active" else self.starts
        return Result(words, 0 if good else 3, "", "" if good else "Unit not found.")


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, root: Path) -> Systemd:
    fake = Systemd()
    monkeypatch.setattr(instances, "systemctl", fake.systemctl)
    born = root / files.BORN.lstrip("/")
    born.parent.mkdir()
    born.write_text(json.dumps({"uid": "u1", "stack": "office", "slot": "burst-0"}))
    return fake


def lease(root: Path) -> list[str]:
    return (root / files.LEASE.lstrip("/")).read_text().split()


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({"lease": NOW + 3600, "now": NOW}, 3600 + 900),
        ({"lease": NOW + 3600, "grace": 0, "now": NOW}, 3600),
        ({"lease": NOW - 800, "now": NOW}, 100),
        ({}, None),
    ],
)
def test_seconds_are_left(
    call: Call, systemd: Systemd, root: Path, asked: dict[str, float], left: int | None
) -> None:
    assert call("adopt", uid="u1", **asked) == {"left": left}
    assert lease(root)[1] == ("none" if left is None else str(left))
    assert systemd.asked == ["is-active hostler-lease.timer"]


def test_without_a_clock_of_the_callers_it_is_the_hosts(
    call: Call, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt.time, "time", lambda: NOW)
    assert call("adopt", uid="u1", lease=NOW + 60, grace=0) == {"left": 60}


def test_each_renewal_is_a_lease_of_its_own(call: Call, systemd: Systemd, root: Path) -> None:
    call("adopt", uid="u1", lease=NOW + 60, now=NOW)
    first = lease(root)
    call("adopt", uid="u1", lease=NOW + 60, now=NOW)
    assert (lease(root)[0] != first[0], lease(root)[1]) == (True, first[1])


@pytest.mark.parametrize(
    ("uid", "asked", "kind"),
    [
        ("u2", {}, "other-stack"),
        ("u1", {"lease": NOW - 900, "now": NOW}, "lease-over"),
        ("u1", {"lease": "soon"}, "usage"),
    ],
)
def test_what_is_refused_changes_nothing(
    call: Call, systemd: Systemd, root: Path, uid: str, asked: dict[str, float], kind: str
) -> None:
    with pytest.raises(NodeError) as caught:
        call("adopt", uid=uid, **asked)
    assert (caught.value.kind, (root / files.LEASE.lstrip("/")).exists()) == (kind, False)


def test_never_a_host_that_was_not_rented(call: Call, root: Path) -> None:
    with pytest.raises(NodeError) as caught:
        call("adopt", uid="u1", lease=NOW + 60, now=NOW)
    assert (caught.value.kind, caught.value.rc) == ("not-rented", REFUSED)
    assert list(root.iterdir()) == []


def test_a_timer_that_is_off_is_started(call: Call, systemd: Systemd, root: Path) -> None:
    systemd.active = False
    call("adopt", uid="u1", lease=NOW + 60, now=NOW)
    assert systemd.asked[-1] == "start hostler-lease.timer"
    assert lease(root)[1] == "960"


def test_where_nothing_would_end_it_the_adoption_fails(call: Call, systemd: Systemd, root: Path) -> None:
    systemd.active = systemd.starts = False
    with pytest.raises(NodeError, match="Unit not found"):
        call("adopt", uid="u1", lease=NOW + 60, now=NOW)
    assert not (root / files.LEASE.lstrip("/")).exists()
