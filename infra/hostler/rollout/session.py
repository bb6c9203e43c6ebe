"""A change of a stack, under its lock: who holds it, what an interrupted run left, and the record's commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from hostler.console.out import Out
from hostler.errors import HostError, HostlerError, LockedError
from hostler.hosts import ways
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.lock import BrieflyLockedError, Lock
from hostler.hosts.transport import Transport
from hostler.hosts.types import Host
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import homes

END_DOWNLOADS_S = 10.0
RENTING_S = 1800.0  # in which whoever changes something is done
BRIEF_S = 120.0  # in which the controller lets go of a lock that it has for a moment
PAUSE_S = 0.5
END_S = 960.0  # an interrupted run's package manager is waited for, and an exchange that goes back


@dataclass(slots=True, kw_only=True)
class Session:
    """One run: its id, the reached hosts' transports, and the record as it stands at home."""

    run: str
    lock: Lock
    gateway: Host
    hosts: tuple[Host, ...]
    out: Out
    record: Record
    transports: dict[str, Transport] = field(default_factory=dict[str, Transport])

    def call(self, name: str, op: str, limit_s: float = 60.0, /, **request: Any) -> dict[str, Any]:
        """One request to one host's agent; raises the host's own error, or that the lock was lost."""
        self.lock.check()
        if name not in self.transports:
            raise HostError.of(
                name,
                expected="a host that answers",
                got="no answer when this run began",
                next_step="`hostler status` says why; run it again when the host is back",
            )
        return agent_call(self.transports[name], op, run_id=self.run, timeout=limit_s, **request)

    def everywhere(self, hosts: Sequence[str], work: Callable[[str], Any]) -> dict[str, Any]:
        """`work(host)` on all hosts at once; the first failure is raised after all have ended."""
        if not hosts:
            return {}
        with ThreadPoolExecutor(min(32, len(hosts))) as pool:
            waiting = {host: pool.submit(work, host) for host in hosts}
        return {host: future.result() for host, future in waiting.items()}

    def commit(self, record: Record) -> None:
        """The record's next number, at home first, then to its copies (a copy that fails is said, not fatal)."""
        self.record = store.committed(record)
        data = store.dump(self.record)
        self.call(self.gateway.name, "record-commit", record=data)
        homes.remember(record.stack, self.gateway.name)
        for host in store.copy_hosts(
            [h.name for h in self.hosts if h.name in self.transports], self.gateway.name
        ):
            try:
                self.call(host, "copy-write", record=data)
            except HostlerError as error:
                self.out.say(f"warning: {host} keeps no copy of the record: {error}")

    def leave(self, home: str, record: Record) -> None:
        """The home of before says where the record goes, before it is there: whoever believes the one then believes the
        other. Nothing where it does not answer: `--restore` takes a copy."""
        if home in self.transports and home != self.gateway.name:
            left = replace(store.committed(record), moved=self.gateway.name)
            self.call(home, "record-commit", record=store.dump(left))

    def claim(self, hosts: Sequence[str]) -> None:
        """What each host was before the first contact is kept, then it belongs to this stack."""

        def work(host: str) -> None:
            self.call(host, "baseline")
            self.call(
                host,
                "claim",
                uid=self.record.uid,
                stack=self.record.stack,
                epoch=self.record.epoch,
                host=host,
            )

        self.everywhere(hosts, work)


@contextmanager
def session(
    record: Record,
    gateway: Host,
    hosts: Sequence[Host],
    reached: Sequence[str],
    out: Out,
    *,
    why: str,
    run_id: str = "",
) -> Generator[Session]:
    """The stack's lock is held inside; what an interrupted run left behind has been ended.

    `gateway` is where the record is written. While the gateway moves, its former host's lock is held as well: that
    is the one which others know. `run_id`: of the run that goes on, after a reboot of the gateway's host.
    """
    if gateway.name not in reached:
        raise HostError.of(
            gateway.name,
            expected="the gateway's host, which keeps lock and record",
            got="a host that cannot be reached",
            next_step=f"bring {gateway.name} back, or name another host under gateway.host and run `hostler up --restore`",
        )
    with ExitStack() as stack:
        transports = {h.name: _opened(stack, h) for h in hosts if h.name in reached}
        if record.gateway_host in transports and record.gateway_host != gateway.name:
            _locked(stack, transports[record.gateway_host], out, why)
        lock = _locked(stack, transports[gateway.name], out, why, run_id)
        run = Session(
            run=lock.run_id,
            lock=lock,
            gateway=gateway,
            hosts=tuple(hosts),
            out=out,
            record=record,
            transports=transports,
        )
        ended = run.everywhere(list(transports), lambda host: run.call(host, "end-run", END_S))
        _say_ended(ended, out)
        try:
            yield run
        except BaseException:
            _end_downloads(run)
            raise


def _locked(stack: ExitStack, home: Transport, out: Out, why: str, run_id: str = "") -> Lock:
    """The controller has the lock for seconds, where it gives back what is idle: people wait for that. The controller
    itself looks again later; where it rents, for people who wait, it waits for anybody. Raises LockedError."""
    rents = ways.folder() is not None and ways.has_rights()
    until = time.monotonic() + (RENTING_S if rents else 0.0 if ways.folder() else BRIEF_S)
    while True:
        try:
            return stack.enter_context(Lock(home, why, run_id=run_id))
        except LockedError as error:
            if time.monotonic() >= until or not (rents or isinstance(error, BrieflyLockedError)):
                raise
            out.live(f"waiting: {error.problems[0].got}")
            time.sleep(PAUSE_S)


def _end_downloads(run: Session) -> None:
    """What was begun and is not waited for any more; a host that does not answer keeps its own until the next run."""

    def work(host: str) -> None:
        with suppress(HostlerError):
            agent_call(run.transports[host], "end-background", run_id=run.run, timeout=END_DOWNLOADS_S)

    run.everywhere(list(run.transports), work)


def _opened(stack: ExitStack, host: Host) -> Transport:
    transport = transport_for(host)
    stack.callback(transport.close)
    return transport


def _say_ended(ended: Mapping[str, Mapping[str, Any]], out: Out) -> None:
    for host, answer in sorted(ended.items()):
        for process in answer.get("ended", ()):
            out.say(f"{host}: ended {process['name']} (process {process['pid']}) of the interrupted run")
        for replica, done in sorted(answer.get("recovered", {}).items()):
            out.say(f"{host}: {replica} was in the middle of its exchange: it {done}")
        for replica, done in sorted(answer.get("returned", {}).items()):
            out.say(f"{host}: {replica} was drained by the interrupted run: it {done}")
