"""What happens to one host and its replicas, before anybody decides: requests, people, faults. Times in milliseconds."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import NamedTuple

from hostler.node.idle.deciding import Policy

S, MINUTE, HOUR = 1000, 60_000, 3_600_000
MIDNIGHT = 1_700_438_400  # Monday, 2023-11-20, 00:00 UTC: the wall clock when a simulation begins
RATES = [0.3] * 7 + [2, 8, 16, 20, 12, 6, 14, 18, 16, 9, 4, 2] + [0.8] * 5  # requests an hour of a replica


class Request(NamedTuple):
    """`way`: whole; door: given up while queued, no engine hears of it; direct: past the doors; stuck: never ends."""

    at: int
    replica: int
    queue: int
    length: int
    way: str = "whole"


class Fault(NamedTuple):
    """`what`: restart (of replica `which`), reset (its counters), reload (0: edge, 1: gateway; the old worker finishes, or,
    where `at` is a multiple of 3, is killed), jump (of the wall clock by `which` seconds), wake (by hand)."""

    at: int
    what: str
    which: int = 0


class Span(NamedTuple):
    begin: int
    end: int


Spans = list[Span]


@dataclass
class Scenario:
    length: int
    host: Policy
    replica: Policy
    requests: list[Request]
    replicas: int = 2
    faults: list[Fault] = field(default_factory=list)
    sessions: Spans = field(default_factory=list)
    foreign: Spans = field(default_factory=list)
    tasks: Spans = field(default_factory=list)
    controller_dead: Spans = field(default_factory=list)
    controller_hangs: Spans = field(default_factory=list)  # it hears nothing new, and does not know it
    cut: Spans = field(default_factory=list)
    switch_dead: Spans = field(default_factory=list)
    lame: Spans = field(default_factory=list)  # something of every look is not known
    uncounted: bool = False  # the engines have no counters
    odd: float = 0.0  # of the looks are wrong in some way
    keeps: bool = True  # a controller that was dead still has its state
    suspends: bool = False  # the host's end keeps the boot and its clock running
    meets: float = 0.0  # of the ends: something comes in while draining
    seed: int = 0


HOST = Policy(1200.0, "terminate", "", 0.0, False, False)
REPLICA = Policy(600.0, "", "", 0.0, False, False)


def inside(spans: Spans, at: int) -> int:
    return sum(span.begin <= at < span.end for span in spans)


def day(seed: int, days: int = 1, replicas: int = 2) -> list[Request]:
    """Office hours with bursts and long answers, quiet nights, weekends quieter; the same each time for one seed."""
    chance, found = random.Random(seed), []
    for replica, hour in ((replica, hour) for replica in range(replicas) for hour in range(days * 24)):
        quieter = 0.05 if hour // 24 % 7 >= 5 else 1.0
        for _ in range(round(chance.expovariate(3.0 / (RATES[hour % 24] * quieter)))):
            at = hour * HOUR + chance.randrange(HOUR)
            for _ in range(chance.choice([1, 1, 1, 2, 3, 12])):
                length = int(min(math.exp(chance.gauss(8.5, 1.4)), 20 * MINUTE))  # 5 s, seldom minutes
                way = chance.choices(["whole", "door", "direct"], [0.94, 0.03, 0.03])[0]
                queue = chance.choice([0, 0, 40, 3000, 25 * MINUTE if way != "whole" else 0])
                found.append(Request(at + chance.randrange(20 * S), replica, queue, length, way))
    return sorted(one for one in found if one.at < days * 24 * HOUR)


def spans(chance: random.Random, length: int, number: int, least: int, most: int) -> Spans:
    begins = [chance.randrange(length) for _ in range(number)]
    return [Span(begin, begin + chance.randrange(least, most)) for begin in begins]


def troubled(seed: int, days: int = 1) -> Scenario:
    """A day of recorded kind, and everything that can go wrong around it, by chance."""
    chance = random.Random(seed)
    length = days * 24 * HOUR

    def some(most: int, shortest: int, longest: int) -> Spans:
        return spans(chance, length, chance.randrange(most * days + 1), shortest, longest)

    host = HOST._replace(
        after_s=float(chance.choice([600, 1200, 1800])),
        do=chance.choice(["terminate", "stop", "suspend"]),
        hours=chance.choice(["", "", "Mon-Fri 08-18", "Mon-Fri 22:00-04:00 Europe/Berlin"]),
        max_age_s=chance.choice([0.0, 12 * 3600.0]),
    )
    faults = [
        Fault(chance.randrange(length), what, chance.randrange(2))
        for what in ("restart", "reset", "reload", "wake")
        for _ in range(chance.randrange(5 * days))
    ]
    if chance.random() < 0.5:
        faults.append(Fault(chance.randrange(length), "jump", chance.randrange(-90000, 90000)))
    return Scenario(
        length,
        host,
        REPLICA._replace(do=chance.choice(["", "sleep"])),
        [one for one in day(seed, days) if chance.random() < chance.choice([1.0, 0.6])],
        faults=sorted(faults),
        sessions=some(
            2, 330 * S, 2 * HOUR
        ),  # in any gap that nobody notices, a shorter one is missed rightly
        foreign=some(1, 330 * S, HOUR),
        tasks=some(2, 330 * S, HOUR),
        controller_dead=some(3, S, 8 * HOUR),
        controller_hangs=some(3, S, 10 * MINUTE),
        cut=some(4, S, HOUR),
        switch_dead=some(3, S, 8 * HOUR),
        lame=some(3, S, 2 * HOUR),
        odd=chance.choice([0.0, 0.0005, 0.002]),
        keeps=chance.random() < 0.5,
        suspends=host.do == "suspend",
        meets=chance.choice([0.0, 0.3]),
        seed=seed,
    )
