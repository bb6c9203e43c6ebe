"""The end of what a stack rents: listed first, drained, ended by Pulumi, and read back from the account by its tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hostler.cloud import account, removal
from hostler.cloud.types import Holding
from hostler.console.out import Out
from hostler.errors import HostlerError, Problem, ProvisionError, RefusedError
from hostler.rollout import rented, sweep
from hostler.rollout.apply import or_refused
from hostler.rollout.observe import Observation, home_of
from hostler.rollout.session import session

RETIRE_S = 3600.0  # the drain has a limit of its own
BUCKET = "bucket"
COSTLY = ("instance", "volume", "address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the account holds of this stack; true where there is anything to end, or a state of it."""

    holdings: tuple[Holding, ...]
    regions: tuple[str, ...]
    state: bool

    def __bool__(self) -> bool:
        return self.state or bool(self.holdings)


def listed(observation: Observation, uid: str) -> Held:
    """By tags, in every region used. Raises ProvisionError: what cannot be listed is not gone."""
    if observation.cloud is None:
        return Held(holdings=(), regions=(), state=False)
    regions = sweep.regions(observation.file, observation.cloud)
    holdings = account.holdings(regions, uid) if uid else ()
    return Held(holdings=holdings, regions=regions, state=rented.fleet_of(observation.file).store.exists())


def rows(held: Held) -> list[tuple[str, str, str]]:
    """(slot or region, kind, id), as `down` lists what it removes."""
    return [(one.slot or one.region, one.kind, one.id) for one in held.holdings]


def drain(observation: Observation, out: Out, *, cut: bool) -> None:
    """The replicas on rented hosts answer what they have, and get nothing new. Raises RefusedError (exit 9) with what
    would be cut: what cannot be asked may be busy. A machine that was never met serves nobody."""
    record, cloud = observation.record, observation.cloud
    if cloud is None or _emptied(observation):
        return
    serving = [r for r in record.replicas if r.members[0].host in cloud.in_use] if record else []
    hosts = {r.members[0].host for r in serving} if record else {*cloud.in_use} - {*cloud.unmet}
    home = home_of(observation)
    silent = {host for host in hosts if not observation.seen[host].reached}
    if record is None or not observation.seen[home.name].reached:
        silent = hosts
    if silent and not cut:
        raise RefusedError(*(_may_be_busy(host, observation.seen[host].error) for host in sorted(silent)))
    there = [replica for replica in serving if replica.members[0].host not in silent]
    if record is None or not there:
        return
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    with session(record, home, observation.every, reached, out, why="down") as run:
        for replica in there:
            host = replica.members[0].host
            out.live(f"{replica.id} on {host}: waiting for its last requests")
            with or_refused():
                run.call(host, "retire", RETIRE_S, id=replica.id, force=cut)


def _emptied(observation: Observation) -> bool:
    """A `down` before this one drained all, and took the gateway away: nobody sends the rented hosts anything."""
    owned = [observation.seen[host.name] for host in observation.every if host.owned]
    return (
        observation.record is None
        and observation.gateway.owned
        and not (observation.cloud and observation.cloud.home)
        and all(seen.reached and not seen.uid for seen in owned)
    )


def _may_be_busy(host: str, error: str) -> Problem:
    return Problem(
        where=host,
        expected="a host that can be drained before its machine ends",
        got=error or "no lock, since the gateway's host does not answer",
        next_step="run it again when it answers, or `hostler down --cut` to end it with whatever it does",
    )


def end(observation: Observation, uid: str, held: Held, out: Out) -> None:
    """By Pulumi what the state has, then what only the tags know. Raises ProvisionError (exit 5) with what is left."""
    if not uid:  # nothing is asked of the account without it: no tag would mean everybody's
        raise ProvisionError.of(
            observation.file.stack.stack,
            expected="the stack's uid, in its record or its state",
            got="neither",
            next_step="look with `hostler doctor`; what is tagged hostler:stack in AWS's console is yours to judge",
        )
    out.live("pulumi: ending what is rented")
    try:
        rented.fleet_of(observation.file, uid=uid, notice=out.say).destroy()
    except ProvisionError as error:
        raise _not_gone(error, held, uid) from error
    left = things(account.holdings(held.regions, uid))
    if left:
        out.say(f"ending {len(left)} things that the state did not have")
        removed = removal.remove(left)
        raise_left([one for one in removed if not one.gone])
    for holding in things(held.holdings):
        out.say(f"gone: {holding.kind} {holding.id} in {holding.region}")


def _not_gone(error: ProvisionError, held: Held, uid: str) -> ProvisionError:
    """With what is still there and costs; where the account cannot be asked either, all that was before may be."""
    try:
        left, word = account.holdings(held.regions, uid), "still there"
    except HostlerError:
        left, word = held.holdings, "perhaps still there"
    costs = [one for one in left if one.kind in COSTLY]
    return ProvisionError(
        *error.problems,
        *(
            Problem(
                where=f"{one.slot or one.kind} ({one.id} in {one.region})",
                expected="gone",
                got=f"{word}: {one.kind}" + (f", {one.state}" if one.state else ""),
                next_step="run `hostler down` again; it costs until it is gone",
            )
            for one in costs
        ),
    )


def things(holdings: Sequence[Holding]) -> tuple[Holding, ...]:
    """Without the bucket of the state, which goes last."""
    return tuple(one for one in holdings if one.kind != BUCKET)


def raise_left(left: Sequence[removal.Removed]) -> None:
    if left:
        raise ProvisionError(
            *(
                Problem(
                    where=f"{one.holding.kind} {one.holding.id} in {one.holding.region}",
                    expected="gone",
                    got=one.why,
                    next_step="run it again; it costs until it is gone",
                )
                for one in left
            )
        )
