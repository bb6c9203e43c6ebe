"""Machines that were given back are rented again: asked of the gateway's host, which does it in a container of its own, so
that it goes on when this process is started anew. What became of it lies beside what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hostler.controller import renting
from hostler.controller.holder_waking import WakeError
from hostler.hosts.types import Host

LIMIT_S = 3600.0  # weights may have to come again
USUAL_S = 300.0  # where none was rented yet: AWS, the host's own start, the driver, weights
AGAIN_S = (
    300.0  # after one that failed, twice as long after each that follows: what fails may have cost money
)
AGAIN_AT_MOST_S = 6 * 3600.0
ASK_S = 30.0  # between two questions whether it still goes on
LOOK_S = 0.5


class FailedError(WakeError):
    """It failed a moment ago, which was told then."""


class Rents:
    def __init__(self, own: Path, ask: Callable[[Host, str], None]) -> None:
        self._own, self._ask = own, ask

    def eta_s(self, slot: str) -> float:
        """From now; by the last one of the slot."""
        said = renting.said(self._own, slot)
        whole = (said.took_s if said else 0.0) or USUAL_S
        passed = time.time() - said.at if said and said.state == renting.WORKING else 0.0
        return max(1.0, whole - passed)

    def under_way(self, slot: str) -> bool:
        """As far as it is known here: the gateway's host knows better."""
        said = renting.said(self._own, slot)
        return said is not None and said.state == renting.WORKING and time.time() - said.at < LIMIT_S

    def rent(self, home: Host, slot: str, serves: Callable[[], bool]) -> None:
        """Returns when it is done, or `serves` is true before; raises WakeError, or HostlerError where the gateway's host
        cannot be asked. One that is going on is waited for."""
        self._refuse_failed(slot)
        began, asked = time.monotonic(), 0.0
        while not serves():
            now = time.monotonic()
            if now - began > LIMIT_S:
                raise WakeError(
                    f"its machine was not there within {LIMIT_S:.0f} s; `hostler logs controller`"
                )
            if not asked or now - asked > ASK_S:
                self._ask(home, slot)
                asked = now
            said = renting.said(self._own, slot)
            if said and said.state == renting.FAILED:
                raise WakeError(_failed(said), _again_s(said))
            if said and said.state == renting.DONE:
                return
            time.sleep(LOOK_S)

    def _refuse_failed(self, slot: str) -> None:
        said = renting.said(self._own, slot)
        if said and said.state == renting.FAILED and (left := said.at + _again_s(said) - time.time()) > 0:
            raise FailedError(_failed(said), min(left, _again_s(said)))


def _again_s(said: renting.Said) -> float:
    return min(AGAIN_AT_MOST_S, AGAIN_S * 2.0 ** min(max(0, said.failures - 1), 16))


def _failed(said: renting.Said) -> str:
    return f"its machine could not be rented: {said.why}"
