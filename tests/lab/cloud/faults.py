"""The faults of a cloud's API, which calls they meet, and how often each call was made."""

import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from .rights import Permit
from .wire import Call


@dataclass
class Fault:
    """Meets calls by service and action (globs) and by text in their body.

    times: how often, 0 for ever. delay: seconds before the answer. code: an error's, or `expired`, `denied`, `throttled`.
    lost: the call takes effect and its connection is cut before the answer.
    """

    service: str = "*"
    action: str = "*"
    match: str = ""
    times: int = 1
    delay: float = 0.0
    code: str = ""
    message: str = ""
    status: int = 0
    lost: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def meets(self, call: Call) -> bool:
        named = fnmatch(call.service, self.service) and fnmatch(call.action, self.action)
        return named and self.match.encode() in call.body


NONE = Fault(times=0)


class Faults:
    """All that a test has asked for, first come first; and the count of all calls."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wanted: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.called: dict[str, set[str]] = {}  # the rights that an access key's calls needed
        self.permits: dict[str, Permit] = {}  # what an access key may do; all others may do all
        self.refused: list[str] = []
        self.capacity: list[dict[str, str]] = []  # rules of type and zone where none is left
        self.prices: list[dict[str, Any]] = []  # spot prices by type and zone, the last one counts
        self.quotas: dict[str, float] = {}
        self.births: list[dict[str, Any]] = []  # how the next instances come up: never, or without network

    def take(self, call: Call) -> Fault:
        """The fault that this call meets, or NONE; counts the call."""
        with self.lock:
            action = call.action.split()[0] if call.service == "s3" else call.action
            self.calls[f"{call.service}:{action}"] += 1
            self.called.setdefault(call.key, set()).update(call.rights)
            permit = self.permits.get(call.key)
            if permit and (missing := permit.refuses(call)):
                self.refused += missing
                said = f"User: {call.key} is not authorized to perform: {missing[0]}"
                return Fault(code="denied", message=said)
            for fault in self.wanted:
                if fault.meets(call):
                    if fault.times == 1:
                        self.wanted.remove(fault)
                    fault.times -= fault.times > 0
                    return fault
        return NONE

    def birth(self) -> str:
        """How the instance that is made now comes up: "" as it should, "never" or "cut"."""
        with self.lock:
            for one in self.births:
                if one["times"] == 1:
                    self.births.remove(one)
                one["times"] -= one["times"] > 0
                return str(one["how"])
        return ""

    def forget(self) -> None:
        """Who called what, and who may what."""
        for kept in (self.calls, self.called, self.permits, self.refused):
            kept.clear()

    def clear(self) -> None:
        for kept in (self.wanted, self.capacity, self.prices, self.quotas, self.births):
            kept.clear()
