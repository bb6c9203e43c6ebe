"""How fast this host may download, over all files and processes together."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import Optional

from ..base import files
from . import download

PACE = "/run/hostler/pace"  # when the next byte is due, on the clock that all processes share since the boot
LONGEST_S = 600.0  # more than that can only be another boot's
SMALLEST = 16 << 10


class Paced:
    """A body that is read at most at `rate` bytes a second."""

    def __init__(self, body: download.Body, rate: int) -> None:
        self._body = body
        self._rate = rate
        self._step = min(max(rate // 8, SMALLEST), files.CHUNK)

    def read(self, count: int, /) -> bytes:
        data = self._body.read(min(count, self._step))
        time.sleep(reserved(len(data), self._rate))
        return data

    def getheader(self, name: str) -> Optional[str]:
        return self._body.getheader(name)

    def close(self) -> None:
        self._body.close()


def paced(source: download.Source, rate: int) -> download.Source:
    """`rate` 0: as fast as it goes."""
    return source._replace(response=Paced(source.response, rate)) if rate else source


def reserved(count: int, rate: int) -> float:
    """Seconds to wait before the next read: what others have reserved comes first."""
    path = files.at(PACE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        now = time.monotonic()
        file.seek(0)
        kept = file.read(8)
        due = struct.unpack("<d", kept)[0] if len(kept) == 8 else now
        if not now <= due <= now + LONGEST_S:
            due = now
        file.truncate(0)
        file.write(struct.pack("<d", due + count / rate))
    return due + count / rate - now
