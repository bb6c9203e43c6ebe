"""What a host says before an upgrade, and what stops it there."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.cards import inside
from hostler.node.exchange import exchange
from hostler.node.packages import packages
from hostler.node.upgrades import reboots, upgrades
from hostler.node.upgrades.kinds import Step
from hostler.node.weights import store

from .fakes import Heard, Host
from .test_exchange import exchanged

FIX = Step("openssl", "1", "2", ("Debian-Security:12/stable-security",))
ENGINE = Step("docker.io", "26.1.5", "26.1.6")


class Manager:
    """A package manager that does what it is told, or says so."""

    __name__ = "hostler.node.upgrades.apt"

    def __init__(self) -> None:
        self.newer = [FIX, ENGINE]
        self.half, self.lazy = "", False

    def lists(self) -> list[str]:
        return []

    def due(self) -> list[Step]:
        return self.newer

    def tried(self, names: list[str]) -> list[Step]:
        return [step for step in self.newer if step.name in names]

    def size(self, _names: list[str]) -> int:
        return 1 << 20

    def kept(self) -> list[str]:
        return []

    def install(self, names: list[str]) -> None:
        self.newer = [step for step in self.newer if self.lazy or step.name not in names]

    def unfinished(self) -> str:
        return self.half

    def mend(self) -> str:
        return "sudo mend"


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    made = Manager()
    monkeypatch.setattr(upgrades, "_manager", lambda: made)
    monkeypatch.setattr(packages, "trouble", lambda: "")
    monkeypatch.setattr(packages, "listed", list)
    monkeypatch.setattr(reboots, "reasons", list)
    monkeypatch.setattr(upgrades, "keeps_containers", lambda: True)
    monkeypatch.setattr(upgrades, "PAUSE", 0.0)
    return made


def asked(op: Any, **request: Any) -> dict[str, Any]:
    heard = Heard()
    op(request, heard)
    return heard.last


def test_a_look_says_what_it_would_do(manager: Manager, host: Host) -> None:
    said = asked(upgrades.look, kinds=["security"])
    assert [step["name"] for step in said["due"]] == ["openssl", "docker.io"]
    assert ([step["name"] for step in said["steps"]], said["effect"]) == (["openssl"], "none")
    host.want(cards=["GPU-1"])
    applied_as_wanted()
    assert asked(upgrades.look, kinds=["docker"])["effect"] == "drain"
    assert asked(upgrades.look, kinds=["docker"])["effects"]["kernel"] == "none"
    with pytest.raises(NodeError, match="no such kind: engines"):
        asked(upgrades.look, kinds=["engines"])


def applied_as_wanted() -> None:
    files.write_json(files.APPLIED + "/chat-0.json", files.read_json(files.WANTED + "/chat-0.json"))


def test_a_full_disk_stops_it_before_anything_is_fetched(manager: Manager, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(store, "free_bytes", lambda _: 1 << 20)
    with pytest.raises(NodeError, match=r"packages need 261\.0 MiB below /var; 1\.0 MiB are free") as full:
        asked(upgrades.look, kinds=["security"])
    assert full.value.kind == "disk"
    assert asked(upgrades.look, kinds=[])["steps"] == []


def test_what_is_broken_is_told_with_its_cure(manager: Manager, host: Host) -> None:
    manager.half = "half installed: docker.io"
    with pytest.raises(NodeError, match=r"half installed: docker\.io") as broken:
        asked(upgrades.look, kinds=["security"])
    assert broken.value.next_step == "mend it there: `sudo mend`, then try again"


def test_the_days_own_update_is_waited_for(
    manager: Manager, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = ["apt-get (process 7) holds dpkg's lock"] * 3
    monkeypatch.setattr(packages, "trouble", lambda: left.pop() if left else "")
    assert asked(upgrades.look, kinds=["security"])["steps"]
    monkeypatch.setattr(packages, "trouble", lambda: "apt-get (process 7) holds dpkg's lock")
    monkeypatch.setattr(upgrades, "LOCK_S", 0.01)
    with pytest.raises(NodeError, match="process 7"):
        asked(upgrades.look, kinds=["security"])


def test_a_transaction_that_did_nothing_is_no_success(manager: Manager, host: Host) -> None:
    manager.lazy = True
    with pytest.raises(NodeError, match="still not upgraded: openssl"):
        asked(upgrades.install, names=["openssl"])
    manager.lazy = False
    assert asked(upgrades.install, names=["openssl"])["changed"]
    assert asked(upgrades.install, names=[])["changed"] is False


def test_what_was_not_agreed_to_is_not_installed(
    manager: Manager, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lists were fetched anew since it was shown: openssl needs another kernel now."""
    kernel = Step("linux-image-6.1.0-41-amd64", "", "6.1.158-1")
    monkeypatch.setattr(manager, "tried", lambda _: [FIX, kernel])  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(
        NodeError, match=r"takes linux-image-6\.1\.0-41-amd64 with it.*\(reboot instead of none\)"
    ):
        asked(upgrades.install, names=["openssl"], effect="none")
    assert FIX in manager.newer
    assert asked(upgrades.install, names=["openssl"], effect="reboot")["changed"]


def test_a_replica_that_lost_its_cards_meanwhile_is_exchanged(manager: Manager, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    host.want()
    exchanged()
    done: list[str] = []
    monkeypatch.setattr(inside, "proof", lambda _: inside.Proof(wrong="cards in the container: got none"))
    monkeypatch.setattr(exchange, "exchange", lambda request, _: done.append(request["id"]))
    assert asked(upgrades.install, names=["openssl"], repair=True)["repaired"] == ["chat-0"]
    assert done == ["chat-0"]
    assert asked(upgrades.install, names=["docker.io"], repair=False)["repaired"] == []


def test_no_package_manager_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "manager", lambda: None)
    with pytest.raises(NodeError, match="neither dpkg nor rpm"):
        asked(upgrades.look, kinds=["security"])
