"""`start`: a machine more, when requests have queued for so long; one at a time, and no more than was given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.controller.service.rents import Rents
from hostler.controller.service.starting import Starting
from hostler.controller.service.world import World
from worlds import configure_world

from .test_wakes import RENTS, STACK, Stack, renter, stack

__all__ = ["renter", "stack"]
START = STACK.replace("count: 0-1}", "count: 0-1, start: {queue: 4, for: 60s}}") + RENTS


class Trial:
    def __init__(self, stack: Stack) -> None:
        self.stack, self.err, self.go = stack, StringIO(), threading.Event()
        stack.file = configure_world.stack(START)
        self.held: int | None = 0  # at the gateway
        self.starting = Starting(Rents(stack.own, self.rent), Out(stderr=self.err), self.queued)

    def queued(self, model: str) -> int:
        if self.held is None:
            raise ValueError(model)
        return self.held if model == "big" else 0

    def rent(self, home: Any, slot: str) -> None:
        self.stack.woken.append(f"{home.name} rents {slot}")
        assert self.go.wait(10)
        self.stack.say(self.stack.rented)

    def at(self, seconds: float, *waiting: int | None, model: str = "big") -> None:
        world: World = replace(self.stack.world(), now=seconds)
        self.starting.look(world, [{"model": model, "waiting": one} for one in waiting])

    def until(self, sign: Callable[[], bool]) -> None:
        end = time.monotonic() + 5
        while not sign() and time.monotonic() < end:
            time.sleep(0.01)
        assert sign()


@pytest.fixture
def trial(renter: Stack) -> Trial:
    return Trial(renter)


def test_it_waits_for_so_many_for_so_long(trial: Trial) -> None:
    trial.at(0, 3, 1)  # of all replicas together
    trial.at(30, 4)
    trial.at(40, 3)  # too few: the time begins anew
    trial.at(50, 4)
    trial.at(80, None, 4)
    trial.at(100, 9, model="chat")
    trial.at(109, 4)
    trial.at(168, 4)
    assert trial.stack.woken == []
    trial.at(169, 4)
    trial.at(170, 4)  # one at a time
    trial.until(lambda: bool(trial.stack.woken))
    trial.go.set()
    trial.until(idle)
    assert trial.stack.woken == ["gpu-2 rents burst-0"]
    assert "burst-0: its machine is rented again: requests for big queue" in trial.err.getvalue()


def idle() -> bool:
    return not [one for one in threading.enumerate() if one.name == "start"]


def queued(trial: Trial) -> None:
    trial.go.set()
    trial.at(0, 9)
    trial.at(60, 9)


@pytest.mark.parametrize(("held", "rents"), [(4, 1), (3, 0), (None, 0)])
def test_those_that_wait_at_the_gateway_count(trial: Trial, held: int | None, rents: int) -> None:
    """An engine gets no more than it has slots: nobody waits there."""
    trial.held = held
    trial.go.set()
    trial.at(0, 0)
    trial.at(61, 0)
    trial.until(idle)
    assert trial.stack.woken == ["gpu-2 rents burst-0"] * rents


def test_what_is_not_parked_is_not_rented(trial: Trial) -> None:
    trial.stack.parked = False
    queued(trial)
    assert idle()
    assert trial.stack.woken == []


def test_a_pool_without_start_is_left_alone(trial: Trial) -> None:
    trial.stack.file = configure_world.stack(STACK + RENTS)
    queued(trial)
    assert idle()
    assert trial.stack.woken == []


def test_one_that_fails_is_not_tried_again_at_once(trial: Trial) -> None:
    trial.stack.rented = "failed"
    queued(trial)
    trial.until(idle)
    assert "burst-0: its machine could not be rented: no capacity" in trial.err.getvalue()
    trial.at(70, 9)
    trial.until(idle)
    assert trial.stack.woken == ["gpu-2 rents burst-0"]
