"""The stack file's words over ~/.ssh/config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostler.hosts.sshconfig import Route, route
from hostler.hosts.trouble import HostTrouble
from hostler.hosts.types import Ssh

Write = Callable[[str], None]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setenv("HOSTLER_SSH_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")

    def write(text: str) -> None:
        (tmp_path / "config").write_text(text)

    return write


def to(address: str, **words: Any) -> Route:
    return route(Ssh(address=address, **words), "test")


def test_without_a_configuration(config: Write, tmp_path: Path) -> None:
    config("")
    way = to("gpu1.lan", user="ops")
    assert (way.address, way.port, way.user, way.name, way.jumps) == ("gpu1.lan", 22, "ops", "gpu1.lan", ())
    assert way.identities[0] == f"{tmp_path}/.ssh/id_ed25519"
    assert (way.chosen, way.only, way.agent) == (False, False, "/agent")
    assert way.known_hosts[0] == f"{tmp_path}/.ssh/known_hosts"


def test_a_section_is_used_and_the_stack_file_wins(config: Write) -> None:
    config(
        "Host basement\n HostName 10.0.0.5\n User me\n Port 2222\n IdentityFile ~/k\n IdentitiesOnly yes\n ConnectTimeout 3\n"
    )
    way = to("basement")
    assert (way.address, way.port, way.user, way.name) == ("10.0.0.5", 2222, "me", "[10.0.0.5]:2222")
    assert (way.chosen, way.only, way.connect_s) == (True, True, 3.0)
    own = route(Ssh(address="basement", user="ops", port=22, key="~/other"), "test")
    assert (own.user, own.port, own.name) == ("ops", 22, "10.0.0.5")
    assert own.identities[0].endswith("/other")


def test_alias_of_the_key_is_taken_as_it_is(config: Write) -> None:
    config("Host a\n HostName 10.0.0.5\n Port 2222\n HostKeyAlias cellar\n UserKnownHostsFile ~/one ~/two\n")
    assert to("a").name == "cellar"
    assert [path.rpartition("/")[2] for path in to("a").known_hosts[:2]] == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "hops"),
    [
        ("bastion", [("10.0.0.1", 2200, "jump")]),
        ("me@bastion:99", [("10.0.0.1", 99, "me")]),
        ("first,bastion", [("first", 22, "u"), ("10.0.0.1", 2200, "jump")]),
        ("ssh://me@[fe80::1]:24", [("fe80::1", 24, "me")]),
        ("none", []),
    ],
)
def test_jumps(config: Write, words: str, hops: list[tuple[str, int, str]]) -> None:
    config("Host bastion\n HostName 10.0.0.1\n Port 2200\n User jump\nHost *\n User u\n")
    assert [(hop.address, hop.port, hop.user) for hop in to("x", jump=words).jumps] == hops


def test_a_jump_behind_a_jump(config: Write) -> None:
    config("Host x\n ProxyJump b\nHost b\n ProxyJump a\n")
    assert [hop.address for hop in to("x").jumps] == ["a", "b"]
    assert to("x").door == "a:22"


def test_a_jump_of_the_stack_file_wins_over_a_command(config: Write) -> None:
    config("Host x\n ProxyCommand nc %h %p\n")
    assert to("x").command == "nc x 22"
    assert to("x", jump="b").command == ""


def test_include_keeps_sections_apart(config: Write, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.conf").write_text("Host a\n Port 1\n")
    (tmp_path / "more" / "b.conf").write_text("Host b\n Port 2\n")
    config("Include more/*.conf\nUser everyone\nHost c\n Port 3\n")
    assert [to(name).port for name in "abcd"] == [1, 2, 3, 22]
    assert {to(name).user for name in "abcd"} == {"everyone"}


def test_a_change_is_read(config: Write, tmp_path: Path) -> None:
    import os

    config("Host a\n Port 1\n")
    assert to("a").port == 1
    config("Host a\n Port 2\n")
    os.utime(tmp_path / "config", ns=(1, 1))
    assert to("a").port == 2


@pytest.mark.parametrize("text", ["Host a\nnonsense\n", "Host a\n Port many\n"])
def test_what_cannot_be_read_is_said(config: Write, text: str) -> None:
    config(text)
    with pytest.raises(HostTrouble, match=r"readable ~/\.ssh/config"):
        to("a")


def test_this_machines_full_name_is_looked_up_only_where_it_is_used(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def full_name(*_: object) -> str:
        asked.append("DNS")
        return "laptop.example"

    monkeypatch.setattr("paramiko.config.socket.getfqdn", full_name)
    config(
        "Host gpu-1\n  IdentityFile /keys/%h\n  ControlPath /run/%C\nHost gpu-2\n  IdentityFile /keys/%l\n"
    )
    assert route(Ssh(address="gpu-1"), "gpu-1").identities == ("/keys/gpu-1",)
    assert not asked
    assert route(Ssh(address="gpu-2"), "gpu-2").identities == ("/keys/laptop.example",)
    assert asked
