"""`hostler-node hostkey-make` and `hostkey-use`, with the real ssh-keygen: some key is always there."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from hostler.node.base import instances
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.owning import hostkey

from .conftest import Call


class Sshd:
    """systemd with one unit; it notes which key was in place at each reload."""

    def __init__(self, root: Path) -> None:
        self.root, self.unit, self.fails = root, "ssh.service", False
        self.shown: list[str] = []

    def systemctl(self, *words: str, timeout: float = 60.0) -> Result:  # noqa: ARG002 - as the real one
        if words[1] != self.unit:
            return Result(words, hostkey.NOT_LOADED, "", f"Unit {words[1]} not found.")
        if self.fails:
            return Result(words, 1, "", "reload failed")
        self.shown.append(hostkey.public(hostkey.KEY))
        return Result(words, 0, "", "")


@pytest.fixture
def folder(root: Path) -> Path:
    """A host with the key that it was born with, and one that its image had."""
    found = root / "etc/ssh"
    found.mkdir(parents=True)
    for kind in ("ed25519", "ecdsa"):
        words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "born", "-f", found / f"ssh_host_{kind}_key"]
        subprocess.run(words, check=True, timeout=30)
    return found


@pytest.fixture
def sshd(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    fake = Sshd(root)
    monkeypatch.setattr(instances, "systemctl", fake.systemctl)
    return fake


def born(folder: Path) -> str:
    return " ".join((folder / "ssh_host_ed25519_key.pub").read_text().split()[:2])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_key_of_its_own(call: Call, folder: Path, sshd: Sshd) -> None:
    old = born(folder)
    made = call("hostkey-make", old=old + " comment")
    assert made["used"] is False
    assert made["public"].startswith("ssh-ed25519 ")
    assert hostkey.public(hostkey.KEY) == old  # nothing is shown before the caller knows it
    assert call("hostkey-use", public=made["public"]) == {"changed": True}
    assert sshd.shown == [made["public"]]
    assert made["public"] != old
    assert names(folder) == ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]
    assert born(folder) == made["public"]
    assert stat.S_IMODE((folder / "ssh_host_ed25519_key").stat().st_mode) == 0o600


def test_asked_again_it_is_the_same(call: Call, folder: Path, sshd: Sshd) -> None:
    old = born(folder)
    made = call("hostkey-make", old=old)
    assert call("hostkey-make", old=old) == made
    call("hostkey-use", public=made["public"])
    assert call("hostkey-make", old=old) == {"public": made["public"], "used": True}
    assert call("hostkey-use", public=made["public"]) == {"changed": False}


def test_cut_between_the_key_and_sshd_it_goes_on(call: Call, folder: Path, sshd: Sshd) -> None:
    made = call("hostkey-make", old=born(folder))
    sshd.fails = True
    with pytest.raises(NodeError, match="reload failed"):
        call("hostkey-use", public=made["public"])
    os.unlink(folder / "ssh_host_ed25519_key.pub")
    (folder / "ssh_host_rsa_key").write_text("left over")
    sshd.fails = False
    assert call("hostkey-use", public=made["public"]) == {"changed": False}
    assert sshd.shown == [made["public"]]
    assert names(folder) == ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]


def test_a_half_made_key_is_made_again(call: Call, folder: Path, sshd: Sshd) -> None:
    (folder / "hostler_next_ed25519_key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    made = call("hostkey-make", old=born(folder))
    assert call("hostkey-use", public=made["public"]) == {"changed": True}


def test_a_key_that_the_host_does_not_have(call: Call, folder: Path, sshd: Sshd) -> None:
    before = names(folder)
    with pytest.raises(NodeError, match="no such key"):
        call("hostkey-use", public="ssh-ed25519 AAAA")
    assert names(folder) == before
    assert sshd.shown == []


def test_where_sshd_has_another_name(call: Call, folder: Path, sshd: Sshd) -> None:
    made = call("hostkey-make", old=born(folder))
    sshd.unit = "sshd.service"
    assert call("hostkey-use", public=made["public"]) == {"changed": True}
    sshd.unit = "dropbear.service"
    with pytest.raises(NodeError, match=r"no ssh\.service or sshd\.service"):
        call("hostkey-use", public=made["public"])
