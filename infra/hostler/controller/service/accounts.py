"""The stack's money: a look a minute becomes rows of the ledger, and the ledger a report with its budgets.

What is not written yet is kept on disk first: killed at any moment, no row is lost and none is written twice.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.cloud.types import Price
from hostler.codec import decode, encode
from hostler.console.out import Out
from hostler.controller.page.source import Series
from hostler.controller.service import judged, meters, refused
from hostler.controller.service.copies import Copies
from hostler.controller.service.hosts import known, seen_of
from hostler.controller.service.world import World
from hostler.errors import HostlerError
from hostler.gateway import runtime
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Host, Slot, Ssh
from hostler.money import folding, given, metering, months, refusing, report, shown
from hostler.money.looks import Away, Count, Look, Machine, Usage
from hostler.money.rows import HOURS, Rate, Row
from hostler.node.base import clock
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import costs, ledger
from hostler.stackfile.sections import StackFile

NAME = "metering.json"
SHORT = {"hold": 0.25, "stop": 0.01}  # of an idle window, by what the budget says
READ_S = 3600.0  # the ledger is read anew so often


class Accounts:
    """`word` and `shorter`: what the budget says; until the ledger was read, what it said in the last run."""

    def __init__(self, file: StackFile, own: Path, out: Out) -> None:
        self._file, self._own, self._out = file, own, out
        self._state = self._load()
        self._rows: tuple[Row, ...] = ()
        self._read: float | None = None  # None: not yet, so that nobody knows what was spent
        self._told = ""
        self._copies, self._meters = Copies(out), meters.Meters(meters.of(file), out)
        self._ends: dict[str, float] = {}  # host -> when it said that it goes, and said no more
        self._tokens: dict[tuple[str, str], float] = {}
        self._judged = judged.load(own, self._unjudged(time.time()))
        self._refused = refusing.kept(refused.load(own), given.limits_of(file.stack), time.time())

    @property
    def word(self) -> str:
        return self._judged.states.get("", "ok")

    @property
    def shorter(self) -> float:
        return SHORT.get(self.word, 1.0)

    @property
    def refused(self) -> Mapping[str, refusing.Told]:
        """Keys that are to be refused; until the ledger was read, those of the last run."""
        return refusing.told(self._refused)

    def alarming(self) -> Mapping[str, Any]:
        """For alarms, where there is no report: those that were on stay on."""
        return self._judged.alarming()

    def _load(self) -> metering.State | None:
        path = self._own / NAME
        try:
            return decode(metering.State, operator.read_json(path), NAME) if path.exists() else None
        except ValueError:
            return None

    def tick(self, world: World) -> None:
        """A look, what is over, and what it comes to. What cannot be written now is written later."""
        record, wall = world.record, time.time()
        if record is None:
            return
        known = self._state is not None
        try:
            if known:
                self._take(world, record, wall)
            with closing(transport_for(world.views[record.gateway_host].host)) as home:
                if self._read is None or time.monotonic() - self._read > READ_S:
                    self._reread(world, record, home, wall)
                if not known:
                    self._take(world, record, wall)
                self._written(world, record, home)
        except HostlerError as error:
            self._warn(str(error.problems[0]) if error.problems else str(error))
        else:
            self._told = ""
        if self._read is not None:
            self._judge(wall)

    def _take(self, world: World, record: Record, wall: float) -> None:
        self._state = metering.tick(self._state or metering.State(), self._look(world, record, wall))
        operator.write_json(self._own / NAME, encode(self._state))

    def _reread(self, world: World, record: Record, home: Any, wall: float) -> None:
        """What waits to be written may be there already, and is counted once."""
        wanted = months.files(months.month_at(wall, UTC), UTC)
        found = ledger.at_home(home, record.uid, wanted)
        waits = {row.id for row in self._state.unwritten} if self._state else set[str]()
        self._rows = folding.folded((row for row in found if row.id not in waits), wall)
        self._read = time.monotonic()
        if self._state is None:
            self._state = metering.resumed(found)
        self._copies.catch_up(world, self._copy_hosts(record), record.uid, wanted, found)

    def _written(self, world: World, record: Record, home: Any) -> None:
        if self._state is None or not self._state.unwritten:
            return
        new = self._state.unwritten
        ledger.append(home, record.uid, new)
        self._state = metering.written(self._state, [row.id for row in new])
        operator.write_json(self._own / NAME, encode(self._state))
        self._rows = folding.folded((*self._rows, *new), time.time())
        self._copies.append(world, self._copy_hosts(record), record.uid, new)

    def _copy_hosts(self, record: Record) -> tuple[str, ...]:
        names = [host.name for host in known(self._file, record) if host.owned]
        return store.copy_hosts(names, record.gateway_host)

    def _judge(self, wall: float) -> None:
        stack, made = self._file.stack, self._report(wall)
        rating = given.rating_of(stack, made.currency)
        now = refusing.judged(self._refused, given.limits_of(stack), made, rating)
        if now != self._refused:
            refused.save(self._own, now)  # before anybody is: a restart lets none of them in
            self._refused = now
        rows = shown.as_json(made, shown.verdicts(stack, made), self.refused)["budgets"]
        before, self._judged = self._judged, self._unjudged(wall).having(rows)
        judged.save(self._own, before, self._judged)

    def _unjudged(self, wall: float) -> judged.Judged:
        limits = repr(given.limits_of(self._file.stack))
        return judged.Judged(month=months.month_at(wall, UTC), limits=limits)

    def _report(self, wall: float) -> report.Report:
        stack, state = self._file.stack, self._state
        rows = (*self._rows, *(metering.under_way(state) if state else ()))
        currency = given.currency_of(stack) or report.usual(rows)
        return report.report(rows, wall, currency=currency, rating=given.rating_of(stack, currency))

    def report(self, wall: float) -> Mapping[str, Any] | None:
        """As `hostler cost --json` has it, without what an hour costs now. None: the ledger was not read yet."""
        if self._read is None:
            return None
        made = self._report(wall)
        return shown.as_json(made, shown.verdicts(self._file.stack, made), self.refused)

    def series(self) -> Series:
        return Series(tokens=dict(self._tokens))

    def _warn(self, why: str) -> None:
        what = "the ledger cannot be written, and what is counted waits here"
        if self._state is None:
            what = "nothing is counted until the ledger can be read"
        if why != self._told:
            self._out.say(f"warning: {what}: {why}")
        self._told = why

    # a look

    def _look(self, world: World, record: Record, wall: float) -> Look:
        hosts = (*known(self._file, record), *_no_longer(record))
        seen = seen_of(hosts, world, wall)
        words = {name: view.last_word(world.now) for name, view in world.views.items()}
        said = {name: float(word["at"]) for name, word in words.items() if word}
        self._ends.update(said)
        machines = costs.machines(
            self._file.stack,
            hosts,
            seen,
            record.replicas,
            record.slots,
            off=said,
            meters=self._meters.read(world),
        )
        counts = tuple(_counts(world, record))
        self._add(counts)
        return Look(
            at=wall,
            steady=clock.boottime(),
            boot=clock.boot(),
            machines=(*machines, *self._gone({host.name for host in hosts})),
            counts=counts,
            usage=_usage(world, record),
            away=tuple(_away(world, record, {one.name: one for one in machines})),
        )

    def _gone(self, there: Collection[str]) -> list[Machine]:
        """Those that were seen to cost, and were given back or left the stack since."""
        met: Mapping[str, metering.Met] = self._state.met if self._state else {}
        return [
            Machine(name=name, owned=one.machine.owned, state="gone", until=self._ends.get(name))
            for name, one in met.items()
            if name not in there
        ]

    def _add(self, counts: Sequence[Count]) -> None:
        """For metrics: only ever more, over restarts of engines."""
        before: Mapping[str, Count] = self._state.counts if self._state else {}
        for one in counts:
            last = before.get(one.replica)
            for direction, value in (("prompt", one.prompt), ("generation", one.generated)):
                if value is None:
                    continue
                same = last is not None and last.born == one.born
                was = (last.prompt if direction == "prompt" else last.generated) if last and same else 0.0
                key = (one.model, direction)
                self._tokens[key] = self._tokens.get(key, 0.0) + max(0.0, value - (was or 0.0))


def _no_longer(record: Record) -> list[Host]:
    """Hosts that are drained, and go: they cost until then; and those that are stopped, whose disks cost."""
    slots = {name: slot for name, slot in record.slots.items() if slot.stopped or slot.state == "retiring"}
    return [record.hosts.get(name) or _bare(slot) for name, slot in slots.items()]


def _bare(slot: Slot) -> Host:
    """Nothing stands on it, and its disk is there."""
    return Host(name=slot.name, pool=slot.pool, ssh=Ssh(address=""), owned=False)


def _counts(world: World, record: Record) -> list[Count]:
    """An engine's counters of work begin with its tokens: those of prompts, then those that it made (node/idle/looking)."""
    found: list[Count] = []
    for replica in record.replicas:
        host = replica.members[0].host
        view = world.views.get(host)
        rows: Mapping[str, Any] = (
            (view.looked.get("replicas") or {}) if view and view.fresh(world.now) else {}
        )
        row: Mapping[str, Any] = rows.get(replica.id) or {}
        work: Sequence[float] = row.get("work") or ()
        if view is None or len(work) < 2 or not row.get("born"):
            continue
        found.append(
            Count(
                replica=replica.id,
                model=replica.model,
                host=host,
                pool=record.hosts[host].pool if host in record.hosts else "",
                born=str(row["born"]),
                prompt=float(work[0]),
                generated=float(work[1]),
            )
        )
    return found


