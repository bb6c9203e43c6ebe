"""Time that no clock's change moves, and which boot this is: by the kernel."""

from __future__ import annotations

import time

from . import files

SUSPENDED = "/sys/power/suspend_stats/success"
READS = 5  # of two clocks, one after the other: the closest are less than a microsecond apart


def boottime() -> float:
    """Seconds since the boot, those of a suspended host among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot() -> str:
    """By the kernel's id, and by the start of the first process: a container has its machine's id."""
    first = files.read_text("/proc/1/stat").rpartition(")")[2].split()
    started = first[19] if len(first) > 19 else ""
    return "%s %s" % (files.read_text("/proc/sys/kernel/random/boot_id").strip(), started)


def slept() -> float:
    """Seconds that this host was suspended since its boot."""
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() for _ in range(READS))


def resumed() -> str:
    """Which boot, and how often it was suspended since; for how many seconds, where the kernel does not count."""
    return "%s %s" % (boot(), files.read_text(SUSPENDED).strip() or "%d s" % round(slept()))
