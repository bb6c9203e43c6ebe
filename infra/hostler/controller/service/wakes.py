"""Waking what sleeps: an engine, a machine that is suspended, one that was given back, where the stack file lets the
controller rent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict

from hostler.console.out import Out
from hostler.controller.holder_requests import RETRY_S
from hostler.controller.holder_waking import WakeError
from hostler.controller.service import acting
from hostler.controller.service.rents import FailedError, Rents
from hostler.controller.service.world import World
from hostler.errors import HostlerError
from hostler.hosts.types import Host
from hostler.models.types import Replica
from hostler.stackfile import idling

BOOT_S = 300.0  # of a machine that was suspended, until it answers
KNOWN_S = 30.0  # after a start here, until hosts have said how they are
SHORT_S = 5.0  # the same, and of what loads, where nothing sleeps or others stand in; once an outage
OUTAGE_S = 60.0  # without a request: then the next one meets another
PAUSE_S = 0.2
DEFAULT = (64, 300.0)  # requests that wait, seconds
AFTER_PARKED_S = 60.0


class GivenBackError(WakeError):
    """Its machine is gone on purpose: an answer, and no failure."""


class DownError(WakeError):
    """It does not sleep, and none of its replicas is ready."""

    what = "cannot answer"


type Told = Callable[[str, str, str], None]  # event, text, model


class Wakes:
    """What the holder asks (holder.Wakes). `world`: what is known now; `tell`: hears of a wake that failed, and of one that
    did not."""

    def __init__(
        self, world: Callable[[], World], tell: Told, out: Out, took: dict[str, float], rents: Rents
    ) -> None:
        self._world, self._tell, self._out, self._rents = world, tell, out, rents
        self._took = took  # model -> seconds of its last wake
        self._begun: dict[str, float] = {}
        self._outages: dict[str, tuple[float, float]] = {}  # when it was first and last met
        self._lock = threading.Lock()

    @property
    def under_way(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._begun)

    async def wake(self, model: str) -> bool:
        return await asyncio.to_thread(self.wake_now, model)

    def wake_now(self, model: str) -> bool:
        """Returns when one of its replicas is ready; False: it is said to serve, and may sleep since. Raises WakeError."""
        if not self._sleeps(model):
            self._up(model)
            return True
        began = time.monotonic()
        with self._lock:
            self._begun[model] = began
        try:
            woken = self._wake(model)
        except HostlerError as error:
            why = str(error.problems[0]) if error.problems else str(error)
            self._tell("wake failed", f"{model} did not wake: {why}", model)
            raise WakeError(why) from error
        except (GivenBackError, FailedError):
            raise
        except WakeError as error:
            self._tell("wake failed", f"{model} did not wake: {error.text}", model)
            raise
        else:
            if woken:
                self._took[model] = time.monotonic() - began
                self._tell("woken", f"{model} woke in {self._took[model]:.0f} s", model)
            return woken
        finally:
            with self._lock:
                del self._begun[model]

    def eta_s(self, model: str) -> float | None:
        """By its last wake, else by the longest start that its hosts remember; of a machine by its slot's last."""
        if (slot := self._rented(self._world(), model)) is not None:
            return self._rents.eta_s(slot)
        whole = self._took.get(model) or self._world().past_start_s(model)
        if whole is None:
            return None
        with self._lock:
            began = self._begun.get(model)
        passed = time.monotonic() - began if began else 0.0
        return max(1.0, whole - passed)

    def instead(self, model: str) -> Sequence[str]:
        found = self._world().file.stack.models.get(model)
        return found.otherwise if found else ()

    def ready(self, model: str) -> bool:
        world = self._world()
        return any(world.state(one) == "serves" for one in world.replicas(model))

    def limits(self, model: str) -> tuple[int, float]:
        stack = self._world().file.stack
        idle = idling.waiting(stack, model) if model in stack.models else None
        return (idle.queue, idle.duration) if idle else DEFAULT

    def _sleeps(self, model: str) -> bool:
        stack = self._world().file.stack
        return model in stack.models and idling.can_sleep(stack, model)

    def _up(self, model: str) -> None:
        """One that does not sleep: nothing but its own start brings it back."""
        while True:
            world = self._world()
            states = {world.state(one) for one in world.replicas(model)}
            if "serves" in states:
                return
            known = world.record is not None and not {"loading", "unknown"} & states
            if known or self._outage_s(model) > SHORT_S:
                raise self._down(model, states)
            time.sleep(PAUSE_S)

    def _down(self, model: str, states: Container[str]) -> DownError:
        if "loading" in states:
            return DownError("it is just being loaded", self.eta_s(model) or RETRY_S)
        if "asleep" in states:
            return DownError(f"it was put to sleep by hand; `hostler wake {model}` wakes it", AFTER_PARKED_S)
        return DownError("none of its replicas is ready; `hostler status` says what they do")

    def _outage_s(self, model: str) -> float:
        """For how long requests meet a model that is not ready."""
        now = time.monotonic()
        with self._lock:
            first, last = self._outages.get(model, (now, now))
            self._outages[model] = (first if now - last < OUTAGE_S else now, now)
            return now - self._outages[model][0]

    def _wake(self, model: str) -> bool:
        """False: it serves by itself. What is loading, or not known yet because this process has just begun, is waited for."""
        began = time.monotonic()
        while True:
            world = self._world()
            if (slot := self._rented(world, model)) is not None:
                self._rent(world, model, slot)
                return True
            by_state: dict[str, list[Replica]] = {}
            for replica in world.replicas(model):
                by_state.setdefault(world.state(replica), []).append(replica)
            if by_state.get("serves"):
                return False
            if asleep := by_state.get("asleep"):
                self._engines(world, asleep)
                return True
            waits_s = BOOT_S if "loading" in by_state else KNOWN_S
            known = world.record is not None and not {"loading", "unknown"} & set(by_state)
            if self.instead(model) and "loading" not in by_state:
                known = known or self._outage_s(model) > SHORT_S
            if known or time.monotonic() - began > waits_s:
                self._others(world, model, by_state)
                return True
            time.sleep(PAUSE_S)

    def _others(self, world: World, model: str, by_state: Mapping[str, list[Replica]]) -> None:
        """None of them is asleep on a host that answers. A rented one that does not may have ended itself."""
        silent = [one for one in by_state.get("unknown", ()) if not world.hears(one.members[0].host)]
        gone = [*by_state.get("parked", ()), *silent]
        again = [one for one in gone if world.may_rent(one.members[0].host)]
        if off := by_state.get("off"):
            self._machine(world, off[0])
        elif again:
            self._rent(world, model, again[0].members[0].host)
        elif parked := by_state.get("parked"):
            slot = world.slot(parked[0].members[0].host)
            pool = slot.pool if slot else ""
            how, then = (
                ("is stopped", "starts it") if slot and slot.stopped else ("was given back", "rents another")
            )
            raise GivenBackError(f"its machine {how}; `hostler wake {pool}` {then}", AFTER_PARKED_S)
        else:
            raise WakeError("none of its replicas sleeps; `hostler status` says what they do")

    def _rent(self, world: World, model: str, slot: str) -> None:
        if world.record is None:
            raise WakeError("the gateway's host has not said yet what is rented")
        self._out.say(f"{slot}: its machine is rented again, as {model} is asked for")
        home = world.views[world.record.gateway_host].host
        self._rents.rent(home, slot, lambda: self.ready(model))

    def _rented(self, world: World, model: str) -> str | None:
        """The slot of which the machine is rented for it: under way already, or due, as all of its machines were given
        back, or none ever had it. None: none is."""
        if unplaced := world.unplaced(model):
            going = (name for name in unplaced if self._rents.under_way(name))
            parked = (name for name in unplaced if world.parked(name))
            return next(going, None) or next(parked, None)
        states = {replica.members[0].host: world.state(replica) for replica in world.replicas(model)}
        slots = [name for name in sorted(states) if world.may_rent(name)]
        if "serves" in states.values():
            return None
        if going := next((name for name in slots if self._rents.under_way(name)), None):
            return going
        return slots[0] if slots and set(states.values()) == {"parked"} else None

    def _engines(self, world: World, asleep: list[Replica]) -> None:
        """All at once, and the first that is ready is enough: the others come meanwhile."""
        self._out.say(f"waking {', '.join(one.id for one in asleep)}")
        pool = ThreadPoolExecutor(len(asleep), thread_name_prefix="wake")
        waiting = [pool.submit(acting.wake, self._host(world, one), one.id) for one in asleep]
        pool.shutdown(wait=False)
        last: HostlerError | None = None
        for future in as_completed(waiting):
            try:
                future.result()
            except HostlerError as error:
                last = error
            else:
                return
        if last:
            raise last

    def _machine(self, world: World, replica: Replica) -> None:
        """It is woken, answers, and its replica is ready, or is woken, too."""
        name = replica.members[0].host
        wake = idling.wake_of(world.file.stack, name)
        if wake is None or world.record is None:
            raise WakeError(f"{name} does not answer, and nothing in the stack file says how it is woken")
        self._out.say(f"waking {name}")
        words: Mapping[str, object] = {key: value for key, value in asdict(wake).items() if value is not None}
        acting.wake_host(world.views[world.record.gateway_host].host, words)
        until = time.monotonic() + BOOT_S
        while (state := self._world().state(replica)) in ("off", "loading", "unknown"):
            if time.monotonic() > until:
                raise WakeError(f"{name} did not come back within {BOOT_S:.0f} s of being woken")
            time.sleep(PAUSE_S)
        if state == "asleep":
            self._engines(self._world(), [replica])

    @staticmethod
    def _host(world: World, replica: Replica) -> Host:
        return world.views[replica.members[0].host].host
