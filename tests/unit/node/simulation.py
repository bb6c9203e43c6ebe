"""A host, its replicas, and the two who may end it, on a clock that nobody waits for; they decide by the product's code.

Whoever ends something busy, or too early, or not in time, is noted in the report, by what is true in the world.
"""

from __future__ import annotations

import random
from typing import Any

from hostler.node.idle.deciding import (
    GAP_S,
    REPLACE,
    STALE_S,
    SWITCH_EXTRA_S,
    Due,
    Look,
    Presence,
    State,
    Verdict,
    asleep,
    due,
    judge,
    presence,
    together,
)
from hostler.stackfile import updating

from .traffic import Request, S, Scenario, Span, inside
from .world import DRAIN, EDGE, GATEWAY, Report, World

HOST = -1  # a subject, beside the replicas by index


class Decider:
    """One who enforces: the controller (sees both doors), or the host's own switch (sees the edge)."""

    def __init__(self, world: World, sees: int) -> None:
        self.world, self.sees, self.scenario = world, sees, world.scenario
        self.name = ("switch", "controller")[sees]
        self.every = (20 * S, 5 * S)[sees]
        self.extra = (SWITCH_EXTRA_S, 0.0)[sees]
        self.slack = (600 * S, 60 * S)[sees]
        self.dead = (self.scenario.switch_dead, self.scenario.controller_dead)[sees]
        self.chance = random.Random(self.scenario.seed * 2 + sees)
        self.subjects = [HOST, *range(self.scenario.replicas)]
        self.states: dict[int, State] = {one: {} for one in self.subjects}
        self.verdicts: dict[int, Verdict] = {}
        self.lasts: dict[int, Look | Presence | None] = {}
        self.clean = dict.fromkeys(self.subjects, 0)  # since when its looks can have shown nothing but quiet
        self.odd_at = dict.fromkeys(self.subjects, 0)
        self.blocked = self.ticked = self.looked = self.before = self.boot = 0

    def odd(self, one: Look | Presence, subject: int, at: int) -> Look | Presence | None:
        """Sometimes a look is wrong; in a lame span, each is, in the same way."""
        lame = next((span for span in self.scenario.lame if span.begin <= at < span.end), None)
        if lame is None and self.chance.random() >= self.scenario.odd:
            return one
        chance = self.chance if lame is None else random.Random(lame.begin)
        self.odd_at[subject] = at
        if isinstance(one, Presence):
            kinds: list[dict[str, Any] | None] = [
                None,
                {"sessions": None},
                {"foreign": None},
                {"tasks": None},
            ]
            kind = chance.choice(kinds)
            return None if kind is None else one._replace(**kind)
        deaf = {"doors": dict.fromkeys(one.doors)}
        counters: list[dict[str, Any]] = [{"work": None}]
        if lame is None:  # one that is missing from an engine's start on, nobody misses
            counters.append({"work": (one.work or ())[:1]})
        numbers = [
            None,
            {"running": None},
            {"waiting": None},
            *counters,
            deaf,
            {"ready": None},
            {"ready": False},
        ]
        kind = chance.choice(numbers)
        return None if kind is None else one._replace(**kind)

    def see(self, subject: int, one: Look | Presence | None, at: int) -> None:
        step = presence if subject == HOST else judge
        state, when = self.states[subject], self.world.boottime(at)
        self.states[subject], self.verdicts[subject] = step(state, one, when)  # type: ignore[arg-type]

    def looks(self, at: int, cut: bool) -> None:
        if at - self.looked > GAP_S * S:
            self.odd_at[HOST] = at  # who was there meanwhile, nobody knows
        self.looked = at
        for subject in self.subjects:
            replica = self.world.replicas[subject]
            if subject != HOST and replica.asleep >= 0:
                since = self.world.boottime(replica.asleep)
                self.states[subject], self.verdicts[subject] = {}, asleep(since, "asleep")
                continue
            if cut:
                self.odd_at[subject] = at
                self.see(subject, None, at)
                continue
            true = self.world.presence(at) if subject == HOST else self.world.look(subject, at, self.sees)
            one = self.odd(true, subject, at)
            self.see(subject, one, at)
            if one is true and self.scenario.odd and self.chance.random() < self.scenario.odd:
                self.see(subject, one, at)  # twice
            elif self.lasts.get(subject) and self.chance.random() < self.scenario.odd:
                self.odd_at[subject] = at
                self.see(subject, self.lasts[subject], at)  # an older one, late
            self.lasts[subject] = one

    def verdict(self, subject: int) -> Verdict:
        found = self.verdicts
        if subject != HOST:
            return found[subject]
        return together({str(one): found[one] for one in self.subjects if one != HOST}, found[HOST])

    def due(self, subject: int, at: int) -> Due | None:
        policy = self.scenario.host if subject == HOST else self.scenario.replica
        return due(policy, self.verdict(subject), self.world.boottime(at), self.world.wall(at), self.extra)

    def tick(self, at: int) -> tuple[int, Due] | None:
        """One look at everything; what it would do now."""
        gone = inside(self.dead, at) > 0
        if gone or not self.world.up or at < self.world.booted:
            self.forget(at, gone)
            return None
        if self.sees == EDGE and self.boot != self.world.boot:  # its state is gone with the boot
            self.states, self.boot = {one: {} for one in self.subjects}, self.world.boot
        hangs = self.sees == GATEWAY and inside(self.scenario.controller_hangs, at) > 0
        if hangs:
            self.clean = dict.fromkeys(self.subjects, at)
        else:
            self.looks(at, self.sees == GATEWAY and inside(self.scenario.cut, at) > 0)
        self.world.report.ticks += 1
        self.watch(at)
        if len(self.verdicts) < len(self.subjects):
            return None
        found = [(one, what) for one in self.subjects if (what := self.due(one, at)) is not None]
        self.world.report.would += sum(not what.do for _, what in found)
        self.world.report.replaces += sum(what.do == REPLACE for _, what in found)
        return next((pair for pair in found if pair[1].do not in ("", REPLACE)), None)

    def forget(self, at: int, gone: bool) -> None:
        self.clean = dict.fromkeys(self.subjects, at)
        if gone and not self.scenario.keeps and self.sees == GATEWAY:
            self.states = {one: {} for one in self.subjects}
        if self.sees == GATEWAY and not gone:
            for subject in self.subjects:
                self.see(subject, None, at)
        self.verdicts = {}

    def watch(self, at: int) -> None:
        """Whether it should have acted long ago, by what is true and by which looks it had."""
        for subject in self.subjects:
            if self.restless(subject, at):
                self.clean[subject] = at
        text = self.scenario.host.hours
        if text and updating.window(text).open_until(self.world.wall(at)) is not None:
            self.blocked = at
        for subject in self.subjects:
            policy = self.scenario.host if subject == HOST else self.scenario.replica
            clean = max(self.clean.values()) if subject == HOST else self.clean[subject]
            blocked = self.blocked if subject == HOST else 0
            over = max(clean + int(policy.after_s * S), blocked) + self.slack
            away = subject != HOST and self.world.replicas[subject].asleep >= 0
            if policy.do and not policy.kept and not policy.shadow and not away and at > over:
                self.world.report.late.append(f"{self.name} at {at}: {subject} is still there")
                self.clean[subject] = at
        self.ticked = at

    def restless(self, subject: int, at: int) -> bool:
        if self.odd_at[subject] > self.ticked:
            return True
        if subject == HOST:
            return self.world.people(at) > self.ticked
        replica = self.world.replicas[subject]
        if replica.asleep >= 0:
            return False
        return bool(replica.flights) or at < replica.ready or replica.touched[self.sees] > self.ticked

    def wrong(self, subject: int, at: int, what: Due, began: int) -> str:
        """What is wrong about ending it now, by what is true; `began`: when it was decided."""
        world = self.world
        policy = self.scenario.host if subject == HOST else self.scenario.replica
        parts = world.replicas if subject == HOST else [world.replicas[subject]]
        if began - self.before > STALE_S * S:
            return "nobody has looked"
        if any(one.busy() or one.held for one in parts):
            return "a request is in flight"
        if any(at < one.ready and one.asleep < 0 for one in parts):
            return "it was never ready"
        if subject == HOST and world.people(at) == at:
            return "somebody is there"
        if policy.kept or policy.shadow or what.do != policy.do:
            return "nobody wants that"
        if began - world.resumed < GAP_S * S:
            return "it has only just resumed"
        if policy.hours and updating.window(policy.hours).open_until(world.wall(began)) is not None:
            return "within hours"
        if "nothing moved" in what.why:
            return "" if world.boottime(at) >= policy.max_age_s else "not that old"
        slept = [one for one in self.subjects if one != HOST and world.replicas[one].asleep >= 0]
        when = [self.odd_at[one] for one in self.subjects if subject in (HOST, one) and one not in slept]
        when += [one.touched[self.sees] for one in parts if one.asleep < 0] + [one.asleep for one in parts]
        when += [world.people(began)] if subject == HOST else []
        early = began - max(when) < int((policy.after_s + self.extra) * S)
        return f"too early: {max(when)}" if early else ""


