"""`up` killed at drawn moments of a rollout under load, and ended one of three ways, or with a host's power gone: no
request is lost, and all replicas are on one release. HOSTLER_SEED draws other moments and ends."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from e2e.desk import UP_S, Desk
from e2e.load import Load
from e2e.running import Hosts, Run
from e2e.soaking import STUB, Wish, busy, images, proven, specs, tidy
from e2e.tally import Tally
from lab.shell import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak]

SEED = int(os.environ.get("HOSTLER_SEED", "1"))
SEEDS = range(SEED, SEED + 10)
ENDS = ("resume", "abort", "up")
TWO = Wish()
OTHER = replace(TWO, image=f"{STUB}:2")
_spans: list[float] = []


@pytest.fixture
def tally(desk: Desk) -> Iterator[Tally]:
    """A stack of stubs that tell each request that they compute."""
    with Tally(desk.lab) as running:
        desk.write(TWO.text(running))
        desk.up("--allow-downtime")
        yield running


def has_begun(run: Run) -> bool:
    """The record says that a change is under way."""
    return bool(run.record().get("journal"))


def span(desk: Desk, hosts: Hosts, tally: Tally) -> float:
    """Seconds of a rollout from there on, measured once, there and back."""
    if not _spans:
        for wish in (OTHER, TWO):
            desk.write(wish.text(tally))
            with Run(desk, hosts) as run:
                run.until(has_begun)
                begun = time.monotonic()
                assert run.process.wait(UP_S) == 0, run.said()
            _spans.append(time.monotonic() - begun)
    return min(_spans)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_a_drawn_moment(seed: int, desk: Desk, hosts: Hosts, tally: Tally) -> None:
    drawn = random.Random(seed)
    moment, end, whole = drawn.random() * span(desk, hosts, tally), drawn.choice(ENDS), drawn.random() < 0.5
    story = f"HOSTLER_SEED={seed}: killed after {moment:.1f} s, then {end}, its children {'too' if whole else 'left'}"
    before = images(desk, hosts)
    desk.write(OTHER.text(tally))
    with busy(desk) as load:
        with Run(desk, hosts) as run:
            run.until(has_begun)
            deadline = time.monotonic() + moment
            wait_for("the moment", lambda: run.process.poll() is not None or time.monotonic() > deadline, 300)
            run.kill(whole=whole)
            story += f", at {', '.join(sorted(run.phases('chat'))) or 'no exchange'}"
        under_way = desk("rollout", "status", "--json").json["release"]
        print(f"{story}; under way: {under_way}")
        if end == "up" or under_way is None:
            desk.up()
        else:
            desk("rollout", end, "--yes")
        some(load)
        requests = proven(load, tally)
    print(f"{requests} requests")
    now = images(desk, hosts)
    assert len(set(now.values())) == 1, story
    if end == "abort" and under_way is not None:
        assert now == before, story
        desk.write(TWO.text(tally))
    else:
        assert now != before, story
    tidy(desk, hosts, 2)


def some(load: Load) -> None:
    """It goes on for a while, so that what is wrong now is met with."""
    reached = load.answered() + 200
    wait_for("more answers", lambda: load.answered() >= reached, 60)


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
@pytest.mark.parametrize("dies", ["the one that is exchanged", "the one that serves"])
def test_a_host_loses_its_power(dies: str, seed: int, desk: Desk, hosts: Hosts, tally: Tally) -> None:
    """The one without the gateway, in the middle of its own exchange or of the other's: what it was computing at that
    moment may be lost, nothing else."""
    drawn = random.Random(seed)
    phase = drawn.choice(("drain", "stop", "start", "check", "beside"))
    exchanged = "gpu-2" if dies == "the one that is exchanged" else "gpu-1"
    story = f"HOSTLER_SEED={seed}: gpu-2 dies while {exchanged} is at {phase}"
    print(story)
    more = "" if phase == "beside" else "    exchange: in-place"
    desk.write(replace(OTHER, more=more).text(tally))
    with busy(desk) as load:
        with Run(desk, hosts) as run:
            run.until(lambda run: phase in run.phases("chat", exchanged))
            hosts["gpu-2"].power_cut()
            off = time.time()
            code = run.process.wait(300)
        print(f"{story}: exit {code}\n{run.said()[-1500:]}")
        assert code in (4, 6, 7), run.said()
        some(load)
        hosts["gpu-2"].power_on()
        desk.up()
        some(load)
        lost(load, tally, off)
    now = images(desk, hosts)
    assert len(set(now.values())) == 1, story
    assert len(specs(hosts)) == 2
    tidy(desk, hosts, 2)


def lost(load: Load, tally: Tally, off: float) -> None:
    """Ends the load. Lost are at most those that the dead host was computing; they may have been computed again."""
    load.end()
    there = {
        number for number, places in tally.begun.items() if "gpu-2" in places and number not in tally.ended
    }
    broken = {answer.number: answer for answer in load.answers if answer.flaw}
    others = {
        number: answer for number, answer in broken.items() if "gpu-2" not in tally.begun.get(number, ())
    }
    print(f"{len(load.answers)} requests, {len(broken)} lost, {len(there)} cut there")
    assert others == {}
    assert all(answer.begun < off for answer in broken.values())
    again = {number: places for number, places in tally.twice().items() if "gpu-2" not in places}
    assert again == {}
