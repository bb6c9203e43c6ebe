"""All that the controller knows at one moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hostler.hosts.types import Slot, Value
from hostler.leases.judging import Subject
from hostler.leases.view import View
from hostler.models.types import Replica
from hostler.node.idle import looks
from hostler.record.types import Record
from hostler.stackfile import idling
from hostler.stackfile.sections import StackFile

SERVES = (looks.IDLE, looks.BUSY)
type State = Literal["serves", "asleep", "off", "parked", "loading", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`now` on this process' monotonic clock. `record` None: the gateway's host did not say it yet. `gone`: hosts that went
    a moment ago, which neither record nor looks say yet."""

    file: StackFile
    views: Mapping[str, View]
    record: Record | None
    subjects: tuple[Subject, ...]
    now: float
    gone: frozenset[str] = frozenset()
    words: Mapping[str, str] = field(init=False, repr=False)  # replica -> how it is judged

    def __post_init__(self) -> None:
        words = {one.name: one.verdict.word for one in self.subjects if one.kind == "replica"}
        object.__setattr__(self, "words", words)

    def replicas(self, model: str = "") -> tuple[Replica, ...]:
        found = self.record.replicas if self.record else ()
        return tuple(one for one in found if model in ("", one.model))

    def state(self, replica: Replica) -> State:
        """off: its host does not answer, and can be woken; parked: its host was given back."""
        host = replica.members[0].host
        view = self.views.get(host)
        slot = self.slot(host)
        if slot and (slot.state == "parked" or host in self.gone):
            return "parked"
        if view is None or not view.fresh(self.now):
            return "off" if idling.wake_of(self.file.stack, host) else "unknown"
        word = self.word(replica.id)
        if word == looks.ASLEEP:
            return "asleep"
        if word in SERVES:
            return "serves"
        return "loading" if word == looks.LOADING else "unknown"

    def hears(self, host: str) -> bool:
        view = self.views.get(host)
        return view is not None and view.fresh(self.now)

    def parked(self, host: str) -> bool:
        slot = self.slot(host)
        return slot is not None and slot.state == "parked"

    def may_rent(self, host: str) -> bool:
        """Whether the controller may rent the slot's machine again."""
        slot, stack = self.slot(host), self.file.stack
        if slot is None or slot.pool not in stack.pools or idling.rents(stack) is None:
            return False
        return idling.away_in_the_cloud(stack, slot.pool)

    def unplaced(self, model: str) -> tuple[str, ...]:
        """Slots of which the controller may rent the machine, for a model none of whose replicas has a place yet; empty: it
        has one."""
        section = self.file.stack.models.get(model)
        if self.record is None or section is None or section.cloud or self.replicas(model):
            return ()
        pools = section.pool or tuple(self.file.stack.pools)
        found = (
            name for name, slot in self.record.slots.items() if slot.pool in pools and self.may_rent(name)
        )
        return tuple(sorted(found, key=lambda name: (len(name), name)))

    def slot(self, host: str) -> Slot | None:
        return self.record.slots.get(host) if self.record else None

    def word(self, replica: str) -> str:
        return self.words.get(replica, looks.UNKNOWN)

    def model(self, name: str) -> str:
        """For /v1/models: empty where the gateway knows best; asleep: a request wakes it; parked: it does not, as all its
        machines were given back, and the controller may rent none."""
        states = {self.state(one) for one in self.replicas(name)}
        sleeps = {"asleep", "off", "parked"}
        if self.unplaced(name) and idling.can_sleep(self.file.stack, name):
            return "asleep"
        if not states or not states <= sleeps or not idling.can_sleep(self.file.stack, name):
            return ""
        gone = states == {"parked"} and not any(
            self.may_rent(one.members[0].host) for one in self.replicas(name)
        )
        return "parked" if gone else "asleep"

    def past_start_s(self, model: str) -> float | None:
        """The longest start of one of its replicas, as hosts remember it."""
        found = [self._start_s(one) for one in self.replicas(model)]
        return max((one for one in found if one is not None), default=None)

    def _start_s(self, replica: Replica) -> float | None:
        view = self.views.get(replica.members[0].host)
        seen = view.seen if view else None
        told = seen.observed.get(f"replica:{replica.id}") if seen else None
        value: Mapping[str, Any] = told.value if isinstance(told, Value) else {}
        seconds = value.get("start_s")
        return float(seconds) if isinstance(seconds, int | float) else None