class Simulation:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.world = scenario, World(scenario)
        self.report = self.world.report
        self.deciders = [Decider(self.world, EDGE), Decider(self.world, GATEWAY)]

    def run(self) -> Report:
        """The whole of it, in order of time."""
        nexts = [7 * S, 3 * S + 100]
        while min(nexts) < self.scenario.length:
            at = min(nexts)
            which = nexts.index(at)
            decider = self.deciders[which]
            self.world.advance(at)
            found = decider.tick(at)
            nexts[which] += decider.every + decider.chance.randrange(-50, 51)
            if found is not None:
                self.act(decider, at, *found)
                nexts = [max(one, at + DRAIN) for one in nexts]
        self.world.advance(self.scenario.length)
        return self.report

    def act(self, decider: Decider, at: int, subject: int, what: Due) -> None:
        """Drain, look again, and end it or take it back."""
        report, world = self.report, self.world
        parts = world.replicas if subject == HOST else [world.replicas[subject]]
        for replica in parts:
            replica.draining = True
        self.meet(decider.chance, at)
        world.advance(at + DRAIN)
        decider.before = decider.looked
        decider.looks(at + DRAIN, cut=False)
        again = decider.due(subject, at + DRAIN)
        held = [request for replica in parts for request in replica.held]
        goes = not held and again is not None and (again.do, again.since) == (what.do, what.since)
        if goes:
            trouble = decider.wrong(subject, at + DRAIN, what, at)
            if trouble:
                report.wrong.append(f"{decider.name} at {at} ends {subject}: {trouble} ({what.why})")
            self.end(subject, at + DRAIN, what)
        else:
            report.backs += 1
        for replica in parts:
            replica.draining = False
            replica.held = []
        for request in held:
            world.push(at + DRAIN, request)

    def meet(self, chance: random.Random, at: int) -> None:
        """Sometimes something comes in just then."""
        if chance.random() >= self.scenario.meets:
            return
        when = at + chance.randrange(1, DRAIN)
        way = chance.choice(["whole", "direct", "door", "session", "foreign"])
        if way in ("whole", "direct", "door"):
            which = chance.randrange(self.scenario.replicas)
            self.world.push(when, Request(when, which, 0, chance.choice([1, 500, 60 * S]), way))
        else:
            spans = self.scenario.sessions if way == "session" else self.scenario.foreign
            spans.append(Span(when, when + 600 * S))

    def end(self, subject: int, at: int, what: Due) -> None:
        world = self.world
        self.report.stalled += "nothing moved" in what.why
        if subject != HOST:
            self.report.sleeps += 1
            world.replicas[subject].asleep = round(what.since * S) + world.base
            world.replicas[subject].flights.clear()
            return
        world.bill(at)
        world.went = at
        self.report.ends += 1
        self.report.events.append((at, "down"))
        world.up = False
        for replica in world.replicas:
            replica.flights.clear()
