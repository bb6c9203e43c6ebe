"""hostler logs: the lines of a replica, of all replicas of a model, of the gateway, or of the edges."""

from __future__ import annotations

from hostler.console.out import Out
from hostler.errors import UsageError
from hostler.hosts.calls import agent_stream
from hostler.hosts.connect import transport_for
from hostler.rollout.observe import Observation, observe, refuse_unreached
from hostler.stackfile.sections import StackFile


def logs(file: StackFile, name: str, out: Out, *, lines: int, follow: bool) -> None:
    observation = observe(file, pulumi=False)
    found = targets(observation, name)
    if not found:
        names = ", ".join(known(observation))
        if not names:
            refuse_unreached(observation.seen)
        raise UsageError.of(
            "hostler logs",
            expected=f"one of {names}" if names else "a stack that is up",
            got=name,
            next_step="`hostler status` shows what runs",
        )
    for host, identity in found:
        transport = transport_for(observation.host(host))
        try:
            for line in agent_stream(transport, "logs", id=identity, lines=lines, follow=follow):
                if "line" in line:
                    out.data(f"{identity}@{host}: {line['line']}" if len(found) > 1 else str(line["line"]))
        finally:
            transport.close()


def targets(observation: Observation, name: str) -> list[tuple[str, str]]:
    """(host, container id) of everything that `name` means."""
    replicas = observation.record.replicas if observation.record else ()
    return [
        (host, identity)
        for host, seen in sorted(observation.seen.items())
        for identity in seen.ours.get("containers", ())
        if identity == name or any(r.id == identity and r.model == name for r in replicas)
    ]


def known(observation: Observation) -> list[str]:
    return sorted(
        {identity for seen in observation.seen.values() for identity in seen.ours.get("containers", ())}
    )
