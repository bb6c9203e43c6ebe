"""What a rented host is told at its first boot, run by a real shell below a folder."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.cloud import userdata
from hostler.node.base import files
from hostler.node.owning import adopt

KEY = userdata.host_key()
ASKED: dict[str, Any] = {
    "uid": "u-1",
    "stack": "office",
    "slot": "burst-0",
    "key": KEY,
    "public_key": "ssh-ed25519 AAAA ann",
}
# places of a host that a test has below a folder
PLACES = ("/etc/", "/usr/local/", "/var/lib/hostler")


def config() -> dict[str, Any]:
    text = userdata.user_data(**ASKED)
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def test_keys() -> None:
    said = config()
    assert said["ssh_keys"] == {"ed25519_private": KEY.private, "ed25519_public": KEY.public}
    assert said["ssh_authorized_keys"] == ["ssh-ed25519 AAAA ann"]
    assert (said["ssh_deletekeys"], said["ssh_pwauth"], said["disable_root"]) == (True, False, True)


def test_a_key_is_fresh_and_openssh_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.private)
    path.chmod(0o600)
    said = subprocess.run(
        ["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True, timeout=30
    )
    assert said.stdout.split()[:2] == KEY.public.split()
    assert userdata.host_key().public != KEY.public
    assert KEY.private not in repr(KEY)


def test_no_more_than_ec2_takes() -> None:
    assert len(userdata.user_data(**ASKED).encode()) < userdata.LIMIT / 2
    with pytest.raises(ValueError, match="EC2 takes 16384"):
        userdata.user_data(**{**ASKED, "public_key": "x" * 16384})


def test_the_agent_knows_the_same_places() -> None:
    assert (userdata.BORN, userdata.LEASE, userdata.TIMER) == (files.BORN, files.LEASE, adopt.TIMER)
    script = userdata.SCRIPT.read_text(encoding="utf-8")
    assert f"BIRTH={userdata.BIRTH_MINUTES * 60}\n" in script
    assert f"STATE={os.path.dirname(files.LEASE)}\n" in script


class Host:
    """A folder as a host; systemctl only notes what it is asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bin").mkdir()
        (root / "etc").mkdir()
        self.said = root / "systemctl"
        tool = root / "bin" / "systemctl"
        tool.write_text(f'#!/bin/sh\necho "$@" >>{self.said}\n')
        tool.chmod(0o755)

    def boot(self) -> subprocess.CompletedProcess[str]:
        """What bootcmd runs at each boot."""
        ((shell, flag, script),) = config()["bootcmd"]
        for place in PLACES:
            script = script.replace(place, f"{self.root}{place}")
        env = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.run([shell, flag, script], env=env, capture_output=True, text=True, timeout=30)

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text(encoding="utf-8")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_birth(host: Host) -> None:
    done = host.boot()
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(host.text(userdata.BORN)) == {"uid": "u-1", "stack": "office", "slot": "burst-0"}
    assert host.text(userdata.LEASE) == "birth 1800\n"
    program = host.root / userdata.PROGRAM.lstrip("/")
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert host.text(f"{userdata.UNITS}/{userdata.TIMER}") == userdata.TIMER_UNIT
    link = host.root / userdata.UNITS.lstrip("/") / "timers.target.wants" / userdata.TIMER
    assert link.exists()
    assert host.said.read_text() == f"daemon-reload\nstart --no-block {userdata.TIMER}\n"


def test_a_later_boot_changes_no_lease(host: Host) -> None:
    host.boot()
    (host.root / userdata.LEASE.lstrip("/")).write_text("abc 5000\n")
    host.said.unlink()
    host.boot()
    assert host.text(userdata.LEASE) == "abc 5000\n"
    assert host.said.read_text() == f"start --no-block {userdata.TIMER}\n"


def test_a_birth_that_was_cut_is_done_again(host: Host) -> None:
    host.boot()
    (host.root / userdata.BORN.lstrip("/")).unlink()
    (host.root / userdata.PROGRAM.lstrip("/")).write_text("half")
    host.boot()
    assert host.text(userdata.PROGRAM) == userdata.SCRIPT.read_text(encoding="utf-8").replace(
        "/var/lib/hostler", f"{host.root}/var/lib/hostler"
    )
