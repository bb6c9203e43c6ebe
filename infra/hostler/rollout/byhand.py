"""`hostler pulumi -- ARGS`: the Pulumi CLI on the stack, with what the stack file wishes where a preview needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hostler.console.out import Out
from hostler.hosts.types import Seen
from hostler.rollout import rented, renting, up, wishing
from hostler.rollout.observe import look, questions_of
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.sections import StackFile


def pulumi(file: StackFile, words: Sequence[str], out: Out) -> int:
    """Pulumi's exit code. Raises RefusedError for what would end rented machines undrained."""
    from hostler.provision.passthrough import previews

    return _preview(file, words, out) if previews(words) and rented.rents(file) else _as_it_is(file, words)


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
