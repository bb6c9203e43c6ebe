"""Giving back what is idle: all that is due at once, under the stack's lock, and asked again later where a host said no."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from hostler.console.out import Out
from hostler.controller.service import acting
from hostler.controller.service.gateway import Gateway
from hostler.controller.service.wakes import Wakes
from hostler.controller.service.world import World
from hostler.errors import HostlerError, LockedError
from hostler.hosts.types import Host
from hostler.leases import judging
from hostler.leases.judging import Subject
from hostler.rollout.session import Session, session

AGAIN_S = 60.0  # after a host said no
HEARD_S = 10.0  # after it did it: its next look says so, each 5 s
GONE_S = 60.0  # after a host went: its last look seems new until then, and nobody answers there
LOCKED_S = 10.0  # while somebody else has the lock
SILENT_S = (
    20.0  # after some host did not answer: until then it is known not to, and the others are asked without it
)
AT_ONCE = 16
SPAN_S = 30.0  # two spans of idleness begin further apart
DID = {"sleep": "sleeps", "terminate": "was given back", "suspend": "is suspended", "stop": "is stopped"}

type Told = Callable[[str, str, str], None]  # event, text, about


class Giving:
    def __init__(self, out: Out, gateway: Gateway, tell: Told, wakes: Wakes) -> None:
        self._out, self._gateway, self._tell, self._wakes = out, gateway, tell, wakes
        self._lock = threading.Lock()
        self._later: dict[str, float] = {}  # subject -> not before this
        self._went: dict[str, float] = {}  # host -> it is left alone until this
        self._shadows: dict[str, float] = {}  # subject -> the idle span that was told of
        self._trouble = ""  # that was told of
        self._batch: Future[None] | None = None
        self._one = ThreadPoolExecutor(1, thread_name_prefix="give")
        self.counts: dict[tuple[str, str], float] = {}

    def close(self) -> None:
        """What is under way ends by itself: a host without our word stays."""
        self._one.shutdown(wait=False, cancel_futures=True)

    def tick(self, world: World) -> None:
        """Begins what is due; returns at once."""
        self._shadow(world)
        if self._batch and not self._batch.done():
            return
        waking = set(self._wakes.under_way)
        due = [
            one
            for one in judging.due(world.subjects)
            if world.now >= self._later.get(one.name, 0.0) and not waking & self._models(one, world)
        ]
        if due and world.record:
            self._batch = self._one.submit(self._all, due, world)

    def _all(self, due: Sequence[Subject], world: World) -> None:
        """Under one lock, side by side."""
        try:
            self._locked(due, world)
            self._trouble = ""
        except LockedError:
            self._put_off(due, LOCKED_S)
        except HostlerError as error:
            self._put_off(due, SILENT_S)
            if self._trouble != (why := _why(error)):
                self._out.say(f"nothing is given back now: {why}")
            self._trouble = why
        except Exception as error:  # noqa: BLE001 - of these; the next turn looks anew
            self._put_off(due, AGAIN_S)
            self._out.say(f"error: a bug in hostler: {type(error).__name__}: {error}")

    def _locked(self, due: Sequence[Subject], world: World) -> None:
        record = world.record
        if record is None:
            return
        there = [
            name
            for name, view in world.views.items()
            if view.fresh(world.now) and world.now >= self._went.get(name, 0.0)
        ]
        hosts = {name: record.hosts.get(name) or world.views[name].host for name in there}
        if record.gateway_host not in hosts:
            self._put_off(due, LOCKED_S)
            return
        names = ", ".join(one.name for one in due)
        home = hosts[record.gateway_host]
        with session(record, home, tuple(hosts.values()), there, self._out, why=f"idle: {names}") as run:
            waiting = [one for one in due if one.host in hosts]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                begun = [pool.submit(self._give, run, hosts[one.host], one, world) for one in waiting]
            for one, gone in zip(waiting, [future.result() for future in begun], strict=True):
                if gone:
                    acting.park(run, one.host, stopped=gone == "stop")

    def _give(self, run: Session, host: Host, subject: Subject, world: World) -> str:
        """What it did where its slot is to be parked."""
        due = subject.due
        if due is None:
            return ""
        self._out.say(f"{subject.name}: {due.why}")
        models = self._models(subject, world)
        try:
            if subject.kind == "host":
                done = acting.end(run, host, due.do, due.why, lambda: self._wanted(models))
            else:
                done = acting.sleep(run, host, subject.name, due.why, lambda: self._wanted(models))
        except HostlerError as error:
            self._put_off([subject], AGAIN_S)
            self._count(due.do, "failed")
            text = f"{subject.name} could not be given back: {_why(error)}"
            self._tell("idle failed", text, subject.name)
            return ""
        if not done.changed:
            self._put_off([subject], AGAIN_S)
            self._out.say(f"{subject.name} stays: {done.why}")
            return ""
        if subject.kind == "host":
            with self._lock:
                self._went[subject.name] = time.monotonic() + GONE_S
        self._put_off([subject], GONE_S if subject.kind == "host" else HEARD_S)
        self._count(due.do, "good")
        self._tell("idle", f"{subject.name} {DID[due.do]}: {due.why}", subject.name)
        return due.do if due.do in ("terminate", "stop") else ""

    def gone(self) -> frozenset[str]:
        """Hosts that went a moment ago: their last looks seem new yet."""
        now = time.monotonic()
        with self._lock:
            return frozenset(name for name, until in self._went.items() if now < until)

    def _wanted(self, models: set[str]) -> bool:
        return any(self._gateway.waiting(model) for model in models) or bool(
            models & set(self._wakes.under_way)
        )

    @staticmethod
    def _models(subject: Subject, world: World) -> set[str]:
        if subject.kind == "replica":
            return {subject.model}
        return {one.model for one in world.replicas() if one.members[0].host == subject.host}

    def _put_off(self, subjects: Sequence[Subject], seconds: float) -> None:
        with self._lock:
            self._later.update(dict.fromkeys((one.name for one in subjects), time.monotonic() + seconds))

    def _count(self, do: str, how: str) -> None:
        with self._lock:
            self.counts[(do, how)] = self.counts.get((do, how), 0.0) + 1

    def _shadow(self, world: World) -> None:
        """Once for each span: what would have been done. When a span began is known to a look's breadth."""
        for subject in world.subjects:
            due = subject.due
            if due is None or due.do:
                continue
            if abs(due.since - self._shadows.get(subject.name, -SPAN_S)) >= SPAN_S:
                self._tell("idle", f"shadow: {subject.name} {due.why}", subject.name)
            self._shadows[subject.name] = due.since


def _why(error: HostlerError) -> str:
    return str(error.problems[0]) if error.problems else str(error)
