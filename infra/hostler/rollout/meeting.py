"""A rented host's first contact: trusted by the key that its user data gave it, which is exchanged at once.

The order lets no crash lock us out: the host makes a new key and tells it, it is written down beside the state as the
next one, then the host uses it, then the first one is forgotten. A host with two keys on paper is tried with both.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from hostler.cloud import egress, live
from hostler.cloud.types import Rented
from hostler.console.out import Out
from hostler.errors import HostError, HostlerError
from hostler.hosts import knownhosts
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Host
from hostler.record.types import Record
from hostler.rollout import rented, stackkey
from hostler.stackfile.sections import StackFile

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet

READY_S = 300.0  # from the instance's start to its first answer
TRIAL_S = (
    2 * 3600.0
)  # the lease until it serves (`stays`): a run that dies in between costs no more than that
AGAIN_S = 60.0  # from one answer to the next
EVERY_S = 1.0
ASK_S = 5.0  # between two questions to AWS what became of one that does not answer yet
IMPAIRED_S = 60.0  # so long AWS's own checks may fail before it is given up: a slow start looks the same
AT_ONCE = 32


def meet(
    file: StackFile,
    fleet: Fleet,
    machines: Sequence[Rented],
    documents: Mapping[str, Any],
    *,
    record: Record,
    out: Out,
) -> None:
    """Each by itself, side by side; those that answer are adopted whatever becomes of the others. Raises HostError with
    those that do not answer in READY_S, or never will: the next run ends them, and rents others."""
    if not machines:
        return
    paper, over = _Paper(fleet, documents), Event()
    key = str(stackkey.path(file, fleet))

    def work(machine: Rented) -> HostlerError | None:
        out.live(f"{machine.slot}: waiting for its first answer")
        try:
            _meet(machine, paper, key, record.uid, over)
        except Silent as error:
            paper.write(machine.slot, silent=machine.id)
            return error
        except HostlerError as error:
            return error
        out.say(f"{machine.slot}: met; it has a host key of its own now")
        return None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            failed = [error for error in threads.map(work, machines) if error]
        except BaseException:  # Ctrl-C: nobody waits for the others any more
            over.set()
            raise
    if failed:
        raise HostError(*(problem for error in failed for problem in error.problems))


class Silent(HostError):
    """It did not answer since it is there, or with what is no answer: whatever is the matter with it, it serves nobody."""


class _Paper:
    """The document of the hosts, written by several threads, whole each time."""

    def __init__(self, fleet: Fleet, documents: Mapping[str, Any]) -> None:
        self._fleet, self._lock = fleet, Lock()
        self.hosts = dict(documents)

    def write(self, slot: str, **entry: Any) -> None:
        with self._lock:
            self.hosts[slot] = {**self.hosts[slot], **entry}
            self._fleet.keep(rented.HOSTS, self.hosts)


def _meet(machine: Rented, paper: _Paper, key: str, uid: str, over: Event) -> None:
    host, public = _first_answer(machine, paper.hosts[machine.slot], key, over)
    paper.write(machine.slot, keys=list(dict.fromkeys((public, *paper.hosts[machine.slot]["keys"]))))
    _patiently(host, "hostkey-use", public=public)
    fresh = replace(host, ssh=replace(host.ssh, host_key=public))
    now = time.time()
    _patiently(fresh, "adopt", uid=uid, lease=now + TRIAL_S, now=now)
    paper.write(machine.slot, keys=[public], met=True)


def _first_answer(machine: Rented, document: Mapping[str, Any], key: str, over: Event) -> tuple[Host, str]:
    """The host by the key that it shows, and the key that it will have. An instance that runs has no SSH yet."""
    hosts = [rented.host_of(machine, document, key, public) for public in document["keys"]]
    until, outlook = time.monotonic() + READY_S, _Outlook(machine)
    while True:
        for host in hosts:
            try:
                answer = agent_call_of(host, "hostkey-make", old=host.ssh.host_key)
                return host, _one_key(machine, str(answer.get("public", "")))
            except Silent:
                raise
            except HostlerError as error:
                why = outlook.why()
                if why or time.monotonic() > until:
                    raise _silent(machine, why or _said(error)) from error
        if over.wait(EVERY_S):
            raise KeyboardInterrupt


class _Outlook:
    """What AWS says of a machine that does not answer, asked now and then."""

    def __init__(self, machine: Rented) -> None:
        self._machine, self._asked, self._impaired = machine, time.monotonic(), 0.0

    def why(self) -> str:
        """Why waiting is of no use; empty: it may be, or AWS cannot be asked."""
        now = time.monotonic()
        if now - self._asked < ASK_S:
            return ""
        self._asked = now
        try:
            if how := live.ended(self._machine):
                return f"its instance has ended: {how}"
            if not live.impaired(self._machine):
                self._impaired = 0.0
                return ""
        except HostlerError:
            return ""
        self._impaired = self._impaired or now
        return "AWS's own checks do not reach it: impaired" if now - self._impaired >= IMPAIRED_S else ""


def _one_key(machine: Rented, told: str) -> str:
    """It stands in files of this machine: as one key and nothing else. Raises Silent."""
    key = knownhosts.one_key(told)
    if key and knownhosts.parse_key(key):
        return key
    raise Silent.of(
        f"{machine.slot} ({machine.id})",
        expected="the host key that it made: its type and the base64 text",
        got=repr(told[:200]),
        next_step="it is not what was rented any more: the next `hostler up` ends it, and rents another",
    )


def _patiently(host: Host, op: str, **request: Any) -> dict[str, Any]:
    """An sshd that reads its keys anew, or that cloud-init starts again, takes no connection for a moment."""
    until = time.monotonic() + AGAIN_S
    while True:
        try:
            return agent_call_of(host, op, **request)
        except HostlerError:
            if time.monotonic() > until:
                raise
        time.sleep(EVERY_S)


def _silent(machine: Rented, why: str) -> Silent:
    return Silent.of(
        f"{machine.slot} ({machine.id})",
        expected=f"an answer over SSH within {READY_S:.0f} s of its start",
        got=why,
        next_step="the next `hostler up` ends it, and rents another; without one it ends itself half an hour after its "
        "start",
    )


def _said(error: HostlerError) -> str:
    return error.problems[0].got if error.problems else str(error)


def agent_call_of(host: Host, op: str, **request: Any) -> dict[str, Any]:
    with closing(transport_for(host)) as transport:
        return agent_call(transport, op, **request)


def egress_of(host: Host) -> str:
    """The network from which a host reaches AWS. Raises HostError."""
    said = str(agent_call_of(host, "egress")["address"])
    try:
        return egress.network(said)
    except ValueError as error:
        raise HostError.of(
            host.name,
            expected=f"{egress.ASK} to tell it the address by which AWS sees it",
            got=repr(said),
            next_step="name its network instead of `auto` under gateway_from and ssh_from",
        ) from error
