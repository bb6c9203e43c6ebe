"""Real SSH servers on loopback, each its own process with its own keys, for as long as a test needs them."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from worlds.ports import free_port

SSHD = "/usr/sbin/sshd"
LIMIT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    port: int
    folder: Path
    host_key: str  # "ssh-ed25519 AAAA..."

    @property
    def known(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"


def new_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> str:
    """A key pair at `path`; its public half, as it stands in authorized_keys."""
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def server(folder: Path, authorized: str, *extra: str, kind: str = "ed25519") -> Iterator[Server]:
    """An sshd that lets the owner of the key `authorized` in."""
    folder.mkdir(parents=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    host_key = new_key(folder / "host", kind=kind)
    (folder / "authorized").write_text(authorized + "\n")
    port = free_port()
    lines = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder / 'host'}", f"AuthorizedKeysFile {folder / 'authorized'}",
        "PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
        "MaxStartups 200", "PermitRootLogin yes", *extra,
    ]  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    log = (folder / "log").open("wb")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log, stdout=log)
    try:
        _wait_until_open(port, process, folder / "log")
        yield Server(port=port, folder=folder, host_key=host_key)
    finally:
        process.terminate()
        process.wait(LIMIT_S)
        log.close()


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"sshd did not start: {log.read_text()}")


@contextmanager
def mute() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield listener.getsockname()[1]


def user() -> str:
    return getpass.getuser()


def fake_tools(folder: Path, sudo: str = "") -> str:
    """A PATH on which one is nobody special: `id` says 1000, and sudo (if any) does what `sudo` says."""
    folder.mkdir()
    for name in ("sh", "env", "cat", "mktemp", "chmod", "mv", "rm", "dirname", "python3", "true"):
        (folder / name).symlink_to(_real(name))
    _script(folder / "id", "echo 1000")
    if sudo:
        _script(folder / "sudo", sudo)
    return str(folder)


def _real(name: str) -> str:
    places = ("/bin", "/usr/bin", "/usr/local/bin")
    return next(f"{place}/{name}" for place in places if os.path.exists(f"{place}/{name}"))


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
