"""How long starts take here, and how long a new one may take.

Kept on the host, in seconds from the container's start to its readiness: a limit that is too short fails a good replica on
a slow disk, and one that is too long leaves a model without it for as long.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional, Sequence

from ..base import files
from ..base.protocol import NodeError, as_dict
from ..base.spec import Spec
from ..canary import canary
from ..replica import version, wait

FILE = "/var/lib/hostler/starts.json"  # {what was loaded: {"seconds": [...], "at"}}
KEPT = 5  # starts of each
ENTRIES = 50
MULTIPLE = 3.0  # of the longest
READS = 2.0  # times the size: engines read weights once, and what else reads the disk meanwhile is not known
ASSUMED = 50 << 20  # bytes a second, of a disk that nobody has measured: as in the operator's limit
SAMPLE = 16 << 20  # bytes of each read
SAMPLES = 3


def limit_s(assumed: float, size: int, speed: Optional[float], past: Sequence[float]) -> int:
    """Seconds after which a start has failed.

    `assumed`: what the operator computed, an engine's own time plus the size over a slow disk's 50 MiB/s. It holds where
    nothing is measured. Else the largest of
    - the engine's own time: no start is quicker to fail, whatever the disk;
    - three times the longest of the last starts: one that takes longer than that has met with something else;
    - the engine's own time plus twice the size over the speed that the disk was measured to have: weights that were never
      loaded here, on a disk that may be slower than assumed (a network's) or much faster.
    """
    if not past and not speed:
        return int(assumed)
    own = max(1.0, assumed - size / ASSUMED)
    measured = MULTIPLE * max(past, default=0.0)
    read = own + (READS * size / speed if speed else 0.0)
    return int(max(own, measured, read) + 0.5)


def limited(new: Spec) -> Spec:
    """A specification with the limit that a start of it has here."""
    health = as_dict(new.get("health"))
    if not health.get("limit_s") or not new.get("model"):
        return new
    paths = _weights(new)
    size = sum(os.path.getsize(files.at(path)) for path in paths)
    limit = limit_s(float(health["limit_s"]), size, speed(paths), past(new))
    return {**new, "health": {**health, "limit_s": limit}}


def _weights(found: Spec) -> List[str]:
    return [path for path in version.parts(version.model_path(found)) if os.path.isfile(files.at(path))]


def speed(paths: Sequence[str]) -> Optional[float]:
    """Bytes a second at which this host reads them: the slowest of some samples; None where there is too little to read."""
    if not paths:
        return None
    largest = max((files.at(path) for path in paths), key=os.path.getsize)
    size = os.path.getsize(largest)
    if size < SAMPLES * SAMPLE:
        return None
    try:
        with open(largest, "rb", buffering=0) as file:
            places = [i * (size - SAMPLE) // (SAMPLES - 1) for i in range(SAMPLES)]
            return min(SAMPLE / max(_read_s(file.fileno(), place), 1e-6) for place in places)
    except OSError:
        return None


def _read_s(handle: int, place: int) -> float:
    """Not from memory, if that can be had: pages that an engine has mapped stay."""
    os.posix_fadvise(handle, place, SAMPLE, os.POSIX_FADV_DONTNEED)
    begun = time.monotonic()
    left, at = SAMPLE, place
    while left > 0:
        part = os.pread(handle, min(left, 1 << 20), at)
        if not part:
            break
        left, at = left - len(part), at + len(part)
    return time.monotonic() - begun


def proven(
    begun: float, new: Spec, old: Optional[Spec] = None, before: Optional[canary.Measures] = None
) -> str:
    """The canary of a container that was started at `begun` (monotonic); one that is good is remembered."""
    wait.ready(new)
    seconds = time.monotonic() - begun
    said = canary.proven(new, old, before)
    keep(new, seconds)
    return said


def keep(new: Spec, seconds: float) -> None:
    """A full disk, or a damaged file, forgets it."""
    try:
        known: Dict[str, Any] = as_dict(files.read_json(FILE))
        before: List[float] = as_dict(known.get(_key(new))).get("seconds") or []
        known[_key(new)] = {"seconds": [*before, round(seconds, 1)][-KEPT:], "at": time.time()}
        newest = sorted(known, key=lambda key: float(as_dict(known[key]).get("at") or 0))[-ENTRIES:]
        files.write_json(FILE, {key: known[key] for key in newest})
    except (OSError, ValueError, NodeError):
        return


def past(found: Spec) -> List[float]:
    """Seconds of the last starts of the same weights, the newest last."""
    try:
        seconds: List[Any] = as_dict(as_dict(files.read_json(FILE)).get(_key(found))).get("seconds") or []
    except (OSError, NodeError):
        return []
    return [float(one) for one in seconds if isinstance(one, (int, float))]


def _key(found: Spec) -> str:
    """The same file in the same engine takes as long, whatever the replica's name."""
    return "%s %s" % (
        as_dict(found.get("image")).get("name", ""),
        version.model_path(found) or found.get("id"),
    )
