"""`max_age`: a rented machine that is older and works gets a successor, where the controller may rent: another one comes, it is
drained, and ends. An idle one is given back anyway, and one that hangs is ended by itself. What was begun is brought to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from hostler.console.out import Out
from hostler.controller.holder_waking import WakeError
from hostler.controller.interrupted import mine
from hostler.controller.service.rents import FailedError, Rents
from hostler.controller.service.world import World
from hostler.controller.succeeding import RENEW
from hostler.errors import HostlerError
from hostler.hosts.types import Host
from hostler.leases.judging import Subject
from hostler.node.idle import hours, looks

AGAIN_S = 600.0
LEFT_S = 600.0  # a slot that goes for longer is nobody's work any more


class Renewing:
    """One at a time, and none beside wakes, which it would keep waiting for an hour. Whoever rents it tells of it."""

    def __init__(self, rents: Rents, out: Out, busy: Callable[[], bool]) -> None:
        """`busy`: whether something else is woken or rented now."""
        self._rents, self._out, self._busy = rents, out, busy
        self._thread: threading.Thread | None = None
        self._tried: dict[str, float] = {}  # host -> when
        self._going: dict[str, float] = {}  # slot that goes -> since when, as far as it was seen
        self._ended: dict[str, str] = {}  # slot -> machine that was seen to its end

    def look(self, world: World) -> None:
        """Returns at once."""
        if world.record is None or (self._thread and self._thread.is_alive()) or self._busy():
            return
        left, old = tuple(self._left(world)), tuple(_old(world, time.time()))
        due = (d for d in (*left, *old) if world.now - self._tried.get(d[0], -AGAIN_S) >= AGAIN_S)
        name, why = next(due, ("", ""))
        if not name:
            return
        self._tried[name] = world.now
        slot = world.slot(name)
        home = world.views[world.record.gateway_host].host
        machine = slot.machine if slot and name in dict(left) else ""
        what = (home, name, machine, why)
        self._thread = threading.Thread(target=self._renew, args=what, daemon=True, name="renew")
        self._thread.start()

    def _renew(self, home: Host, name: str, machine: str, why: str) -> None:
        """`machine`: of a slot that goes, which is seen to its end; empty: it may go yet."""
        try:
            self._out.say(f"{name}: {why}")
            self._rents.rent(home, RENEW + name, lambda: False)
            if machine:
                self._ended[name] = machine
        except FailedError:
            pass  # it was said when it failed
        except WakeError as error:
            self._out.say(f"{name}: {error.text}")
        except HostlerError as error:
            self._out.error(error)

    def _left(self, world: World) -> Iterator[tuple[str, str]]:
        """Slots that go, and of which nobody ended the machine: whoever began it was killed."""
        record = world.record
        if record:
            wanted = {name for name, one in record.slots.items() if one.state != "retiring"}
            self._ended = {name: machine for name, machine in self._ended.items() if name not in wanted}
        goes = (
            [n for n, s in record.slots.items() if s.state == "retiring" and self._ended.get(n) != s.machine]
            if record and (record.journal is None or mine(record.journal))
            else []
        )
        self._going = {name: self._going.get(name, world.now) for name in goes if world.may_rent(name)}
        for name, since in self._going.items():
            if world.now - since >= LEFT_S:
                yield name, "it goes, and nobody brought that to its end"


def _old(world: World, wall: float) -> Iterator[tuple[str, str]]:
    for one in world.subjects:
        if (why := _age(one, world, wall)) and world.may_rent(one.host) and not world.parked(one.host):
            yield one.host, f"another machine takes its place: {why}"


def _age(one: Subject, world: World, wall: float) -> str:
    """Why one that is at work is too old, by its launch: a boot makes it no younger. Empty: it is not."""
    policy, slot = one.policy, world.slot(one.host)
    if one.kind != "host" or policy is None or policy.max_age_s <= 0 or slot is None or slot.since is None:
        return ""
    ends = one.due is not None and one.due.do != looks.REPLACE
    works = not ends and (one.verdict.word == looks.BUSY or policy.kept)
    free = not policy.shadow and not hours.within(policy.hours, wall)
    old = slot.state == "wanted" and wall - slot.since > policy.max_age_s
    return f"{(wall - slot.since) / 3600:.1f} h old ({one.verdict.why})" if works and free and old else ""
