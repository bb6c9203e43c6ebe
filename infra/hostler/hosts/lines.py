"""Lines of a running agent, as they come: each has a limit, and no more wait here than a few."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import BinaryIO

from .transport import LONGEST_LINE
from .trouble import too_long

WAITING = 8  # that nobody has taken yet: the host waits then


class Lines:
    """Read on a thread of its own, from `start` to `close`."""

    def __init__(self, host: str, pipe: BinaryIO) -> None:
        self._host, self._pipe = host, pipe
        self._lines: queue.Queue[bytes | None] = queue.Queue(WAITING)  # None: one was too long
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def next(self, timeout: float) -> bytes | None:
        """Empty at the end, None: there is none in time. Raises HostTrouble of kind protocol."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            return None
        if line is None:
            raise too_long(self._host, "lines", LONGEST_LINE)
        return line

    def close(self) -> None:
        """The thread waits for nobody any more: it ends with the pipe."""
        self._over.set()
        with suppress(queue.Empty):
            while True:
                self._lines.get_nowait()

    def _listen(self) -> None:
        with suppress(OSError, ValueError):  # closed under the reader: the end
            while line := self._pipe.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    self._lines.put(None)
                    return
                self._lines.put(line)
                if self._over.is_set():
                    return
        self._lines.put(b"")
