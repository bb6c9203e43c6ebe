"""TCP sockets of this host, from the kernel's own tables."""

from __future__ import annotations

from . import files

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
OVER = ("06", "07")  # TIME_WAIT, CLOSE: both ends are through with it


def quiet(port: int) -> bool:
    """Whether nothing listens on a port and no connection to it is open: then nothing is in flight there. What
    cannot be read is no proof: False."""
    if not files.read_text(TABLES[0]):
        return False
    rows = (line.split() for table in TABLES for line in files.read_text(table).splitlines()[1:])
    return not any(
        len(row) > 3 and row[3] not in OVER and int(row[1].rpartition(":")[2], 16) == port for row in rows
    )
