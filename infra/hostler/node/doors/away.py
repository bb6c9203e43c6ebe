"""The note of a host's replicas that are set aside while what is under them is upgraded.

It outlives a reboot, which draining marks do not: they are drained again when they start, until they have been asked.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from ..base import files
from . import drain

FILE = "/var/lib/hostler/away.json"
AGAIN_S = 3600.0  # after the drain, the installation, or a reboot that we began: then nobody drains them again at a boot: whoever began it is gone

# {"run", "at", "replicas": {id: what it did before, null: it did not serve}, "left": [ids that an earlier run left drained]}
Note = Dict[str, Any]


def read() -> Optional[Note]:
    return files.read_json(FILE)


def write(note: Note) -> None:
    files.write_json(FILE, note)


def end() -> None:
    files.remove(FILE)


def forget(identifier: str) -> None:
    """One that serves again by other means than `host-back`."""
    found = read()
    if found is None or identifier not in found["replicas"]:
        return
    rest = {name: before for name, before in found["replicas"].items() if name != identifier}
    if rest:
        write({**found, "replicas": rest})
    else:
        end()


def renew() -> None:
    """After an installation and before a reboot that are ours: how long drain and installation took counts no more."""
    found = read()
    if found is not None:
        write({**found, "at": time.time()})


def again(identifier: str) -> None:
    """Before it starts: drained before the boot, drained after it."""
    found = read()
    if found and identifier in found["replicas"] and time.time() - found["at"] < AGAIN_S:
        drain.mark(identifier)
