"""A port of this machine for what a test starts later.

Below those that the kernel gives to connections (ip_local_port_range begins at 32768): one that was free a moment ago
must not become the end of another test's connection meanwhile. Tests that run side by side have ports of their own.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST, EACH = 11000, 5000
_next = itertools.count(os.getpid() % EACH)


def free_port() -> int:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while True:
        port = FIRST + EACH * worker + next(_next) % EACH
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
