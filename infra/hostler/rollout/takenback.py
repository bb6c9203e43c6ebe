"""Rented machines that end in the middle of a run: that is said first, whatever went wrong on them because of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from hostler.cloud import live
from hostler.cloud.types import Rented
from hostler.errors import HostlerError, Problem
from hostler.rollout.observe import Observation


@contextmanager
def explained(observation: Observation) -> Generator[None]:
    """Errors that name a rented machine, and AWS says that it has ended, begin with that. Their kind stays."""
    try:
        yield
    except HostlerError as error:
        machines = observation.cloud.rented.values() if observation.cloud else ()
        named = [one for one in machines if any(one.slot in str(problem) for problem in error.problems)]
        if not (ends := [problem for one in named for problem in _end(one)]):
            raise
        raise type(error)(*ends, *error.problems) from error


def _end(machine: Rented) -> Iterator[Problem]:
    try:
        how = live.ended(machine)
    except HostlerError:
        return  # it is not known
    if how:
        yield Problem(
            where=f"{machine.slot} ({machine.id})",
            expected="an instance that runs",
            got=f"it has ended: {how}",
            next_step="`hostler up` rents another",
        )
