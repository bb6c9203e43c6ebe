"""What can go wrong on the way to a host: each a clear line of its own kind, nothing sent to the wrong machine."""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from contract.transports import sshd
from contract.transports.conftest import Key, Settings, host
from hostler.hosts.connect import transport_for
from hostler.hosts.ssh import SshTransport, learn
from hostler.hosts.trouble import HostTrouble
from hostler.hosts.types import Host, Ssh


def trouble_of(target: Host) -> HostTrouble:
    trace = Path(tempfile.gettempdir(), f"hostler-trace-{secrets.token_hex(8)}")
    with pytest.raises(HostTrouble) as caught:
        transport_for(target).run(("touch", str(trace)))
    assert not trace.exists()
    assert caught.value.problem.next_step
    return caught.value


def ok(target: Host) -> bool:
    door = transport_for(target)
    try:
        return door.run(("echo", "hello")).stdout == b"hello\n"
    finally:
        door.close()


def fingerprint(server: sshd.Server) -> str:
    said = subprocess.run(
        ["ssh-keygen", "-lf", str(server.folder / "host.pub")], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[1]


def logins(server: sshd.Server) -> int:
    """How often somebody tried to log in, with success or without."""
    return (server.folder / "log").read_text().count("publickey")


def test_wrong_key(server: sshd.Server, settings: Settings, tmp_path: Path) -> None:
    other = sshd.new_key(tmp_path / "other")
    settings(known=f"[127.0.0.1]:{server.port} {other}\n")
    before = logins(server)
    error = trouble_of(host(server.port))
    assert error.kind == "host-key"
    assert fingerprint(server) in str(error)
    expected = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "other.pub")], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert expected in str(error)
    assert logins(server) == before


def test_unknown_key_is_learned_after_a_yes(server: sshd.Server, settings: Settings, tmp_path: Path) -> None:
    settings(known="# a comment without an end")
    target = host(server.port)
    error = trouble_of(target)
    assert (error.kind, error.key and error.key.fingerprint) == ("unknown-key", fingerprint(server))
    assert error.key is not None
    assert learn(target, error.key) == str(tmp_path / "known_hosts")
    assert ok(target)
    found = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{server.port}", "-f", str(tmp_path / "known_hosts")],
        capture_output=True,
        check=False,
    )
    assert found.returncode == 0


def test_host_key_of_the_stack_file_wins(server: sshd.Server, settings: Settings, tmp_path: Path) -> None:
    settings(known=server.known)
    assert trouble_of(host(server.port, host_key=sshd.new_key(tmp_path / "other"))).kind == "host-key"
    settings(known=f"[127.0.0.1]:{server.port} {sshd.new_key(tmp_path / 'third')}\n")
    assert ok(host(server.port, host_key=server.host_key + " root@gpu1"))


def test_hashed_known_hosts(server: sshd.Server, settings: Settings) -> None:
    salt = os.urandom(20)
    digest = hmac.digest(salt, f"[127.0.0.1]:{server.port}".encode(), "sha1")
    names = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    settings(known=f"{names} {server.host_key}\n")
    assert ok(host(server.port))


def test_revoked_key(server: sshd.Server, settings: Settings) -> None:
    settings(known=server.known + f"@revoked * {server.host_key}\n")
    error = trouble_of(host(server.port))
    assert error.kind == "host-key"
    assert "revoked" in str(error)


def test_a_known_key_of_a_less_wanted_type_is_asked_for(settings: Settings, key: Key, tmp_path: Path) -> None:
    rsa = sshd.new_key(tmp_path / "rsa", kind="rsa")
    with sshd.server(tmp_path / "two", key[1], f"HostKey {tmp_path / 'rsa'}") as two:
        settings(known=f"[127.0.0.1]:{two.port} {rsa}\n")
        assert ok(host(two.port))


def test_rsa_user_key(settings: Settings, tmp_path: Path) -> None:
    public = sshd.new_key(tmp_path / "mine", kind="rsa")
    with sshd.server(tmp_path / "two", public) as two:
        settings(known=two.known, identity=tmp_path / "mine")
        assert ok(host(two.port))


def test_dead_port(settings: Settings) -> None:
    settings()
    assert trouble_of(host(sshd.free_port())).kind == "refused"


def test_no_such_name(settings: Settings) -> None:
    settings()
    assert trouble_of(Host(name="h", pool="p", ssh=Ssh(address="no-such-host.invalid"))).kind == "dead"


