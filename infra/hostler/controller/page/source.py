"""What the page and the metrics stand on: a snapshot of the stack, a number that changes with it, and counters."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

Snapshot = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """`counts` are cumulative, one for each bound and one more for all; `total_s` is the sum of what was measured."""

    bounds_s: tuple[float, ...]
    counts: tuple[float, ...]
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Counters for Prometheus: each only grows as long as the controller runs. What is not known is not in them."""

    tokens: Mapping[tuple[str, str], float] = field(
        default_factory=dict[tuple[str, str], float]
    )  # (model, prompt | generation)
    requests: Mapping[tuple[str, str], float] = field(
        default_factory=dict[tuple[str, str], float]
    )  # (model, code): by the gateway's count; 2xx, 4xx, 5xx
    first_token: Mapping[str, Histogram] = field(default_factory=dict[str, Histogram])  # by model
    held: Mapping[str, int] = field(default_factory=dict[str, int])  # model -> requests that wait for it now
    wakes: Mapping[tuple[str, str], float] = field(
        default_factory=dict[tuple[str, str], float]
    )  # (model, good | failed)
    given_back: Mapping[tuple[str, str], float] = field(
        default_factory=dict[tuple[str, str], float]
    )  # (sleep | stop | terminate | suspend, good | failed)
    joules: Mapping[str, float] = field(default_factory=dict[str, float])  # card's UUID -> energy, measured


class Source(Protocol):
    """Called in the event loop: each answers at once, but for `after`."""

    def snapshot(self) -> Snapshot | None:
        """What `hostler status --json` says, with what README.md names. None: nothing was seen yet."""
        ...

    def version(self) -> int:
        """Another number for each snapshot."""
        ...

    async def after(self, version: int) -> None:
        """Comes back when the version is another one; may be cancelled."""
        ...

    def series(self) -> Series: ...


class Board:
    """A Source that any thread may put a snapshot on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._snapshot: Snapshot | None = None
        self._series = Series()
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    def put(self, snapshot: Snapshot, series: Series | None = None) -> None:
        """The snapshot must not change any more. Without `series` the last ones hold."""
        with self._lock:
            self._version += 1
            self._snapshot = snapshot
            self._series = series or self._series
            waiting, self._waiting = self._waiting, {}
        for future, loop in waiting.items():
            with suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(_done, future)

    def snapshot(self) -> Snapshot | None:
        return self._snapshot

    def version(self) -> int:
        return self._version

    def series(self) -> Series:
        return self._series

    async def after(self, version: int) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._version != version:
                return
            self._waiting[future] = loop
        try:
            await future
        finally:
            with self._lock:
                self._waiting.pop(future, None)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
