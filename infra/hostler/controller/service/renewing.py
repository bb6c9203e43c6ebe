"""`max_age`: a rented machine that is older and works gets a successor, where the controller may rent: another one comes, it is
drained, and ends. An idle one is given back anyway, and one that hangs is ended by itself."""

from __future__ import annotations

import threading
import time

from hostler.console.out import Out
from hostler.controller.holder_waking import WakeError
from hostler.controller.service.rents import FailedError, Rents
from hostler.controller.service.world import World
from hostler.errors import HostlerError
from hostler.hosts.types import Host
from hostler.leases.judging import Subject
from hostler.node.idle import hours, looks

AGAIN_S = 600.0


class Renewing:
    """One at a time. Whoever rents it tells of it."""

    def __init__(self, rents: Rents, out: Out) -> None:
        self._rents, self._out = rents, out
        self._thread: threading.Thread | None = None
        self._tried: dict[str, float] = {}  # host -> when

    def look(self, world: World) -> None:
        """Returns at once."""
        if world.record is None or (self._thread and self._thread.is_alive()):
            return
        wall = time.time()
        due = (subject for subject in world.subjects if _due(subject, world, wall))
        ripe = (s for s in due if world.now - self._tried.get(s.host, -AGAIN_S) >= AGAIN_S)
        one = next(ripe, None)
        if one is None:
            return
        self._tried[one.host] = world.now
        home = world.views[world.record.gateway_host].host
        self._thread = threading.Thread(target=self._renew, args=(home, one), daemon=True, name="renew")
        self._thread.start()

    def _renew(self, home: Host, one: Subject) -> None:
        try:
            self._out.say(f"{one.host}: another machine takes its place: {one.due.why if one.due else ''}")
            self._rents.rent(home, one.host, lambda: False)
        except FailedError:
            pass  # it was said when it failed
        except WakeError as error:
            self._out.say(f"{one.host}: {error.text}")
        except HostlerError as error:
            self._out.error(error)


def _due(one: Subject, world: World, wall: float) -> bool:
    policy = one.policy
    if one.kind != "host" or policy is None or one.due is None or one.due.do != looks.REPLACE:
        return False
    works = one.verdict.word == looks.BUSY or policy.kept
    now = not policy.shadow and not hours.within(policy.hours, wall)
    return works and now and world.may_rent(one.host) and not world.parked(one.host)
