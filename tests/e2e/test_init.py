"""`hostler init`: what a newcomer sees, on a terminal and without one."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from e2e.desk import Desk
from lab.hosts import Host
from lab.operators import Operator
from lab.shell import wait_for

pytestmark = pytest.mark.lab

ANSWER_S = 60


@pytest.fixture
def newcomer(steady: Desk) -> Iterator[Desk]:
    """Who has never been on these hosts: nothing in known_hosts."""
    operator = steady.lab.operator("newcomer")
    (operator.home / ".ssh/known_hosts").unlink()
    yield Desk(steady.lab, operator, steady.hostler, steady.pulumi)
    steady.lab.dismiss(operator)


class Terminal:
    """`hostler` on a terminal, with somebody who types."""

    def __init__(self, desk: Desk, *words: str) -> None:
        self.said = ""
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.process = desk.start(*words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)

    def until(self, text: str) -> None:
        wait_for(f"{text!r} on the terminal", lambda: text in self._read(), ANSWER_S)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        wait_for("its end", lambda: (self._read(), self.process.poll())[1] is not None, ANSWER_S)
        self._read()
        os.close(self._ours)
        return self.process.returncode

    def _read(self) -> str:
        with suppress(OSError):  # nothing there now, or nobody on the other side
            self.said += os.read(self._ours, 65536).decode()
        return self.said


def known(operator: Operator) -> str:
    path = operator.home / ".ssh/known_hosts"
    return path.read_text() if path.exists() else ""


def fingerprint(host: Host) -> str:
    key = host.directory / "ssh/ssh_host_ed25519_key.pub"
    return subprocess.check_output(["ssh-keygen", "-lf", key], text=True).split()[1]


def test_an_unknown_key_is_shown_and_asked_once(newcomer: Desk, hosts: dict[str, Host]) -> None:
    terminal = Terminal(newcomer, "init", "gpu-1", "gpu-2")
    for host in hosts.values():
        terminal.until("Trust this key")
        assert fingerprint(host) in terminal.said
        terminal.said = ""
        terminal.type("y\n")
    terminal.until("What for")
    terminal.type("\n")
    assert terminal.end() == 0, terminal.said
    assert all(host.host_key.split()[1] in known(newcomer.operator) for host in hosts.values())

    again = newcomer("init", "gpu-1", "gpu-2", "-o", "again.yaml").err
    assert "Trust" not in again
    written = [(newcomer.operator.home / name).read_text() for name in ("hostler.yaml", "again.yaml")]
    assert written[0] == written[1]
    assert "4 x NVIDIA GeForce RTX 3090" in written[0]
    assert "NVIDIA A10G" in written[0]
    newcomer.write(written[0])
    newcomer("check")
    assert "\nchat: " in again, "what is proposed is said, too"


def test_no_is_no(newcomer: Desk, hosts: dict[str, Host]) -> None:
    terminal = Terminal(newcomer, "init", "gpu-1")
    terminal.until("Trust this key")
    terminal.type("n\n")
    assert terminal.end() == 4, terminal.said
    assert known(newcomer.operator) == ""
    assert not (newcomer.operator.home / "hostler.yaml").exists()


@pytest.mark.parametrize("words", [(), ("--yes",)], ids=["nobody to ask", "yes is not trust"])
def test_without_a_terminal_nothing_is_trusted(
    newcomer: Desk, hosts: dict[str, Host], words: tuple[str, ...]
) -> None:
    refused = newcomer("init", "gpu-1", *words, code=4)
    assert fingerprint(hosts["gpu-1"]) in refused.err
    assert refused.err.count("expected a known host key") == 1
    assert "host_key in the stack file" in refused.err
    assert known(newcomer.operator) == ""


def test_a_changed_key_is_never_asked_about(newcomer: Desk, hosts: dict[str, Host], tmp_path: Path) -> None:
    subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"])
    other = (tmp_path / "key.pub").read_text().split()[:2]
    text = f"{hosts['gpu-1'].address},gpu-1 {' '.join(other)}\n"
    (newcomer.operator.home / ".ssh/known_hosts").write_text(text)
    terminal = Terminal(newcomer, "init", "gpu-1")
    assert terminal.end() == 4, terminal.said
    assert "Trust this key" not in terminal.said
    assert fingerprint(hosts["gpu-1"]) in terminal.said
    assert known(newcomer.operator) == text
