"""Requests for models that sleep: held, woken for once, handed on; and those that another model answers.

The gateway sends them to `holder.sock` when nothing serves their model, or, with x-hostler-full, when its line is full
and others stand in for it. Each waits in its model's line, at most as long as
the model lets it; all who wait share one wake. What comes of it is handed on to the gateway's own socket, and the answer
is passed through as it comes. A stream hears comments meanwhile, because proxies cut what is silent for a minute.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from starlette.types import Receive, Scope, Send

from hostler.controller.holder_onward import Answer, Onward
from hostler.controller.holder_requests import Asked, Client, Gone, Refusal, gone, is_full, model_of, read
from hostler.controller.holder_waking import Pace, WakeError, Wakes, Waking

MOST_HELD = 1 << 30  # bytes of bodies, of all models together
LOOK = "its operator sees more with `hostler logs controller`"


class Holder:
    """An ASGI application. `close` when it is no longer served."""

    def __init__(self, wakes: Wakes, internal: str, pace: Pace, most_held: int = MOST_HELD) -> None:
        self._wakes, self._pace, self._most_held = wakes, pace, most_held
        self._onward = Onward(internal)
        self._waking = Waking(wakes, self._onward, pace)
        self._lines: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        client = Client(send)
        try:
            if scope["path"] == "/health":
                await client.whole(200, [(b"connection", b"close")], b"{}")
            else:
                await self._answered(scope, receive, client)
        except Gone:
            pass
        except Refusal as refusal:
            await client.refuse(refusal)

    def waiting(self, model: str) -> int:
        """How many wait for a model now."""
        return self._lines[model]

    def stop(self) -> None:
        """Those who wait are sent back to the gateway, which asks the next holder. What it cannot ask again waits on here,
        and answers under way go on."""
        self._stopping.set()

    async def close(self) -> None:
        await self._waking.close()
        await self._onward.close()

    async def _answered(self, scope: Scope, receive: Receive, client: Client) -> None:
        model = model_of(scope)
        place = _Place(self._lines, model)
        full = self._full(model, is_full(scope))
        if full is None:
            place.take()
        elif not self._wakes.instead(model):
            raise full
        try:
            with self._room(model) as take:
                asked = await read(scope, receive, take)
                work = asyncio.create_task(self._work(asked, client, place, full))
                await self._until(work, receive, lambda: place.taken and asked.is_short and not client.began)
        finally:
            place.leave()

    def _full(self, model: str, said: bool = False) -> Refusal | None:
        """Why one more cannot wait for a model. `said`: the gateway has no room for it."""
        queue, _ = self._wakes.limits(model)
        if said:
            why = f"Too many requests are waiting for the model {model}"
        elif self._lines[model] >= queue:
            why = f"{queue} requests wait already for the model {model}, which is waking"
        else:
            return None
        return Refusal(429, why, self._waking.eta_s(model), "rate_limit_error", "rate_limit_exceeded")

    async def _until(
        self, work: asyncio.Task[None], receive: Receive, can_go_back: Callable[[], bool]
    ) -> None:
        """The work's end, or the client's, or this holder's while the request still waits and can be asked again."""
        left = asyncio.create_task(gone(receive))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((work, left, stopping), return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and not work.done() and can_go_back():
                raise Refusal(425, "The controller is started again")
            await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, left, stopping):
                task.cancel()
            await asyncio.gather(work, left, stopping, return_exceptions=True)

    async def _work(self, asked: Asked, client: Client, place: _Place, full: Refusal | None) -> None:
        comments = asyncio.create_task(self._comments(asked, client, place))
        try:
            answer = await self._served(asked, place, full)
        finally:
            comments.cancel()
        try:
            await asyncio.gather(comments, return_exceptions=True)
            await client.pass_on(answer.status, answer.headers, answer.body())
        finally:
            await answer.close()

    async def _comments(self, asked: Asked, client: Client, place: _Place) -> None:
        await asyncio.sleep(self._pace.first)
        if not await asked.streams():
            return
        while True:
            await client.comment(self._news(place.model) if place.taken else f"{place.model} was asked")
            await asyncio.sleep(self._pace.every)

    def _news(self, model: str) -> str:
        eta = self._wakes.eta_s(model)
        return f"waking {model}" if eta is None else f"waking {model}, about {max(1, round(eta))} s"

    async def _served(self, asked: Asked, place: _Place, full: Refusal | None) -> Answer:
        """By the model, else by one that stands in for it. `full`: it need not be asked."""
        _, seconds = self._wakes.limits(asked.model)
        until = asyncio.get_running_loop().time() + seconds
        others = self._wakes.instead(asked.model)
        own = full or await self._own(asked, place, until)
        if isinstance(own, Answer) and not (own.refused and others):
            return own
        place.leave()
        if (answer := await self._instead(others, asked, place, until)) is not None:
            return answer
        if isinstance(own, Answer):
            return own
        also = f"; nor does {' or '.join(others)} answer instead" if others else ""
        raise replace(own, message=f"{own.message}{also}" + (f"; {LOOK}" if own.status == 503 else ""))

    async def _own(self, asked: Asked, place: _Place, until: float) -> Answer | Refusal:
        try:
            return await self._by(asked.model, asked, place, until)
        except WakeError as error:
            said = f"The model {asked.model} {error.what}: {error.text}"
            return Refusal(503, said, error.retry_after_s)

    async def _instead(
        self, others: Sequence[str], asked: Asked, place: _Place, until: float
    ) -> Answer | None:
        """By the first of those that are ready, else by the first that wakes within the time that is left. None: by none."""
        for model in others:
            if await self._onward.sees(model) and (answer := await self._once(model, asked, place)):
                return answer
        for model in others:
            if self._full(model):
                continue
            place.take(model)
            try:
                await self._waking.awake(model, until)
            except WakeError:
                continue
            finally:
                place.leave()
            if answer := await self._once(model, asked, place):
                return answer
        return None

    async def _once(self, model: str, asked: Asked, place: _Place) -> Answer | None:
        place.model = model
        answer = await self._onward.ask(asked, model)
        return None if answer is None or answer.refused else answer

    async def _by(self, model: str, asked: Asked, place: _Place, until: float) -> Answer:
        """What waits is bounded by `until`; what an engine takes is not."""
        awake = self._wakes.ready(model)
        while True:
            if not awake:
                await self._waking.awake(model, until)
            place.leave()
            if (answer := await self._onward.ask(asked, model)) is not None:
                return answer
            place.take()
            awake = False
            await asyncio.sleep(self._pace.look)

    @contextmanager
    def _room(self, model: str) -> Generator[Callable[[int], None]]:
        """For one body, as it comes."""
        size = 0

        def take(more: int) -> None:
            nonlocal size
            if self._bytes + more > self._most_held:
                said = "The requests that wait for models are too large together"
                raise Refusal(503, said, self._waking.eta_s(model))
            self._bytes += more
            size += more

        try:
            yield take
        finally:
            self._bytes -= size


class _Place:
    """One request's place in a model's line, while it waits; `model` is whom it waits for, or was handed to."""

    def __init__(self, lines: Counter[str], model: str) -> None:
        self._lines, self.model, self.taken = lines, model, False

    def take(self, model: str = "") -> None:
        if not self.taken:
            self.taken, self.model = True, model or self.model
            self._lines[self.model] += 1

    def leave(self) -> None:
        if self.taken:
            self.taken = False
            self._lines[self.model] -= 1


def holder(
    wakes: Wakes, internal: str = "/run/hostler/gateway/internal.sock", pace: Pace | None = None
) -> Holder:
    return Holder(wakes, internal, pace or Pace())
