"""hostler logs: the lines of a replica, of all replicas of a model, of the gateway, of the edges, or of the controller."""

from __future__ import annotations

from hostler.configure.controller import FOLDER
from hostler.console.out import Out
from hostler.errors import UsageError
from hostler.hosts.calls import agent_stream
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Seen
from hostler.rollout.observe import Observation, observe, refuse_unreached
from hostler.stackfile.sections import StackFile

CONTROLLER = "controller"


def logs(file: StackFile, name: str, out: Out, *, lines: int, follow: bool) -> None:
    observation = observe(file, pulumi=False, without=out.say)
    found = targets(observation, name)
    silent = {
        host: observation.seen[host] for host in hosts_of(observation, name) if host in observation.seen
    }
    silent = {host: seen for host, seen in silent.items() if not seen.reached}
    if not found:
        refuse_unreached(silent)
        names = ", ".join(known(observation))
        if not names:
            refuse_unreached(observation.seen)
        raise UsageError.of(
            "hostler logs",
            expected=f"one of {names}" if names else "a stack that is up",
            got=name,
            next_step="`hostler status` shows what runs",
        )
    for host in silent:
        out.say(f"note: {host} does not answer: what {name} says there is not shown")
    for host, identity in found:
        transport = transport_for(observation.host(host))
        try:
            op = "controller-logs" if identity == CONTROLLER else "logs"
            for line in agent_stream(transport, op, id=identity, lines=lines, follow=follow):
                if "line" in line:
                    out.data(f"{identity}@{host}: {line['line']}" if len(found) > 1 else str(line["line"]))
        finally:
            transport.close()


def targets(observation: Observation, name: str) -> list[tuple[str, str]]:
    """(host, container id) of everything that `name` means."""
    if name == CONTROLLER:
        return [(host, name) for host, seen in sorted(observation.seen.items()) if _is_home(seen)]
    replicas = observation.record.replicas if observation.record else ()
    return [
        (host, identity)
        for host, seen in sorted(observation.seen.items())
        for identity in seen.ours.get("containers", ())
        if identity == name or any(r.id == identity and r.model == name for r in replicas)
    ]


def hosts_of(observation: Observation, name: str) -> list[str]:
    """Where a replica, or those of a model, are by the record."""
    replicas = observation.record.replicas if observation.record else ()
    return sorted({member.host for r in replicas if name in (r.id, r.model) for member in r.members})


def known(observation: Observation) -> list[str]:
    every = observation.seen.values()
    return sorted(
        {
            *(identity for seen in every for identity in seen.ours.get("containers", ())),
            *(CONTROLLER for seen in every if _is_home(seen)),
        }
    )


def _is_home(seen: Seen) -> bool:
    """Whether the controller is on this host."""
    return f"{FOLDER}/run.json" in seen.ours.get("files", ())
