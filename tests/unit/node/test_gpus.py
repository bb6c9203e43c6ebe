"""What nvidia-smi and the kernel say, in samples of real machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hostler.node.base import files, shell
from hostler.node.base.shell import MISSING, TIMED_OUT, Result
from hostler.node.cards import gpus

TWO = """0, GPU-3f1c5a2e-8d1c-7a0b-9f52-0c6d2b1e4a77, NVIDIA GeForce RTX 3090, 24576, 21034, 97, 287.41, 350.00, 71, 00000000:01:00.0, 8.6, 580.95.05
1, GPU-9b0e7d4c-1f2a-4c3b-8e6d-5a4f3c2b1d0e, NVIDIA A10G, 23028, 0, 0, [N/A], 300.00, 31, 00000000:00:1E.0, 8.6, 580.95.05
"""
LOST = TWO + "Unable to determine the device handle for GPU0000:41:00.0: Unknown Error\n"
APPS = """GPU-3f1c5a2e-8d1c-7a0b-9f52-0c6d2b1e4a77, 41233, /app/llama-server, 20982
GPU-3f1c5a2e-8d1c-7a0b-9f52-0c6d2b1e4a77, 1771, /opt/a tool, with comma/x, [N/A]
"""
TOPO = """\t\x1b[4mGPU0\tGPU1\tGPU2\tGPU3\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m
GPU0\t X \tNV4\tPHB\tSYS\t0-31\t0\t\tN/A
GPU1\tNV4\t X \tPHB\tSYS\t0-31\t0\t\tN/A
GPU2\tPHB\tPHB\t X \tNV4\t0-31\t0\t\tN/A
GPU3\tSYS\tSYS\tNV4\t X \t0-31\t0\t\tN/A

Legend:

  X    = Self
  NV#  = Connection traversing a bonded set of # NVLinks
"""
VERSION = """NVIDIA-SMI version  : 580.95.05
NVML version        : 580.95
DRIVER version      : 580.95.05
CUDA Version        : 13.0
"""
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)  Tue Sep 23 10:11:16 UTC 2025\n"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"


def test_cards() -> None:
    cards, version = gpus.parse_cards(TWO)
    assert version == "580.95.05"
    assert cards[0] == {
        "index": 0, "uuid": "GPU-3f1c5a2e-8d1c-7a0b-9f52-0c6d2b1e4a77", "name": "NVIDIA GeForce RTX 3090", "memory_mib": 24576,
        "used_mib": 21034, "utilization": 97, "power_w": 287.41, "power_limit_w": 350.0, "temperature_c": 71,
        "pci": "00000000:01:00.0", "compute": "8.6",
    }  # fmt: skip
    assert cards[1]["power_w"] is None


def test_a_card_that_fell_off_is_no_card() -> None:
    assert len(gpus.parse_cards(LOST)[0]) == 2
    assert gpus.parse_cards("No devices were found\n") == ([], "")


def test_processes() -> None:
    assert [(app["pid"], app["name"], app["used_mib"]) for app in gpus.parse_apps(APPS)] == [
        (41233, "/app/llama-server", 20982),
        (1771, "/opt/a tool, with comma/x", None),
    ]


def test_whose_a_process_is(root: Path) -> None:
    for pid, group in ((41233, "0::/system.slice/docker-abc123.scope"), (1771, "0::/user.slice")):
        (root / "proc" / str(pid)).mkdir(parents=True)
        (root / "proc" / str(pid) / "cgroup").write_text(group)
    found = gpus.owned(gpus.parse_apps(APPS), [("abc123", "chat-0")])
    assert [(app["ours"], app["replica"]) for app in found] == [(True, "chat-0"), (False, "")]


def test_links() -> None:
    cards = [{"index": i, "uuid": f"U{i}"} for i in range(4)]
    assert gpus.parse_links(TOPO, cards) == [
        ["U0", "U1", "NV4"], ["U0", "U2", "PHB"], ["U0", "U3", "SYS"], ["U1", "U2", "PHB"], ["U1", "U3", "SYS"], ["U2", "U3", "NV4"],
    ]  # fmt: skip
    assert gpus.parse_links("", cards) == []


def test_versions() -> None:
    assert (gpus.parse_cuda(VERSION), gpus.parse_driver(VERSION)) == ("13.0", "580.95.05")
    assert (gpus.kernel_version(OPEN), gpus.kernel_version(CLOSED), gpus.kernel_version("")) == (
        "580.95.05",
        "535.183.01",
        "",
    )


def said(rc: int, stdout: str = "", stderr: str = "") -> Result:
    return Result(("nvidia-smi",), rc, stdout, stderr)


@pytest.mark.parametrize(
    ("asked", "module", "on_bus", "installed", "state"),
    [
        (said(0, TWO), "580.95.05", 2, "580.95.05", "working"),
        (
            said(18, "Failed to initialize NVML: Driver/library version mismatch\n"),
            "580.95.05",
            2,
            "580.105.08",
            "mismatch",
        ),
        (
            said(18, "Failed to initialize NVML: Driver/library version mismatch\n"),
            "580.95.05",
            2,
            "",
            "mismatch",
        ),
        (
            said(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"),
            "",
            2,
            "",
            "broken",
        ),
        (said(124, "", "nvidia-smi: no answer in 15 s"), "580.95.05", 2, "", "broken"),
        (said(MISSING), "", 2, "", "missing"),
        (said(MISSING), "", 0, "", "none"),
        (said(MISSING), "580.95.05", 1, "", "broken"),
        (said(0, ""), "580.95.05", 1, "580.95.05", "broken"),
    ],
)
def test_the_driver_s_state(asked: Result, module: str, on_bus: int, installed: str, state: str) -> None:
    assert gpus.judge(asked, module, on_bus, installed)["state"] == state


def test_cards_on_the_bus_without_a_driver(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vendor, kind in (
        ("0", "0x10de", "0x030000"),
        ("1", "0x10de", "0x030200"),
        ("2", "0x10de", "0x040300"),
        ("3", "0x8086", "0x030000"),
    ):
        device = root / "sys/bus/pci/devices" / name
        device.mkdir(parents=True)
        (device / "vendor").write_text(vendor + "\n")
        (device / "class").write_text(kind + "\n")
    monkeypatch.setattr(gpus, "SMI", "no-such-nvidia-smi")
    seen = gpus.look()
    assert seen["driver"]["state"] == "missing"
    assert "2 NVIDIA card(s)" in seen["driver"]["detail"]


def test_nothing_there(root: Path) -> None:
    assert gpus.look()["driver"] == {"state": "none"}


STAT = "{} (nvidia-smi) {} 1 " + "0 " * 17 + "{} 0"


@pytest.mark.parametrize(
    ("then", "asks"),
    [("D 99", False), ("Z 99", True), ("S 250", True), (None, True)],
    ids=["hangs", "zombie", "another process has its number", "gone"],
)
def test_where_one_hangs_no_second_one_is_started(
    root: Path, then: str | None, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed, and stays behind in the driver."""
    ran: list[str] = []

    def hangs(argv: Sequence[str], _limit: float) -> Result:
        ran.append(argv[1])
        return Result(tuple(argv), TIMED_OUT, "", "no answer", 4711)

    monkeypatch.setattr(shell, "run", hangs)
    (root / "run/hostler").mkdir(parents=True)
    files.write("/proc/4711/stat", STAT.format(4711, "D", 99).encode())
    words = gpus.query("compute-apps", gpus.APP)
    gpus.ask(words)
    if then is None:
        files.remove("/proc/4711/stat")
    else:
        state, born = then.split()
        files.write("/proc/4711/stat", STAT.format(4711, state, born).encode())
    (found,) = gpus.ask(words)
    assert (found.rc, len(ran)) == (TIMED_OUT, 2 if asks else 1)
    assert ("process 4711" in found.why) is not asks


def test_on_a_host_that_is_not_ours_nothing_is_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "run", lambda argv, _: Result(argv, TIMED_OUT, "", "no answer", 4711))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    gpus.ask(gpus.query("compute-apps", gpus.APP))
    assert not list(root.iterdir())
