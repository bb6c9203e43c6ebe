"""One wake for all who wait for a model, until the gateway sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hostler.controller.holder_onward import Onward
from hostler.controller.holder_requests import RETRY_S


class WakeError(Exception):
    """A model cannot answer. `text` follows "The model NAME did not wake: ", or other words of `what`."""

    what = "did not wake"

    def __init__(self, text: str, retry_after_s: float = RETRY_S) -> None:
        super().__init__(text)
        self.text, self.retry_after_s = text, retry_after_s


class Wakes(Protocol):
    async def wake(self, model: str) -> bool:
        """True: done, as far as a wake can. False, at once: it is said to be awake already, by what may be some seconds old,
        so that it may just have fallen asleep: it is asked again. Raises WakeError, soon where it does not sleep. Never
        asked twice at a time for one model, and not cancelled when those who wait go away."""
        ...

    def eta_s(self, model: str) -> float | None:
        """Seconds until it is awake, from when it was begun; None: not known."""
        ...

    def instead(self, model: str) -> Sequence[str]:
        """Those of its `else:`, in its order."""
        ...

    def ready(self, model: str) -> bool:
        """Whether it may be asked without a wake. May be wrong: the gateway says so, and it is woken."""
        ...

    def limits(self, model: str) -> tuple[int, float]:
        """How many may wait, and for how many seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds."""

    first: float = 10.0  # of silence, before a stream hears its first comment
    every: float = 15.0  # between comments
    look: float = 0.25  # between two looks whether the gateway sees what was woken
    again: float = (
        1.0  # between two tries to wake what is said to be awake already, and is not for the gateway
    )
    seen: float = 60.0  # within which it must
    seen_else: float = 10.0  # the same where others stand in


class Waking:
    def __init__(self, wakes: Wakes, onward: Onward, pace: Pace) -> None:
        self._wakes, self._onward, self._pace = wakes, onward, pace
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._waking: dict[str, asyncio.Future[bool]] = {}
        self._unseen: set[str] = set()  # said to be ready, and not so for the gateway

    def eta_s(self, model: str) -> float:
        """Seconds after which to come again."""
        eta = self._wakes.eta_s(model)
        return RETRY_S if eta is None else eta

    async def awake(self, model: str, until: float) -> None:
        """Returns when the gateway sees it; raises WakeError, at the latest at `until` of the loop's clock."""
        if asyncio.get_running_loop().time() >= until:
            raise self._too_late(model)
        task = self._under_way.get(model)
        if task is None:
            task = self._under_way[model] = asyncio.create_task(self._wake(model))
            task.add_done_callback(lambda done: self._ended(model, done))
        try:
            async with asyncio.timeout_at(until):
                await asyncio.shield(task)
        except TimeoutError:
            raise self._too_late(model) from None

    async def close(self) -> None:
        tasks: list[asyncio.Future[Any]] = [*self._under_way.values(), *self._waking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wake(self, model: str) -> None:
        """Until the gateway sees it, which may be before all that belongs to a wake is done; that goes on, and no other is
        begun meanwhile."""
        limit_s = self._limit_s(model)
        seeing = asyncio.create_task(self._seen(model))
        try:
            if not await self._woken_or(seeing, model):
                await self._said_awake(seeing, model, limit_s)
            async with asyncio.timeout(limit_s):
                await seeing  # also one that failed
            self._unseen.discard(model)
        except WakeError:
            raise
        except TimeoutError:
            self._unseen.add(model)
            raise WakeError("it was woken, but the gateway does not find it ready") from None
        except Exception as error:  # who waits hears of it, and what stands in is asked
            raise WakeError(f"the controller failed: {error!r}") from error
        finally:
            seeing.cancel()

    async def _woken_or(self, seeing: asyncio.Task[None], model: str) -> bool:
        """Whether it was woken, or is seen; False: it is only said to be awake."""
        waking = self._waking.get(model)
        if waking is None:
            waking = self._waking[model] = asyncio.ensure_future(self._wakes.wake(model))
            waking.add_done_callback(lambda done: self._woken(model, done))
        await asyncio.wait((waking, seeing), return_when=asyncio.FIRST_COMPLETED)
        return seeing.done() or waking.result()

    async def _said_awake(self, seeing: asyncio.Task[None], model: str, limit_s: float) -> None:
        """Returns when it was woken after all, or is seen; raises TimeoutError."""
        clock = asyncio.get_running_loop().time
        until = clock() + limit_s
        while (left := until - clock()) > 0:
            await asyncio.wait((seeing,), timeout=min(left, self._pace.again))
            if seeing.done() or await self._woken_or(seeing, model):
                return
        raise TimeoutError

    def _limit_s(self, model: str) -> float:
        """Until the gateway must see it. Others answer sooner, and at once where it was said to be ready already the last
        time: it drains, or cannot be reached."""
        if not self._wakes.instead(model):
            return self._pace.seen
        known = model in self._unseen and self._wakes.ready(model)
        return self._pace.look if known else self._pace.seen_else

    async def _seen(self, model: str) -> None:
        while not await self._onward.sees(model):
            await asyncio.sleep(self._pace.look)

    def _woken(self, model: str, task: asyncio.Future[bool]) -> None:
        del self._waking[model]
        if not task.cancelled():
            task.exception()  # those who waited have it; nobody may be left

    def _ended(self, model: str, task: asyncio.Task[None]) -> None:
        del self._under_way[model]
        if not task.cancelled():
            task.exception()  # those who waited have it; nobody may be left

    def _too_late(self, model: str) -> WakeError:
        return WakeError(
            "it still is not ready, and this request waited as long as it may", self.eta_s(model)
        )
