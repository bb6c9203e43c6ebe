"""The words for OpenSSH's own client: a host key that the stack file names is the only one that is trusted."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hostler.hosts.openssh import ssh_argv
from hostler.hosts.trouble import HostTrouble
from hostler.hosts.types import Host, Ssh

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx"


def test_a_pinned_key_lies_where_nobody_else_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that all can write to, somebody else could have made the file before, and own it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    words = ssh_argv(Host(name="gpu-1", pool="rack", ssh=Ssh(address="10.0.0.1", host_key=KEY)), ["true"])
    assert "StrictHostKeyChecking=yes" in words
    assert "GlobalKnownHostsFile=/dev/null" in words
    (named,) = (word for word in words if word.startswith("UserKnownHostsFile="))
    known = Path(named.partition("=")[2])
    assert known.is_relative_to(tmp_path)
    assert known.read_text() == f"10.0.0.1 {KEY}\n"
    assert stat.S_IMODE(known.parent.stat().st_mode) == 0o700


def test_a_key_of_two_lines_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    host = Host(name="gpu-1", pool="rack", ssh=Ssh(address="10.0.0.1", host_key=f"{KEY}\n* {KEY}"))
    with pytest.raises(HostTrouble, match="gpu-1: expected one name and one public host key"):
        ssh_argv(host)
    assert not list(tmp_path.rglob("known-*"))
