"""What a turn stands on: the stack file, what is remembered, the time, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hostler.console.out import Out
from hostler.controller import telling
from hostler.controller.memory import Last, Memory
from hostler.errors import HostlerError
from hostler.rollout import up
from hostler.stackfile import updating
from hostler.stackfile.outside import Updates
from hostler.stackfile.sections import StackFile


@dataclass(slots=True, kw_only=True)
class Turn:
    """`memory` is what stays; `state` and `text` are what `status` shows: idle, waiting, deferred, paused, halted."""

    file: StackFile
    out: Out
    memory: Memory
    now: float
    state: str = "idle"
    text: str = ""
    save: Callable[[Memory], None] = field(default=lambda _memory: None)

    @property
    def updates(self) -> Updates:
        return self.file.stack.updates or Updates()

    def keep(self, **changes: Any) -> None:
        self.memory = replace(self.memory, **changes)
        self.save(self.memory)

    def become(self, state: str, text: str) -> None:
        self.state, self.text = state, text
        self.out.say(f"{state}: {text}")

    def tell(self, event: str, text: str, *, same: str = "", **details: Any) -> None:
        """Only what is new: the same is not said twice, though its words may differ where `same` does not."""
        mark = same or text
        if self.memory.told.get(event) != mark:
            telling.tell(self.file, self.out, event, text, details)
            self.keep(told={**self.memory.told, event: mark})

    def quiet(self, event: str) -> None:
        """It is over: the next time it is told again."""
        if event in self.memory.told:
            self.keep(told={name: text for name, text in self.memory.told.items() if name != event})


def reason(error: HostlerError) -> str:
    return str(error.problems[0]) if error.problems else str(error)


def date(at: float) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M UTC", time.gmtime(at))


def closed(it: Turn, lasts: float = 0.0) -> str:
    """Why nothing is begun now; empty: the window is open for long enough for the bake, and for what took `lasts` seconds
    the last time. What is begun is finished, also where the window closes over it."""
    if not it.updates.window:
        return ""
    window = updating.window(it.updates.window)
    until = window.open_until(it.now)
    if until is None:
        return f"the window opens {date(window.opens(it.now))}"
    if until - it.now < max(it.updates.bake, lasts) + updating.BEGIN_S:
        return f"the window closes too soon for it; the next one opens {date(window.opens(until + 1))}"
    return ""


def options(it: Turn) -> up.Options:
    return up.Options(yes=True, pulumi=False, bake_s=int(it.updates.bake))


def ended(it: Turn, last: Last) -> None:
    left = {name: one for name, one in it.memory.frozen.items() if name != last.model}
    it.keep(last=last, frozen=left, took={**it.memory.took, last.model: it.now}, resumed="")
    it.quiet("failed")
