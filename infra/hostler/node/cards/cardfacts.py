"""What else nvidia-smi and the kernel know of cards: power's range, PCIe, ECC, MIG, throttling, Xid errors.

Each group is a query of its own: a field that a driver does not know makes nvidia-smi refuse the whole query.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..base import shell

Json = Dict[str, Any]
DETAIL = (
    "uuid", "power.min_limit", "power.max_limit", "power.default_limit", "pcie.link.gen.current", "pcie.link.gen.max",
    "pcie.link.width.current", "pcie.link.width.max", "ecc.errors.uncorrected.volatile.total", "mig.mode.current",
)  # fmt: skip
REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")  # since driver 535, before it
# Bits of NVML's reasons that say something is wrong; idle, a set clock and the power limit are as they should be.
THROTTLED = (
    (0x8, "hardware slowdown"),
    (0x20, "hot"),
    (0x40, "too hot"),
    (0x80, "power brake"),
)
XID = re.compile(r"^(\d+)\.?\d*\s.*NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)")
XIDS = 20  # at most, the newest
KERNEL = ("journalctl", "-k", "-b", "-g", "NVRM: Xid", "-o", "short-unix", "-n", str(XIDS), "--no-pager")
KERNEL_S = 4.0  # a long log is read to its end when nothing matches
NO_MATCH = 1  # journalctl's status


def more(text: str) -> Dict[str, Json]:
    """By UUID, the fields of hosts.types.Card that the second query brings."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return {row[0]: _detail(row) for row in rows if len(row) == len(DETAIL)}


def _detail(row: Sequence[str]) -> Json:
    return {
        "power_min_w": real(row[1]),
        "power_max_w": real(row[2]),
        "power_default_w": real(row[3]),
        "pcie_gen": whole(row[4]),
        "pcie_gen_max": whole(row[5]),
        "pcie_width": whole(row[6]),
        "pcie_width_max": whole(row[7]),
        "ecc_errors": whole(row[8]),
        "mig": {"Enabled": True, "Disabled": False}.get(row[9]),
    }


def throttled(text: str) -> Dict[str, List[str]]:
    """By UUID, what slows a card down that should not."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        uuid, _, mask = (part.strip() for part in line.partition(","))
        if mask.startswith("0x"):
            found[uuid] = [word for bit, word in THROTTLED if int(mask, 16) & bit]
    return found


def xids(said: shell.Result) -> Optional[List[Tuple[str, int, float]]]:
    """(PCI bus and device, number, seconds since 1970) of this boot's Xid errors, oldest first; None: unknown."""
    if said.rc not in (0, NO_MATCH) or said.stderr.strip():
        return None
    matches = (XID.match(line) for line in said.stdout.splitlines())
    return sorted(((slot(m[2]), int(m[3]), float(m[1])) for m in matches if m), key=lambda xid: xid[2])


def slot(pci: str) -> str:
    """`00000000:01:00.0`, as nvidia-smi has it, and `0000:01:00`, as the kernel does: one spelling for both."""
    domain, bus, device = pci.lower().partition(".")[0].rsplit(":", 2)
    return "%04x:%s:%s" % (int(domain, 16), bus, device)


def whole(text: str) -> Optional[int]:
    value = real(text)
    return None if value is None else int(value)


def real(text: str) -> Optional[float]:
    """A number; None for [N/A], [Not Supported] and the like."""
    try:
        return float(text)
    except ValueError:
        return None
