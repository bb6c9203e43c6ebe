"""What is true of one host and its replicas: what is in flight, when anything last happened, what it has cost. Nobody decides
here; what is seen of it, by `look` and `presence`, is what an agent on the host would see."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from hostler.node.idle.deciding import GAP_S, Door, Look, Presence

from .traffic import MIDNIGHT, Fault, Request, S, Scenario, inside

LOAD, SLOW, BOOT, DRAIN = 25 * S, 5400 * S, 90 * S, 2 * S
FOREVER = 1 << 60
EDGE, GATEWAY = 0, 1
DOORS = ("edge", "gateway")


@dataclass
class Report:
    ticks: int = 0
    ends: int = 0
    sleeps: int = 0
    backs: int = 0  # what came in while draining won
    stalled: int = 0
    would: int = 0
    replaces: int = 0
    wrong: list[str] = field(default_factory=list)  # a busy one ended, or one too early
    late: list[str] = field(default_factory=list)
    billed: int = 0
    events: list[tuple[int, str]] = field(default_factory=list)  # "up" and "down" of the host


@dataclass
class Flight:
    request: Request
    begin: int
    end: int
    doors: list[bool]  # whether that one still has it, also in an old worker


class Replica:
    def __init__(self) -> None:
        self.flights: list[Flight] = []
        self.run, self.ready, self.asleep = 0, 0, -1
        self.done = self.tokens = self.base_done = self.base_tokens = 0
        self.total = [0, 0]
        self.touched = [0, 0]  # as each door's side can see it
        self.held: list[Request] = []
        self.draining = False

    def touch(self, at: int) -> None:
        self.touched = [max(one, at) for one in self.touched]

    def settle(self, at: int) -> None:
        for flight in [one for one in self.flights if one.end <= at]:
            self.flights.remove(flight)
            self.touch(flight.end)
            if flight.request.way != "door":
                self.done += 1
                self.tokens += flight.request.length

    def lose(self, at: int, door: int) -> None:
        """That door is killed: what waits there is cut, of what the engine has only the engine tells."""
        self.settle(at)
        if any(one.request.way == "door" for one in self.flights):
            self.touch(at)
        self.flights = [one for one in self.flights if one.request.way != "door"]
        for flight in self.flights:
            flight.doors[door] = False

    def counters(self, at: int) -> tuple[float, float]:
        served = [one for one in self.flights if one.begin <= at and one.request.way not in ("door", "stuck")]
        tokens = self.tokens + sum(at - one.begin for one in served)
        return float(tokens - self.base_tokens), float(self.done - self.base_done)

    def busy(self) -> bool:
        return any(one.request.way != "stuck" for one in self.flights)


class World:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.report = scenario, Report()
        self.replicas = [Replica() for _ in range(scenario.replicas)]
        self.up, self.boot, self.booted, self.base = False, 0, 0, 0
        self.processes, self.jumped, self.touched, self.counted = [0, 0], 0, 0, 0
        self.went, self.resumed, self.resumes = 0, -FOREVER, 0
        self.queue: list[tuple[int, int, Request | Fault]] = []
        self.pushed = 0
        for one in [*scenario.requests, *scenario.faults]:
            self.push(one.at, one)
        self.wake_host(0)

    def push(self, at: int, one: Request | Fault) -> None:
        self.pushed += 1
        heapq.heappush(self.queue, (at, self.pushed, one))

    def boottime(self, at: int) -> float:
        return (at - self.base) / S

    def wall(self, at: int) -> float:
        return MIDNIGHT + at / S + self.jumped

    def bill(self, at: int) -> None:
        if self.up:
            self.report.billed += at - self.counted
        self.counted = at

    def wake_host(self, at: int) -> None:
        self.bill(at)
        resumes = self.scenario.suspends and self.boot > 0
        if resumes and at + BOOT - self.went > GAP_S * S:
            self.resumed = at + BOOT
        self.resumes += resumes
        self.up, self.booted, self.touched = True, at + BOOT, at + BOOT
        self.report.events.append((at, "up"))
        if not resumes:
            self.boot, self.base = self.boot + 1, at + BOOT - 20 * S
        for replica in self.replicas:
            if resumes and replica.asleep < 0:
                replica.ready = at + BOOT
                continue
            replica.asleep = -1
            self.start(replica, at + BOOT)

    def start(self, replica: Replica, at: int, load: int = LOAD) -> None:
        replica.run, replica.ready = replica.run + 1, at + load
        replica.done = replica.tokens = replica.base_done = replica.base_tokens = 0
        replica.touch(at)

    def advance(self, at: int) -> None:
        while self.queue and self.queue[0][0] <= at:
            when, _, one = heapq.heappop(self.queue)
            self.bill(when)
            if isinstance(one, Request):
                self.arrive(when, one)
            else:
                self.fail(when, one)
        self.bill(at)
        for replica in self.replicas:
            replica.settle(at)

    def arrive(self, at: int, request: Request) -> None:
        replica = self.replicas[request.replica]
        replica.settle(at)
        if replica.draining and request.way != "direct":
            replica.held.append(request)
            return
        if not self.up:
            self.wake_host(at)
        if replica.asleep >= 0:
            replica.asleep = -1
            self.start(replica, at)
        if replica.ready > at:  # held at the gateway until then
            self.push(replica.ready, request)
            return
        replica.touch(at)
        begin = FOREVER if request.way == "door" else at + request.queue
        end = (
            FOREVER
            if request.way == "stuck"
            else at + request.queue + (0 if begin == FOREVER else request.length)
        )
        if request.way != "direct":
            replica.total = [one + 1 for one in replica.total]
        replica.flights.append(Flight(request, begin, end, [request.way != "direct"] * len(DOORS)))

    def fail(self, at: int, fault: Fault) -> None:
        if fault.what == "jump":
            self.jumped += fault.which
        elif fault.what == "wake":
            if not self.up:
                self.wake_host(at)
        elif fault.what == "reload":
            self.processes[fault.which] += 1
            for replica in self.replicas:
                if at % 3 == 0:
                    replica.lose(at, fault.which)
                if at % 2:  # else it was told to keep its counts
                    replica.total[fault.which] = 0
                replica.touched[GATEWAY] = max(at, replica.touched[GATEWAY])
                if fault.which == EDGE:  # the switch sees no other
                    replica.touched[EDGE] = max(at, replica.touched[EDGE])
        elif self.up and at >= self.replicas[fault.which].ready and self.replicas[fault.which].asleep < 0:
            replica = self.replicas[fault.which]
            replica.settle(at)
            if fault.what == "restart":
                replica.flights.clear()
                self.start(replica, at, SLOW if at % 3 == 0 else LOAD)
            elif any(replica.counters(at)):
                now = replica.counters(at)
                replica.base_tokens += int(now[0])
                replica.base_done += int(now[1])
                replica.touch(at)

    def look(self, index: int, at: int, sees: int) -> Look:
        replica = self.replicas[index]
        served = [one for one in replica.flights if one.request.way != "door"]
        running = sum(one.begin <= at for one in served)
        doors = {}
        for side in range(sees + 1):
            busy = sum(one.doors[side] for one in replica.flights)
            doors[DOORS[side]] = Door(busy, replica.total[side], f"p{self.processes[side]}")
        ready = at >= replica.ready
        born = f"{self.boot}/{replica.run}"
        counted = replica.counters(at) if ready else (0.0, 0.0)
        work = () if self.scenario.uncounted else counted
        return Look(self.boottime(at), born, ready, running, len(served) - running, work, doors)

    def presence(self, at: int) -> Presence:
        there = [inside(spans, at) for spans in (self.scenario.sessions, self.scenario.foreign)]
        tasks = ("task",) * inside(self.scenario.tasks, at)
        return Presence(self.boottime(at), f"boot{self.boot} {self.resumes}", there[0], there[1], tasks)

    def people(self, at: int) -> int:
        """When somebody was last there; now, where somebody is."""
        spans = [*self.scenario.sessions, *self.scenario.foreign, *self.scenario.tasks]
        return max([self.touched, *(min(at, span.end) for span in spans if span.begin <= at)])


def host_ms(report: Report, length: int) -> int:
    """What the host has run, counted again in the plainest way: by its ups and downs alone."""
    downs = [at for at, what in report.events if what == "down"]
    ups = [at for at, what in report.events if what == "up"]
    return sum(downs) + (length if len(ups) > len(downs) else 0) - sum(ups)
