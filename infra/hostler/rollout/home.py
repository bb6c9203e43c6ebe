"""What the gateway's host says about the stack's record: it is there, there never was one, it is lost, or nobody knows.

Without a record, "not up yet" and "the host is off" look the same from the others: only the gateway's host can tell.
"""

from __future__ import annotations

from dataclasses import replace

from hostler.errors import HostError, RefusedError
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import keys, rented
from hostler.rollout.observe import Observation, lost, unreached


def record_or_first(observation: Observation) -> Record:
    """The record, or that of a stack that was never up, with its first key. Raises HostError where nobody knows which
    of the two it is."""
    if observation.record:
        return observation.record
    refuse_unknown(observation)
    first = keys.first_record(observation.file.stack.stack, observation.gateway.name)
    return rented.with_uid(first, observation.cloud)


def running(observation: Observation) -> Record:
    """The record of a stack that is up. Raises HostError where that is not known, RefusedError where it is not up or
    its record is lost, LockedError for hosts of another stack."""
    refuse_unknown(observation)
    refuse_lost(observation)
    stack = observation.file.stack.stack
    if observation.record is None:
        raise RefusedError.of(
            stack,
            expected="a stack that is up",
            got=f"no record on {observation.gateway.name}",
            next_step="run `hostler up` first",
        )
    store.refuse_foreign(observation.seen, observation.record, stack)
    return observation.record


def unknown(observation: Observation) -> bool:
    """Whether the gateway's host may have a record that nobody else has."""
    return not observation.home_known and (observation.record is None or bool(lost(observation)))


def refuse_unknown(observation: Observation) -> None:
    if unknown(observation):
        raise silent(observation)


def refuse_lost(observation: Observation) -> None:
    """Nothing is begun anew where an old record was lost."""
    if home := lost(observation):
        raise RefusedError.of(
            observation.gateway.name,
            expected="the stack's record on the gateway's host",
            got=f"{'an older one' if observation.record else 'none'} there, and a copy on {home}",
            next_step=_restores(observation, home),
        )


def _restores(observation: Observation, home: str) -> str:
    if observation.record is None:
        return "run `hostler up --restore` to go on with the newest copy; the old keys stay valid"
    return (
        f"run `hostler up --restore` if the gateway's host was set back, or has the gateway again; if it never lost it, {home} is "
        "not to be trusted any more: take it out of the file, and set it up anew"
    )


def silent(observation: Observation, *more: str) -> HostError:
    """The own error of the gateway's host, what hangs on it, and the others that do not answer. `more`: further
    lines."""
    name = observation.gateway.name
    problem = unreached(name, observation.seen[name], _start(observation))
    why = f"{name} has the gateway, and keeps the stack's lock and record"
    told = [other for other, seen in sorted(observation.seen.items()) if seen.record and other != name]
    gone = (
        f"{' and '.join(told)} says that it has the record: if the gateway is there, name it under gateway.host"
        if told
        else "if it is gone for good: name another host under gateway.host and run `hostler up --restore`"
    )
    others = (
        unreached(other, seen)
        for other, seen in sorted(observation.seen.items())
        if other != name and not seen.reached and seen.error_kind != "absent"
    )
    return HostError(replace(problem, detail="\n".join((why, gone, *more))), *others)


def _start(observation: Observation) -> str:
    """The next step where the gateway's machine is rented, and was stopped outside of hostler; empty: another."""
    machine = observation.cloud.rented.get(observation.gateway.name) if observation.cloud else None
    if machine is None or not machine.stopped:
        return ""
    return f"aws ec2 start-instances --region {machine.candidate.region} --instance-ids {machine.id}"
