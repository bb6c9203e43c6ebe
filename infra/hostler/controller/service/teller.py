"""Who is told, of what, and what of it stays: one after the other, in a thread of its own, so that a webhook that hangs
holds nothing up."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from hostler.console.out import Out
from hostler.controller import telling
from hostler.controller.service import alarms, kept
from hostler.stackfile.sections import StackFile

WAKES = {"woken": "good", "wake failed": "failed"}
FAILED = ("wake failed", "idle failed")
OVER = {"woken": "wake failed", "idle": "idle failed"}  # what is over with it
MOST = 100  # that wait to be told; what comes then is only in the journal


class Teller:
    """`own`: the folder of what is kept from one run to the next."""

    def __init__(self, file: StackFile, out: Out, own: Path) -> None:
        self._file, self._out, self._own = file, out, own
        self._lock = threading.Lock()
        self._kept = kept.load(own)
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="tell")
        self.took = dict(self._kept.took)  # model -> seconds of its last wake
        self.wakes: dict[tuple[str, str], float] = {}  # (model, good | failed) -> how many
        self._failing: set[tuple[str, str]] = set()  # (event, about), told
        self._waiting = 0

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The newest first."""
        return list(self._kept.errors)

    def close(self) -> None:
        self._queue.shutdown(wait=False, cancel_futures=True)

    def look(self, snapshot: Mapping[str, Any], wall: float) -> None:
        """Alarms that began, and those that are over."""
        now = alarms.on(snapshot)
        with self._lock:
            began, over = alarms.news(self._kept.told, now)
            if not began and not over and self.took == self._kept.took:
                return
            told = {name: self._kept.told.get(name, one.text) for name, one in now.items()}
            new = replace(self._kept, told=told, took=dict(self.took))
            for one in began:
                new = kept.with_error(new, wall, one.text, one.next)
            self._keep(new)  # first: what cannot be told is not told again and again
        for one in (*began, *over):
            self._say(one.event, f"{one.text}; `{one.next}`" if one.next else one.text, one.details)

    def event(self, event: str, text: str, about: str) -> None:
        """Of what was done, or was not: by any thread. What fails again and again is told once, until it has worked."""
        with self._lock:
            if how := WAKES.get(event):
                self.wakes[(about, how)] = self.wakes.get((about, how), 0.0) + 1
            self._failing.discard((OVER.get(event, ""), about))
            again = (event, about) in self._failing
            if event in FAILED and not again:
                self._failing.add((event, about))
                self._keep(kept.with_error(self._kept, time.time(), text, "hostler logs controller"))
        if event == "woken" or again:
            self._out.say(text)
        else:
            self._say(event, text, {"about": about})

    def _keep(self, new: kept.Kept) -> None:
        self._kept = new
        try:
            kept.save(self._own, new)
        except OSError as error:
            self._out.say(f"warning: what was told cannot be kept: {error.strerror}")

    def _say(self, event: str, text: str, details: Mapping[str, Any]) -> None:
        with self._lock:
            if self._waiting >= MOST:
                self._out.say(f"not told, as {MOST} wait before it: {text}")
                return
            self._waiting += 1
        self._queue.submit(self._tell, event, text, details)

    def _tell(self, event: str, text: str, details: Mapping[str, Any]) -> None:
        try:
            telling.alarm(self._file, self._out, event, text, details)
        finally:
            with self._lock:
                self._waiting -= 1
