"""`python -m hostler.controller serve`: one process for as long as the stack is up.

Threads keep a stream open to each host; a loop judges what they say, gives back what is idle, and tells of what is not as
it should be; the event loop holds requests that wait for a wake, and serves the page.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from hostler.console import slots as slot_rows
from hostler.console.out import Out
from hostler.controller.holder import Holder
from hostler.controller.holder_serving import Serving
from hostler.controller.holder_waking import Pace
from hostler.controller.page.app import app
from hostler.controller.page.source import Board, Series
from hostler.controller.service import acting, certificates, giving, meters
from hostler.controller.service.accounts import Accounts
from hostler.controller.service.gateway import RUN, Gateway
from hostler.controller.service.hosts import known, seen_of
from hostler.controller.service.keeper import Keeper
from hostler.controller.service.rates import Rates
from hostler.controller.service.renewing import Renewing
from hostler.controller.service.rents import Rents
from hostler.controller.service.starting import Starting
from hostler.controller.service.teller import Teller
from hostler.controller.service.waits import Waits
from hostler.controller.service.wakes import Wakes
from hostler.controller.service.world import World
from hostler.errors import HostlerError
from hostler.hosts import ways
from hostler.hosts.types import Host, Slot, Ssh
from hostler.leases import first_tokens, judging
from hostler.leases.view import View
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import idle
from hostler.rollout import snapshot as snapshots
from hostler.rollout.observe import questions_of
from hostler.stackfile.idling import has_page, refuses
from hostler.stackfile.load import load
from hostler.stackfile.sections import StackFile

TICK_S = 1.0
SHOWN_S = 5.0  # between two snapshots
COUNTED_S = 60.0  # between two looks at money
RENEWED_S = 600.0  # between two looks at certificates
LET_IN_S = 60.0  # the gateway may be without its map for so long, before that is said
GATHER_S = 1.0  # many lines at once are one piece of news
GRACE_S = 900.0  # for answers under way when it is told to end, as long as the gateway lets one be silent
SAME_S = 0.2  # as old may a world be that nothing was heard of since
HOLDER, PAGE = "holder.sock", "page.sock"


class Service:
    """`there`: what `up` brought; `own`: what is kept; `run`: the gateway's sockets."""

    def __init__(self, there: Path, own: Path, out: Out, run: Path = RUN) -> None:
        self.file: StackFile = load(there / "stack.yaml")
        self.out, self._own, self._run = out, own, run
        self.board, self.gateway = Board(), Gateway(run)
        self._teller = Teller(self.file, out, own)
        self._end, self._news = threading.Event(), threading.Event()
        self._record: tuple[Any, Record | None] = (None, None)
        self._wishes: tuple[Record | None, judging.Wishes] = (None, judging.Wishes(replicas={}, hosts={}))
        self._made: World | None = None
        self._keepers: dict[str, Keeper] = {}
        self._left: dict[str, str] = {}  # hosts that went, and what they were then
        rents = Rents(own, acting.rent)
        self.wakes = Wakes(self.world, self._teller.event, out, self._teller.took, rents)
        self._starting = Starting(rents, out, self.gateway.waiting)
        self._renewing = Renewing(rents, out, lambda: bool(self.wakes.under_way or self._starting.under_way))
        self._holder = Holder(self.wakes, str(run / "internal.sock"), Pace())
        self._giving = giving.Giving(out, self.gateway, self._teller.event, self.wakes)
        self._accounts = Accounts(self.file, own, out)
        self._rates, self._waits = Rates(), Waits()
        self._counting: Future[None] | None = None
        self._counter = ThreadPoolExecutor(1, thread_name_prefix="accounts")
        self._shown = self._renewed = self._let_in = 0.0
        self._counted = -COUNTED_S
        self._certificates: list[dict[str, Any]] = []

    # what is known

    def world(self) -> World:
        now, made = time.monotonic(), self._made
        views = {name: keeper.view for name, keeper in self._keepers.items()}
        if made and now - made.now < SAME_S and _same(made.views, views):
            return made
        record = self._newest(views)
        subjects: tuple[judging.Subject, ...] = ()
        if record:
            wishes, shorter = self._wished(record), self._accounts.shorter
            subjects = judging.subjects(
                views, record.gateway_host, record.replicas, wishes, now, time.time(), shorter=shorter
            )
        self._made = World(
            file=self.file, views=views, record=record, subjects=subjects, now=now, gone=self._giving.gone()
        )
        return self._made

    def _wished(self, record: Record) -> judging.Wishes:
        """They change with the record alone."""
        of, found = self._wishes
        if of is not record:
            found = idle.wishes(self.file, record)
            self._wishes = (record, found)
        return found

    def _newest(self, views: Mapping[str, View]) -> Record | None:
        """The record as the gateway's host, on which this runs, said it last; decoded once, and the same as long as it says
        the same. What another host says of itself is not asked here."""
        home = ways.home()
        seen = {name: view.seen for name, view in views.items() if view.seen and home in ("", name)}
        said = {name: one.record for name, one in seen.items() if one.record}
        if said and said != self._record[0]:
            try:
                found = store.at_home(seen)
            except HostlerError as error:  # of another schema: nothing is done by it
                self.out.error(error)
                found = None
            self._record = (said, found[1] if found else None)
        return self._record[1]

    # the loop

    def loop(self) -> None:
        while not self._end.is_set():
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - of one turn; the next one looks anew
                if self._end.is_set():  # what it wanted to begin takes nothing any more
                    return
                self.out.say(f"error: a bug in hostler: {type(error).__name__}: {error}")
            self._news.wait(TICK_S)
            self._news.clear()
            self._end.wait(GATHER_S)

    def tick(self) -> None:
        self._watch()
        world = self.world()
        if world.record is None:
            return
        self._say_states(world)
        self._refuse()
        self._giving.tick(world)
        now = time.monotonic()
        if now - self._counted >= COUNTED_S and (self._counting is None or self._counting.done()):
            self._counted = now
            self._counting = self._counter.submit(self._count, world)
        if now - self._shown >= SHOWN_S:
            self._shown = now
            self._show(world)

    def _count(self, world: World) -> None:
        """In a thread of its own: the ledger lies on a host."""
        try:
            self._accounts.tick(world)
        except Exception as error:  # noqa: BLE001 - of one look at money
            self.out.say(f"error: a bug in hostler: {type(error).__name__}: {error}")

    def _watch(self) -> None:
        """A keeper a host; one that was given back has none, also while it is woken: another machine comes in its place, and
        the `up` that meets it starts this process again with the way to it. The same machine, started again where it was, has
        one again."""
        record = self._record[1]
        slots: Mapping[str, Slot] = record.slots if record else {}
        parked = {name for name, slot in slots.items() if slot.state == "parked"}
        self._left |= {name: slots[name].machine for name in parked}
        for name in [name for name, slot in slots.items() if slot.state == "wanted" and slot.machine]:
            if self._left.get(name) == slots[name].machine:
                del self._left[name]
        for name in ways.names():
            if name in self._keepers or name in self._left:
                continue
            host = record.hosts.get(name) if record else None
            questions = questions_of(self.file)
            bare = Host(name=name, pool="", ssh=Ssh(address=""))
            meter = meters.of(self.file).get(name, "")
            self._keepers[name] = Keeper(host or bare, questions, self._news.set, meter)
            self._keepers[name].start()
        for name in parked & set(self._keepers):
            self._keepers.pop(name).end()

    def _say_states(self, world: World) -> None:
        states: dict[str, dict[str, Any]] = {}
        for name in self.file.stack.models:
            if name in self.wakes.under_way:
                states[name] = {"state": "waking", "eta_s": self.wakes.eta_s(name)}
            elif state := world.model(name):
                states[name] = {"state": state, "eta_s": self.wakes.eta_s(name)}
        try:
            self.gateway.tell(states)
        except OSError as error:
            self.out.say(f"warning: the gateway's folder cannot be written: {error.strerror}")

    def _refuse(self) -> None:
        """Where the gateway does not run, or has no such map yet, that is soon over; else it is said once."""
        if not refuses(self.file.stack):
            return
        keys, now = self._accounts.refused, time.monotonic()
        try:
            self.gateway.refuse(keys)
        except (OSError, ValueError) as error:
            self._let_in = self._let_in or now
            if keys and now - self._let_in >= LET_IN_S:
                self._let_in = float("inf")
                text = (
                    f"{', '.join(sorted(keys))}: the gateway was not told to refuse what is used up: {error}"
                )
                self.out.say(f"warning: {text}; look at `hostler logs gateway`")
        else:
            self._let_in = 0.0

    def _show(self, world: World) -> None:
        record, wall = world.record, time.time()
        if record is None:
            return
        hosts = known(self.file, record)
        seen = seen_of(hosts, world, wall)
        if world.now >= self._renewed:
            self._renewed = world.now + RENEWED_S
            self._certificates = certificates.rows(self.file, record.gateway_host, seen, wall)
        found = snapshots.snapshot(
            self.file, hosts, seen, record, wall,
            subjects=world.subjects, money=self._accounts.report(wall), slots=slot_rows.rows(record.slots, {}),
            cloud=None, strays=None, certificates=self._certificates,
        )  # fmt: skip
        self._starting.look(world, found["replicas"])
        self._renewing.look(world)
        self._rates.add(world.views, record.replicas, world.now)
        self._waits.add(world.views, record.replicas, world.now)
        rows = self._rates.models(found["models"], record.replicas)
        found = {**found, "models": first_tokens.models(rows, record.replicas, world.views, world.now)}
        self._teller.look({**found, "money": found["money"] or self._accounts.alarming()}, wall)
        self.board.put({**found, "errors": self._teller.errors}, self._series())

    def _series(self) -> Series:
        held = {name: self._holder.waiting(name) for name in self.file.stack.models}
        return replace(
            self._accounts.series(),
            wakes=dict(self._teller.wakes),
            held=held,
            first_token=self._waits.histograms(),
            given_back=dict(self._giving.counts),
        )

    # its run

    def _longest(self) -> list[float]:
        """How long requests for each model may wait."""
        return [self.wakes.limits(name)[1] for name in self.file.stack.models] or [GRACE_S]

    async def run(self) -> None:
        """Told to end, it gives nothing back and says nothing more, and lets go of its sockets; what is under way with the
        holder goes on, and its keepers with it."""
        serving = [Serving(self._holder, str(self._run / HOLDER), max(GRACE_S, *self._longest()))]
        if has_page(self.file.stack):
            serving.append(Serving(app(self.board), str(self._run / PAGE)))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, stop.set)
        thread = threading.Thread(target=self.loop, daemon=True, name="loop")
        thread.start()
        running = [asyncio.create_task(one.run()) for one in serving]
        await stop.wait()
        self.out.say("told to end")
        self._end.set()
        self._news.set()
        self._giving.close()
        self._counter.shutdown(wait=False, cancel_futures=True)
        for one in serving:
            one.stop()
        try:
            self.gateway.close()
        except OSError as error:
            self.out.say(f"warning: the gateway's folder cannot be written: {error.strerror}")
        await asyncio.gather(*running)
        self._teller.close()


def _same(before: Mapping[str, View], now: Mapping[str, View]) -> bool:
    return before.keys() == now.keys() and all(before[name] is view for name, view in now.items())
