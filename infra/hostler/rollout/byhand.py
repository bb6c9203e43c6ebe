"""Plain Pulumi and plain Ansible on the stack: `hostler pulumi -- ARGS`, `hostler render`, `hostler inventory`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hostler.console.out import Out
from hostler.errors import Problem, RefusedError
from hostler.hosts.types import Seen
from hostler.rollout import planning, rented, renting, up, wishing
from hostler.rollout.observe import Observation, look, questions_of
from hostler.rollout.planning import Draft
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.sections import StackFile


def pulumi(file: StackFile, words: Sequence[str], out: Out) -> int:
    """Pulumi's exit code. Raises RefusedError for what would end rented machines undrained."""
    from hostler.provision.passthrough import previews

    return _preview(file, words, out) if previews(words) and rented.rents(file) else _as_it_is(file, words)


def drafted(file: StackFile, why: str) -> Draft:
    """What Ansible is given. Raises RefusedError where a machine is not rented yet: by hand nobody rents it, and what
    it would be given is known when it is there."""
    observation = up.look(file, up.Options())
    cloud = observation.cloud
    if cloud and cloud.slots.fill:
        raise RefusedError(*(_not_there(name, observation) for name in cloud.slots.fill))
    draft = planning.make(observation, why=why)
    there = [host for host in observation.hosts if not observation.seen[host.name].parked]
    return replace(draft, observation=replace(observation, hosts=tuple(there)))


def _not_there(name: str, observation: Observation) -> Problem:
    return Problem(
        where=name,
        expected="a machine that is there",
        got=observation.seen[name].error,
        next_step="`hostler up` rents it; `hostler plan` shows what it would be",
    )


def _preview(file: StackFile, words: Sequence[str], out: Out) -> int:
    """The same program that `plan` asks Pulumi about."""
    observation = up.look(file, up.Options())
    cloud = observation.cloud
    if cloud is None:
        return _as_it_is(file, words)
    offers = renting.offered(observation, cloud)
    fleet = wishing.fleet_of(observation, out)
    wish = wishing.wished(replace(observation, offers=offers), cloud, fleet, {})
    return fleet.passthrough(words, observation.owned, lambda name: observation.seen[name], wish)


def _as_it_is(file: StackFile, words: Sequence[str]) -> int:
    hosts = hosts_of(file)
    found: dict[str, Seen] = {}

    def seen(name: str) -> Seen:
        """All hosts are looked at once, and only when Pulumi asks for one."""
        found.update({} if found else look(hosts, questions_of(file)))
        return found[name]

    return rented.fleet_of(file).passthrough(words, hosts, seen)
