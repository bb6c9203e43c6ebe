"""A host's reboot, and the wait until it is back: by which boot answers, not by whether something does."""

from __future__ import annotations

import time

from hostler.console.out import Out
from hostler.errors import ConfigureError, HostlerError
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.transport import Transport
from hostler.hosts.trouble import AgentError
from hostler.hosts.types import Host

LIMIT_S = 900.0  # servers with much memory take ten minutes to find it
ASK_S = 20.0
PAUSE_S = 1.0


def reboot(host: Host, run_id: str, out: Out, limit_s: float = LIMIT_S) -> None:
    """Returns when its next boot has ended. Raises HostlerError where it does not begin, ConfigureError where it is not
    back in `limit_s` seconds."""
    transport = transport_for(host)
    try:
        before = str(agent_call(transport, "boot", run_id=run_id, timeout=ASK_S)["boot"])
        _begin(transport, run_id)
    finally:
        transport.close()
    until, said = time.monotonic() + limit_s, "nothing yet"
    while time.monotonic() < until:
        out.live(f"{host.name}: reboots ({said})")
        is_back, said = _back(host, run_id, before)
        if is_back:
            return
        time.sleep(PAUSE_S)
    raise ConfigureError.of(
        host.name,
        expected=f"a host that is back from its reboot within {limit_s / 60:.0f} min",
        got=said,
        next_step="look at its console; when it is back, `hostler up` lets it serve",
    )


def _begin(transport: Transport, run_id: str) -> None:
    """A connection that is lost on the way is no failure: the host may be down before it has answered."""
    try:
        agent_call(transport, "reboot", run_id=run_id, timeout=ASK_S)
    except AgentError:
        raise
    except HostlerError:
        return


def _back(host: Host, run_id: str, before: str) -> tuple[bool, str]:
    """Whether another boot has ended there, and what is seen instead."""
    transport = transport_for(host)
    try:
        answer = agent_call(transport, "boot", run_id=run_id, timeout=ASK_S)
    except HostlerError as error:
        return False, error.problems[0].got if error.problems else str(error)
    finally:
        transport.close()
    if answer["boot"] == before:
        return False, "it has not begun"
    return bool(answer["up"]), f"it boots: {answer['state']}"