def test_hanging_banner(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostler.hosts.login.BANNER_S", 0.5)
    settings()
    started = time.monotonic()
    with sshd.mute() as port:
        error = trouble_of(host(port))
    assert error.kind == "timeout"
    assert "says nothing" in str(error)
    assert time.monotonic() - started < 5


def test_a_door_that_shuts_at_once(settings: Settings) -> None:
    settings(config="Host h\n HostName 127.0.0.1\n ProxyCommand false\n")
    error = trouble_of(Host(name="h", pool="p", ssh=Ssh(address="h")))
    assert error.kind == "refused"
    assert "false" in error.problem.next_step


def test_no_key_fits(server: sshd.Server, settings: Settings, tmp_path: Path) -> None:
    sshd.new_key(tmp_path / "other")
    settings(known=server.known, identity=tmp_path / "other")
    error = trouble_of(host(server.port))
    assert error.kind == "auth"
    assert str(tmp_path / "other") in str(error)
    assert "ssh-copy-id" in error.problem.next_step


def test_passphrase_without_agent_and_with(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = sshd.new_key(tmp_path / "locked", passphrase="secret words")
    with sshd.server(tmp_path / "two", public) as two:
        settings(known=two.known, identity=tmp_path / "locked")
        error = trouble_of(host(two.port))
        assert error.kind == "auth"
        assert "passphrase" in str(error)
        assert error.problem.next_step.startswith("ssh-add")
        agent = subprocess.run(
            ["ssh-agent", "-s", "-a", str(tmp_path / "agent")], capture_output=True, text=True, check=True
        )
        pid = re.search(r"SSH_AGENT_PID=(\d+)", agent.stdout)
        assert pid
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
            (tmp_path / "ask").write_text("#!/bin/sh\necho secret words\n")
            (tmp_path / "ask").chmod(0o755)
            asking = {**os.environ, "SSH_ASKPASS": str(tmp_path / "ask"), "SSH_ASKPASS_REQUIRE": "force"}
            subprocess.run(["ssh-add", str(tmp_path / "locked")], env=asking, capture_output=True, check=True)
            assert ok(host(two.port))
            monkeypatch.delenv("SSH_AUTH_SOCK")
            config = f"Host *\n IdentityAgent {tmp_path / 'agent'}\n IdentitiesOnly yes\n"
            settings(known=two.known, identity=tmp_path / "locked", config=config)
            assert ok(host(two.port))
        finally:
            os.kill(int(pid.group(1)), 15)


def test_through_two_jumps(server: sshd.Server, settings: Settings, key: Key, tmp_path: Path) -> None:
    with sshd.server(tmp_path / "a", key[1]) as first, sshd.server(tmp_path / "b", key[1]) as second:
        config = (
            f"Host door\n HostName 127.0.0.1\n Port {first.port}\n User {sshd.user()}\n"
            f"Host hall\n HostName 127.0.0.1\n Port {second.port}\n User {sshd.user()}\n ProxyJump door\n"
        )
        settings(known=server.known + first.known + second.known, config=config)
        assert ok(host(server.port, jump="hall"))
        assert ok(host(server.port, jump=f"door,{sshd.user()}@127.0.0.1:{second.port}"))
        settings(known=server.known + second.known, config=config)
        error = trouble_of(host(server.port, jump="hall"))
        assert error.kind == "unknown-key"
        assert str(first.port) in str(error)
        settings(known=first.known, config=config)
        assert trouble_of(host(sshd.free_port(), jump="door")).kind == "refused"


def test_jumps_in_circles(settings: Settings) -> None:
    settings(config="Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    assert "circles" in str(trouble_of(Host(name="h", pool="p", ssh=Ssh(address="a"))))


def test_proxy_command_alias_and_include(server: sshd.Server, settings: Settings, tmp_path: Path) -> None:
    relay = (
        "import socket,sys,threading,os;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
        "threading.Thread(target=lambda:[os.write(1,d) for d in iter(lambda:s.recv(65536),b'')],daemon=True).start();"
        "[s.sendall(d) for d in iter(lambda:os.read(0,65536),b'')]"
    )
    (tmp_path / "relay.py").write_text(relay)
    (tmp_path / "more").write_text(
        f"Host basement\n HostName 127.0.0.1\n Port {server.port}\n User {sshd.user()}\n HostKeyAlias cellar\n"
        f" ProxyCommand python3 {tmp_path}/relay.py %h %p\n"
    )
    settings(known=f"cellar {server.host_key}\n", config="Include more\n")
    assert ok(Host(name="h", pool="p", ssh=Ssh(address="basement")))


def limited(folder: str) -> str:
    return f'ForceCommand PATH={folder} exec sh -c "$SSH_ORIGINAL_COMMAND"'


def test_sudo_missing_and_sudo_with_a_password(settings: Settings, key: Key, tmp_path: Path) -> None:
    cases = {"no sudo": "", "asks for one": "echo 'sudo: a password is required' >&2; exit 1"}
    for words, script in cases.items():
        folder = sshd.fake_tools(tmp_path / f"bin-{len(words)}", script)
        with sshd.server(tmp_path / f"sshd-{len(words)}", key[1], limited(folder)) as two:
            settings(known=two.known)
            door = transport_for(host(two.port))
            with pytest.raises(HostTrouble, match=words) as caught:
                door.run(("true",), root=True)
            assert caught.value.kind == "sudo"
            with pytest.raises(HostTrouble, match=words), door.open(("true",), root=True) as stream:
                stream.wait(5)
            door.close()


def test_sudo_that_works(settings: Settings, key: Key, tmp_path: Path) -> None:
    folder = sshd.fake_tools(tmp_path / "bin", 'shift; [ "$1" = -- ] && shift; exec "$@"')
    with sshd.server(tmp_path / "sshd", key[1], limited(folder)) as two:
        settings(known=two.known)
        door = transport_for(host(two.port))
        assert door.run(("sh", "-c", 'echo "$1"', "sh", "a b"), root=True).stdout == b"a b\n"
        door.close()


def test_a_lost_connection_is_an_error_and_the_next_use_connects_again(
    settings: Settings, key: Key, tmp_path: Path
) -> None:
    with sshd.server(tmp_path / "sshd", key[1]) as two:
        settings(known=two.known)
        door = SshTransport(host(two.port))
        with pytest.raises(HostTrouble, match="lost"):
            door.run(("sh", "-c", "kill -9 $PPID"), timeout=10)
        assert door.run(("true",)).rc == 0
        door.close()


def test_one_connection_carries_many_commands_at_once(server: sshd.Server, settings: Settings) -> None:
    from concurrent.futures import ThreadPoolExecutor

    settings(known=server.known)
    door = transport_for(host(server.port))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: door.run(("echo", str(n))).stdout, range(8)))
    assert answers == [b"%d\n" % n for n in range(8)]
    door.close()
