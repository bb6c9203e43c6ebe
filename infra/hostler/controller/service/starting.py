"""`start` of a pool: a machine that was given back is rented again beside those that serve, when their requests queue."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hostler.console.out import Out
from hostler.controller.holder_waking import WakeError
from hostler.controller.service.rents import FailedError, Rents
from hostler.controller.service.world import World
from hostler.errors import HostlerError
from hostler.hosts.types import Host
from hostler.stackfile.saving import Start


class Starting:
    """One machine a pool at a time: whether it was enough is seen when it serves. Whoever rents it tells of it."""

    def __init__(self, rents: Rents, out: Out, queued: Callable[[str], int]) -> None:
        """`queued`: requests for a model that the gateway has not given to an engine yet (Gateway.waiting)."""
        self._rents, self._out, self._queued = rents, out, queued
        self._since: dict[tuple[str, str], float] = {}  # pool, model -> since when as many wait
        self._renting: set[str] = set()
        self._lock = threading.Lock()

    @property
    def under_way(self) -> bool:
        with self._lock:
            return bool(self._renting)

    def look(self, world: World, replicas: Sequence[Mapping[str, Any]]) -> None:
        """`replicas`: rows of the status, with `waiting`: at the engine, which gets no more than its slots; the others wait at
        the gateway. What is not known counts as none. Returns at once."""
        waiting = Counter[str]()
        for row in replicas:
            waiting[str(row["model"])] += int(row.get("waiting") or 0)
        for model in {model for (_, model), _ in self._pools(world)}:
            with suppress(OSError, ValueError):
                waiting[model] += self._queued(model)
        due = {key: start for key, start in self._pools(world) if waiting[key[1]] >= start.queue}
        self._since = {key: self._since.get(key, world.now) for key in due}
        for (pool, model), since in self._since.items():
            if world.now - since >= due[pool, model].duration:
                self._begin(world, pool, model)

    def _pools(self, world: World) -> Iterator[tuple[tuple[str, str], Start]]:
        stack = world.file.stack
        for name, model in stack.models.items():
            for pool in () if model.cloud else model.pool:
                start = stack.pools[pool].start if pool in stack.pools else None
                if start:
                    yield (pool, name), start

    def _begin(self, world: World, pool: str, model: str) -> None:
        slot = _parked(world, pool, model)
        with self._lock:
            if slot is None or world.record is None or pool in self._renting:
                return
            self._renting.add(pool)
        home = world.views[world.record.gateway_host].host
        threading.Thread(target=self._rent, args=(home, pool, slot, model), daemon=True, name="start").start()

    def _rent(self, home: Host, pool: str, slot: str, model: str) -> None:
        try:
            self._out.say(f"{slot}: its machine is rented again: requests for {model} queue")
            self._rents.rent(home, slot, lambda: False)
        except FailedError:
            pass  # it was said when it failed
        except WakeError as error:
            self._out.say(f"{slot}: {error.text}")
        except HostlerError as error:
            self._out.error(error)
        finally:
            with self._lock:
                self._renting.discard(pool)


def _parked(world: World, pool: str, model: str) -> str | None:
    """Where a replica of the model would serve."""
    places = sorted(replica.members[0].host for replica in world.replicas(model))
    for name in places:
        slot = world.slot(name)
        if slot and slot.pool == pool and slot.state == "parked" and slot.given_back:
            return name
    return None
