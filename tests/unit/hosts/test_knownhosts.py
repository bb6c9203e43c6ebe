"""Lines of known_hosts, as OpenSSH reads them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from hostler.hosts import knownhosts
from hostler.hosts.trouble import HostTrouble

A, B = base64.b64encode(b"key a").decode(), base64.b64encode(b"key b").decode()


@pytest.mark.parametrize(
    ("text", "name", "verdict"),
    [
        (f"gpu1 ssh-ed25519 {A}", "gpu1", "known"),
        (f"GPU1 ssh-ed25519 {A} comment", "gpu1", "known"),
        (f"gpu1,10.0.0.5 ssh-ed25519 {A}", "10.0.0.5", "known"),
        (f"*.lan,!bad.lan ssh-ed25519 {A}", "gpu1.lan", "known"),
        (f"*.lan,!bad.lan ssh-ed25519 {A}", "bad.lan", "unknown"),
        (f"gpu? ssh-ed25519 {A}", "gpu1", "known"),
        (f"[gpu1]:2222 ssh-ed25519 {A}", "[gpu1]:2222", "known"),
        (f"[gpu1]:2222 ssh-ed25519 {A}", "gpu1", "unknown"),
        (f"gpu1 ssh-ed25519 {A}", "[gpu1]:2222", "unknown"),
        (f"gpu1 ssh-ed25519 {B}", "gpu1", "wrong"),
        (f"gpu1 ssh-rsa {B}\ngpu1 ssh-ed25519 {A}", "gpu1", "known"),
        (f"gpu1 ssh-ed25519 {A}\n@revoked * ssh-ed25519 {A}", "gpu1", "revoked"),
        (f"@cert-authority *.lan ssh-ed25519 {A}", "gpu1.lan", "unknown"),
        (f"# gpu1 ssh-ed25519 {A}", "gpu1", "unknown"),
        ("gpu1 ssh-ed25519 not-base64!", "gpu1", "unknown"),
        ("|1|broken ssh-ed25519 " + A, "gpu1", "unknown"),
        ("", "gpu1", "unknown"),
    ],
)
def test_verdicts(text: str, name: str, verdict: str) -> None:
    lines = tuple(line for word in text.splitlines() if (line := knownhosts.parse(word)))
    assert knownhosts.judge(lines, name, b"key a")[0] == verdict


def test_kinds_that_are_known_come_first_once() -> None:
    lines = [knownhosts.parse(f"gpu1 {kind} {A}") for kind in ("ssh-rsa", "ssh-ed25519", "ssh-rsa")]
    assert knownhosts.kinds([line for line in lines if line], "gpu1") == ("ssh-rsa", "ssh-ed25519")


def test_append_makes_a_private_file_and_keeps_lines_apart(tmp_path: Path) -> None:
    file = tmp_path / "new" / "known_hosts"
    knownhosts.append(str(file), "gpu1", "ssh-ed25519", A)
    file.write_text(file.read_text().rstrip("\n"))
    knownhosts.append(str(file), "gpu2", "ssh-ed25519", B)
    assert file.read_text() == f"gpu1 ssh-ed25519 {A}\ngpu2 ssh-ed25519 {B}\n"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("text", [f"ssh-ed25519 {A}", f"ssh-ed25519 {A} a comment", f" ssh-ed25519 {A}\n"])
def test_one_key_is_its_type_and_its_text(text: str) -> None:
    assert knownhosts.one_key(text) == f"ssh-ed25519 {A}"
    assert knownhosts.pinned("[gpu1]:22", text, "h") == f"[gpu1]:22 ssh-ed25519 {A}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gpu1", f"ssh-ed25519 {A}\n* ssh-ed25519 {B}"),
        ("gpu1", f"ssh-ed25519 {A} comment\n* ssh-ed25519 {B}"),
        ("gpu1", f"ssh-ed25519 {A}\r* ssh-ed25519 {B}"),
        ("gpu1", f"* ssh-ed25519 {A}"),
        ("gpu1", "ssh-ed25519 not-base64!"),
        ("gpu1", f"x{A} {A}"),
        ("gpu1", ""),
        ("*", f"ssh-ed25519 {A}"),
        ("gpu1,*", f"ssh-ed25519 {A}"),
        ("gpu?", f"ssh-ed25519 {A}"),
        ("@cert-authority", f"ssh-ed25519 {A}"),
        (f"* ssh-ed25519 {B}\ngpu1", f"ssh-ed25519 {A}"),
    ],
)
def test_a_pinned_key_speaks_of_one_host(name: str, text: str) -> None:
    """Ansible trusts each line of that file."""
    with pytest.raises(HostTrouble, match="h: expected one name and one public host key") as caught:
        knownhosts.pinned(name, text, "h")
    assert (caught.value.kind, caught.value.problem.next_step != "") == ("host-key", True)
