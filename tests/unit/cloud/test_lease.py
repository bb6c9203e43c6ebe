"""lease.sh under a real shell: seconds are counted by uptime, whatever else happens."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hostler.cloud.userdata import SCRIPT

OFF = ["poweroff"]


class Host:
    """A folder as a host; `up` is its uptime, `boot` its boot id."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state, self.run, self.proc = root / "state", root / "run", root / "proc"
        self.up, self.boot = 100, "boot-1"
        for folder in (self.state, self.run, self.proc / "sys/kernel/random", root / "bin"):
            folder.mkdir(parents=True)
        self.fails = root / "fails"
        self.fails.write_text("")
        tool = root / "bin" / "systemctl"
        tool.write_text(
            f'#!/bin/sh\necho "$@" >>{root}/asked\nif grep -qx -e "$*" {self.fails}; then exit 1; fi\n'
        )
        tool.chmod(0o755)
        text = SCRIPT.read_text(encoding="utf-8")
        for name, place in (
            ("STATE=/var/lib/hostler", self.state),
            ("RUN=/run", self.run),
            ("PROC=/proc", self.proc),
        ):
            assert f"{name}\n" in text
            text = text.replace(f"{name}\n", f"{name.partition('=')[0]}={place}\n")
        self.script = root / "lease.sh"
        self.script.write_text(text)
        self.lease("birth 1800")

    def lease(self, text: str) -> None:
        (self.state / "lease").write_text(text + "\n")

    def tick(self, seconds: int = 0) -> list[str]:
        """What systemctl is asked after so many further seconds."""
        self.up += seconds
        (self.proc / "uptime").write_text(f"{self.up}.42 99.00\n")
        (self.proc / "sys/kernel/random/boot_id").write_text(self.boot + "\n")
        asked = self.root / "asked"
        asked.unlink(missing_ok=True)
        env = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        done = subprocess.run(["sh", self.script], env=env, capture_output=True, text=True, timeout=30)
        assert done.stderr == ""
        return asked.read_text().splitlines() if asked.exists() else []

    def reboot(self) -> None:
        self.boot, self.up = self.boot + "x", 5
        for path in self.run.iterdir():
            path.unlink()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_that_nobody_adopts_ends(host: Host) -> None:
    assert host.tick() == []
    assert host.tick(1799) == []
    assert host.tick(1) == OFF


def test_an_adopted_one_lives_as_long_as_its_lease(host: Host) -> None:
    host.tick()
    host.tick(1700)
    host.lease("a 5000")
    assert host.tick(60) == []
    assert host.tick(4999) == []
    host.lease("b 5000")  # renewed
    assert host.tick(60) == []
    assert host.tick(4999) == []
    assert host.tick(1) == OFF


def test_one_without_an_end_stays(host: Host) -> None:
    host.lease("a none")
    assert host.tick(10**9) == []


@pytest.mark.parametrize("lease", ["", "a", "a soon", "a -5", None])
def test_a_lease_that_is_damaged_or_gone_is_that_of_a_birth(host: Host, lease: str | None) -> None:
    host.lease("a 5000")
    host.tick()
    if lease is None:
        (host.state / "lease").unlink()
    else:
        host.lease(lease)
    assert host.tick(4000) == []
    assert host.tick(1799) == []
    assert host.tick(1) == OFF


def test_a_reboot_counts_a_minute_and_no_more(host: Host) -> None:
    host.tick()
    host.tick(1000)
    host.reboot()
    host.up = 999999  # as in a container, where uptime is the machine's
    assert host.tick() == []  # 1060
    assert host.tick(739) == []
    assert host.tick(1) == OFF


def test_reboots_without_end_end(host: Host) -> None:
    host.tick()
    ends: list[list[str]] = []
    for _ in range(30):
        host.reboot()
        ends.append(host.tick())
    assert ends == [[]] * 29 + [OFF]


@pytest.mark.parametrize("seconds", [600, 7200])
def test_one_that_is_started_again_after_its_end_has_half_an_hour(host: Host, seconds: int) -> None:
    """Where its shutdown stopped it: who starts it must be able to reach it, and nobody may forget it."""
    host.lease(f"there {seconds}")
    assert host.tick() == []
    assert host.tick(seconds) == OFF
    host.reboot()
    assert host.tick() == []
    left = min(seconds, 1800)
    assert host.tick(left - 1) == []
    assert host.tick(1) == OFF


@pytest.mark.parametrize("spent", ["", "birth", "birth x boot-1 y", "birth 5"])
def test_a_damaged_count_starts_again(host: Host, spent: str) -> None:
    (host.run / "hostler-lease-spent").write_text(spent + "\n")
    assert host.tick() == []
    assert host.tick(1740) == []
    assert host.tick(60) == OFF


def test_a_disk_that_takes_nothing(host: Host) -> None:
    host.tick()
    (host.state / "lease-spent.new").mkdir()  # no file can be written there
    assert host.tick(1799) == []
    assert host.tick(1) == OFF


def test_a_shutdown_that_hangs_is_not_waited_for(host: Host) -> None:
    host.tick()
    assert host.tick(1800) == OFF
    assert host.tick(1199) == OFF
    assert host.tick(1) == ["poweroff --force --force"]


def test_a_systemd_that_does_not_answer(host: Host) -> None:
    host.fails.write_text("poweroff\npoweroff --force\n")
    host.tick()
    assert host.tick(1800) == ["poweroff", "poweroff --force", "poweroff --force --force"]
