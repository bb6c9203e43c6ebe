"""What `hostler` costs where it touches no host: processor and wall time, medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

TIMES = 10


def cost(words: Sequence[str | Path]) -> tuple[float, float]:
    """(processor, wall) seconds of one run."""
    began = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(words))
    return used.ru_utime + used.ru_stime, wall


def measured(words: Sequence[str | Path]) -> tuple[float, float]:
    """(processor, wall) seconds, median of TIMES runs after one that warms the caches."""
    cost(words)
    runs = [cost(words) for _ in range(TIMES)]
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)
