"""What the stub engines computed, by their own word: each request's number once when it begins and once when it ends.

A stub that cannot tell it here answers no request, so nothing is computed that is not counted.
"""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from contextlib import suppress

from lab.lab import Lab
from lab.shell import wait_for


class Tally:
    """Listens on the lab's bridge; `address` is for `--tally`."""

    def __init__(self, lab: Lab) -> None:
        self._listener = socket.create_server((f"10.77.{lab.number}.1", 0), backlog=64)
        self.address = "{}:{}".format(*self._listener.getsockname()[:2])
        self.begun: dict[int, list[str]] = defaultdict(
            list
        )  # a request's number -> the hosts that computed it
        self.ended: dict[int, list[str]] = defaultdict(list)
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for taken in self._taken:
            taken.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._listener.accept()
                self._taken.append(taken)
                threading.Thread(target=self._read, args=(taken,), daemon=True).start()

    def _read(self, taken: socket.socket) -> None:
        with suppress(OSError), taken.makefile(encoding="utf-8") as lines:
            for line in lines:
                host, number, what = line.split()
                (self.begun if what == "begun" else self.ended)[int(number)].append(host)

    def settled(self, count: int) -> None:
        """Until each of so many whole answers was told to have ended."""
        wait_for("the engines' last words", lambda: len(self.ended) >= count, 30)

    def twice(self) -> dict[int, list[str]]:
        """Requests that were computed more than once, and where."""
        return {number: hosts for number, hosts in list(self.begun.items()) if len(hosts) > 1}

    def cut(self) -> dict[int, list[str]]:
        """Requests that were begun and never ended, and where."""
        return {number: hosts for number, hosts in list(self.begun.items()) if number not in self.ended}
