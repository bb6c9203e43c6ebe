"""TCP sockets of this host, from the kernel's own tables."""

from __future__ import annotations

from typing import List, Optional

from . import files

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
ESTABLISHED = "01"
OVER = ("06", "07")  # TIME_WAIT, CLOSE: both ends are through with it


def connected(port: int) -> bool:
    """Whether somebody has a connection to a port; what cannot be read is no proof that nobody has: True."""
    rows = _rows()
    return rows is None or any(row[3] == ESTABLISHED and _port(row) == port for row in rows)


def quiet(port: int) -> bool:
    """Whether nothing listens on a port and no connection to it is open: then nothing is in flight there. What
    cannot be read is no proof: False."""
    rows = _rows()
    return rows is not None and not any(row[3] not in OVER and _port(row) == port for row in rows)


def _rows() -> Optional[List[List[str]]]:
    if not files.read_text(TABLES[0]):
        return None
    rows = (line.split() for table in TABLES for line in files.read_text(table).splitlines()[1:])
    return [row for row in rows if len(row) > 3]


def _port(row: List[str]) -> int:
    """Of this host's end."""
    return int(row[1].rpartition(":")[2], 16)
