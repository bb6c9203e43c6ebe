"""One host as the controller sees it: a stream of looks that stays open, and comes again when it breaks."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hostler.codec import DecodeError
from hostler.controller.service.hosts import LOST_S
from hostler.errors import HostlerError
from hostler.hosts import probe
from hostler.hosts.calls import talk
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Host
from hostler.leases.view import Metered, View

SILENT_S = 30.0  # a host that says nothing for so long is asked anew; it looks each 5 s
AGAIN_S = (1.0, 30.0)  # the first and the longest pause between two tries

type Json = dict[str, Any]


class Keeper:
    """Keeps a view of one host, in a thread of its own. `changed` is called when there is news. `meter`: the stack file's
    command for what the host draws; empty: none."""

    def __init__(
        self, host: Host, questions: Sequence[str], changed: Callable[[], None], meter: str = ""
    ) -> None:
        self._host = host
        self._asks: Json = {"meter": {"command": meter, "host": host.name}} if meter else {}
        self._questions = tuple(questions)
        self._changed = changed
        self._view = View(host=host)
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"keeper-{host.name}")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """It ends with its next line."""
        self._end.set()

    @property
    def view(self) -> View:
        with self._lock:
            return self._view

    def _run(self) -> None:
        pause = AGAIN_S[0]
        while not self._end.is_set():
            began = time.monotonic()
            try:
                self._listen()
                why = "its stream ended"
            except HostlerError as error:
                why = str(error.problems[0]) if error.problems else str(error)
                self._failed(error, why)
            except (OSError, DecodeError, KeyError, TypeError, ValueError) as error:
                why = f"{type(error).__name__}: {error}"
            self._keep(error=why)
            pause = AGAIN_S[0] if time.monotonic() - began > SILENT_S else min(2 * pause, AGAIN_S[1])
            self._end.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that all do not come at once

    def _failed(self, error: HostlerError, why: str) -> None:
        """What it said last stands as long as it may be gone: it reboots, or was given back, and that is not known here yet."""
        lost = not self._view.looked or time.monotonic() - self._view.at > LOST_S
        if lost:
            self._keep(seen=probe.failed(self._host.name, error, time.time()), error=why)
        else:
            self._keep(error=why)

    def _listen(self) -> None:
        transport = transport_for(self._host)
        try:
            with talk(transport, "idle-keep", ask=list(self._questions), **self._asks) as conversation:
                while not self._end.is_set():
                    line = conversation.hear(SILENT_S)
                    if line is None:
                        return
                    self._heard(line)
        finally:
            transport.close()

    def _heard(self, line: Json) -> None:
        if "looked" in line:
            self._keep(looked=line["looked"], at=time.monotonic(), error="")
        elif "seen" in line:
            now = time.time()
            self._keep(seen=probe.seen(self._host.name, line["seen"], now, now), error="")
        elif "meter" in line:
            said: Json = line["meter"]
            watts = None if said["watts"] is None else float(said["watts"])
            self._keep(metered=Metered(watts=watts, why=str(said["why"]), at=time.monotonic()))
        elif "error" in line:
            self._keep(error=str(line.get("message", line["error"])))

    def _keep(self, **news: Any) -> None:
        with self._lock:
            self._view = replace(self._view, **news)
        self._changed()
