"""Whether a host waits for a reboot."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.node.cards import gpus
from hostler.node.packages import packages
from hostler.node.upgrades import reboots


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        ("6.1.0-18-amd64", ["6.1.0-18-amd64"], ""),
        ("6.1.0-18-amd64", ["6.1.0-9-amd64", "6.1.0-18-amd64"], ""),
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-40-amd64"], "6.1.0-40-amd64"),
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-40-rt-amd64", "6.1.0-41-cloud-amd64"], ""),
        ("6.12.9+deb13-amd64", ["6.12.9+deb13-amd64", "6.12.48+deb13-amd64"], "6.12.48+deb13-amd64"),
        ("6.8.0-88-generic", ["6.8.0-88-generic", "6.8.0-100-generic"], "6.8.0-100-generic"),
        ("6.8.0-1039-aws", ["6.8.0-88-generic", "6.8.0-1039-aws"], ""),
        ("5.14.0-570.el9.x86_64", ["5.14.0-570.el9.x86_64", "5.14.0-611.5.1.el9_7.x86_64"], "5.14.0-611.5.1.el9_7.x86_64"),
        ("5.4.0-of-the-machine-below", ["6.1.0-40-amd64"], ""),
        ("6.1.0-18-amd64", [], ""),
    ],
)  # fmt: skip
def test_the_newest_kernel_of_its_flavour(running: str, installed: list[str], newest: str) -> None:
    assert reboots.newer(running, installed) == newest


def test_reasons(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "look", lambda: {"driver": {"state": "working"}})
    monkeypatch.setattr(packages, "manager", lambda: None)
    assert reboots.reasons() == []
    (root / "var/run").mkdir(parents=True)
    (root / "var/run/reboot-required").touch()
    (root / "var/run/reboot-required.pkgs").write_text("linux-image-6\nlibc6\nlibc6\n")
    monkeypatch.setattr(
        gpus, "look", lambda: {"driver": {"state": "mismatch", "detail": "the kernel runs 580.1"}}
    )
    assert reboots.reasons() == ["asked for by libc6, linux-image-6", "the kernel runs 580.1"]
