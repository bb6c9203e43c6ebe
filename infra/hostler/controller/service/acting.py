"""What the controller asks of hosts: put a replica to sleep, end yourself, wake one. The hosts do it, and may say no."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from hostler.errors import HostlerError
from hostler.hosts.calls import agent_call, finished, talk
from hostler.hosts.connect import transport_for
from hostler.hosts.transport import Transport
from hostler.hosts.types import Host
from hostler.record import store
from hostler.rollout.session import Session

SLEEP_S = 900.0  # of silence: a drain has a limit of its own
BY = "the controller"
WAKE_S = 3600.0  # the host has limits of its own: a load may take long

type Waits = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """`why`: in the host's own words, also why not."""

    changed: bool
    why: str = ""


def sleep(run: Session, host: Host, replica: str, why: str, waits: Waits) -> Done:
    """Raises HostlerError. `waits`: whether a request waits for it at the gateway, asked when it is drained: then it
    stays."""
    return _given(host, "sleep", run.run, waits, id=replica, why=why, by=BY)


def end(run: Session, host: Host, do: str, why: str, waits: Waits) -> Done:
    """The host ends itself, or is suspended: with its word that it goes it is done, as nothing comes after that. Raises as
    `sleep`."""
    return _given(host, "host-end", run.run, waits, do=do, why=why, by=BY)


def park(run: Session, name: str, *, stopped: bool) -> None:
    """Its slot is parked, `stopped`: with its machine, which is no drift; one that retires, or that is no slot, stays as it is. The record is read anew:
    what is known here may be half a minute old."""
    home = run.gateway.name
    newest = store.load(run.call(home, "record-read")["record"], f"{home}: record")
    slot = newest.slots.get(name)
    if slot is None or slot.state != "wanted":
        return
    parked = replace(slot, state="parked", given_back=True, stopped=stopped)
    run.hosts = tuple(one for one in run.hosts if one.name != name)
    run.commit(replace(newest, slots={**newest.slots, name: parked}))


def wake(host: Host, replica: str) -> Done:
    """Returns when it is ready. Raises HostlerError with what its engine said. No lock: who waits, waits for this."""
    with closing(transport_for(host)) as there:
        answer = agent_call(there, "wake", timeout=WAKE_S, id=replica)
    return Done(changed=bool(answer.get("changed")), why=str(answer.get("why") or ""))


def wake_host(home: Host, wake: Mapping[str, Any]) -> None:
    """A magic packet, from the gateway's host, or the user's command here. Raises HostlerError."""
    with closing(transport_for(home)) as there:
        agent_call(there, "wake-host", timeout=60.0, **wake)


def rent(home: Host, slot: str) -> None:
    """The gateway's host rents the slot's machine again, or is doing it already. Raises HostlerError."""
    with closing(transport_for(home)) as there:
        agent_call(there, "controller-rent", timeout=60.0, slot=slot)


def _given(host: Host, op: str, run: str, waits: Waits, **request: Any) -> Done:
    with closing(transport_for(host)) as transport:
        answer = _conversation(transport, op, run, waits, request)
    return Done(changed=bool(answer.get("changed")), why=str(answer.get("why") or ""))


def _conversation(
    transport: Transport, op: str, run: str, waits: Waits, request: Mapping[str, Any]
) -> dict[str, Any]:
    """It is drained; whether somebody waits at the gateway, where the host cannot see, is the last question. A host that
    says that it goes says no more: its connection ends somehow."""
    last: dict[str, Any] = {}
    with talk(transport, op, run_id=run, ask=True, **request) as conversation:
        while (line := conversation.hear(SLEEP_S)) is not None:
            if line.get("drained"):
                conversation.say(b"back\n" if _waits(waits) else b"go\n")
            last = line
            if op == "host-end" and line.get("changed"):
                return line
        return finished(transport.name, op, json.dumps(last).encode(), conversation.wait(10.0), b"")


def _waits(waits: Waits) -> bool:
    """What nobody knows is somebody."""
    try:
        return waits()
    except (OSError, ValueError, HostlerError):
        return True