def _usage(world: World, record: Record) -> Usage | None:
    view = world.views.get(record.gateway_host)
    said: Mapping[str, Any] = (view.looked.get("usage") or {}) if view and view.fresh(world.now) else {}
    if not said.get("table"):
        return None
    sent: dict[str, dict[str, float]] = {}
    for (model, key), (_, size) in runtime.usage(str(said["table"])).items():
        sent.setdefault(model, {})[key] = float(size)
    return Usage(born=str(said.get("born", "")), sent=sent)


def _away(world: World, record: Record, machines: Mapping[str, Machine]) -> list[Away]:
    """Rented machines that were given back, against running on; and those that would be, if it were not only told of. What
    an engine that sleeps would draw nobody measured: nothing is claimed of it."""
    given_back = [
        _hours(
            name,
            slot.pool,
            "stop" if slot.stopped else "terminate",
            costs.rate(Price(amount=slot.price, source=slot.price_source)),
        )
        for name, slot in record.slots.items()
        if slot.state == "parked" and slot.given_back and (slot.price is not None or slot.price_source)
    ]
    would = [
        _hours(one.name, machine.pool, one.policy.do, machine.price, shadow=True)
        for one in world.subjects
        if one.kind == "host" and one.policy and one.due and not one.due.do
        if (machine := machines.get(one.name)) and not machine.owned
    ]
    return [*given_back, *would]


def _hours(name: str, pool: str, do: str, rate: Rate, *, shadow: bool = False) -> Away:
    return Away(subject=name, host=name, pool=pool, do=do, shadow=shadow, unit=HOURS, amount=1.0, rate=rate)
