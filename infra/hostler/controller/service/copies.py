"""The ledger's copies on two other hosts: what is new goes to each that answers, and one that missed any catches up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing

from hostler.console.out import Out
from hostler.controller.service.world import World
from hostler.errors import HostlerError
from hostler.hosts.connect import transport_for
from hostler.money.rows import Row
from hostler.rollout import ledger


class Copies:
    def __init__(self, out: Out) -> None:
        self._out = out
        self._told: dict[str, str] = {}

    def append(self, world: World, names: Collection[str], uid: str, new: Sequence[Row]) -> None:
        for name in names:
            if not _answers(world, name):
                continue
            try:
                with closing(transport_for(world.views[name].host)) as there:
                    ledger.append(there, uid, new, copy=True)
            except HostlerError as error:
                self._failed(name, error)

    def catch_up(
        self, world: World, names: Collection[str], uid: str, months: Sequence[str], found: Sequence[Row]
    ) -> None:
        """`found`: all that the ledger has of these months."""
        for name in names:
            if not _answers(world, name):
                continue
            try:
                with closing(transport_for(world.views[name].host)) as there:
                    ledger.catch_up(there, uid, months, found)
            except HostlerError as error:
                self._failed(name, error)
            else:
                self._told.pop(name, None)

    def _failed(self, name: str, error: HostlerError) -> None:
        why = str(error.problems[0]) if error.problems else str(error)
        if self._told.get(name) != why:
            self._out.say(f"warning: the copy of the ledger on {name} lacks rows, until it catches up: {why}")
        self._told[name] = why


def _answers(world: World, name: str) -> bool:
    return name in world.views and world.views[name].fresh(world.now)
