"""Days of hosts that fall idle and are needed again, with all that goes wrong: nobody busy is ended, nobody idle stays."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostler.node.idle.deciding import STALLED_S, SWITCH_EXTRA_S

from .simulation import Simulation
from .traffic import HOST, HOUR, MINUTE, REPLICA, Fault, Request, S, Scenario, Span, day, troubled
from .world import BOOT, LOAD, Report, host_ms

QUICK, SOAK = 14, 400  # troubled days


def run(scenario: Scenario) -> Report:
    """All of it, and what holds in each."""
    report = Simulation(scenario).run()
    assert report.wrong == []
    assert report.late == []
    assert report.billed == host_ms(report, scenario.length)
    return report


def told(reports: list[Report]) -> Counter[str]:
    names = ("ticks", "ends", "sleeps", "backs", "stalled", "replaces")
    return sum((Counter({name: getattr(one, name) for name in names}) for one in reports), Counter())


def test_troubled_days() -> None:
    total = told([run(troubled(seed)) for seed in range(QUICK)])
    assert total["ticks"] > 80_000
    assert total["ends"] > 50
    assert total["sleeps"] > 50
    assert total["backs"] > 5


@pytest.mark.soak
@pytest.mark.parametrize("first", range(QUICK, QUICK + SOAK, 40))
def test_many_troubled_days(first: int) -> None:
    total = told([run(troubled(seed)) for seed in range(first, first + 40)])
    print(f"days {first} to {first + 39}: " + ", ".join(f"{count} {name}" for name, count in total.items()))
    assert total["ticks"] > 250_000


@pytest.mark.soak
def test_a_troubled_month() -> None:
    total = told([run(troubled(seed, days=30)) for seed in range(3)])
    print("three months: " + ", ".join(f"{count} {name}" for name, count in total.items()))


def test_a_recorded_day() -> None:
    """Two replicas, sleep after 10 minutes, the host ends after 20: it is there when needed, and costs half."""
    requests = day(7)
    assert len(requests) > 150
    scenario = Scenario(24 * HOUR, HOST, REPLICA._replace(do="sleep"), requests)
    report = run(scenario)
    assert report.ends >= 5
    assert report.billed < 0.6 * scenario.length


@st.composite
def spans(draw: st.DrawFn, length: int, shortest: int, longest: int) -> list[Span]:
    begins = draw(st.lists(st.integers(0, length), max_size=3))
    return [Span(begin, begin + draw(st.integers(shortest, longest))) for begin in begins]


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    length = 4 * HOUR
    times = st.integers(0, length - 1)
    ways = st.sampled_from(["whole", "whole", "door", "direct"])
    lengths = st.sampled_from([1, 50, 3 * S, 4 * MINUTE])
    request = st.builds(Request, times, st.integers(0, 1), st.sampled_from([0, 1, 700]), lengths, ways)
    what = st.sampled_from(["restart", "reset", "reload", "wake", "jump"])
    do = draw(st.sampled_from(["stop", "terminate", "suspend"]))
    return Scenario(
        length,
        HOST._replace(after_s=float(draw(st.integers(600, 1800))), do=do),
        REPLICA._replace(after_s=float(draw(st.integers(300, 900))), do=draw(st.sampled_from(["", "sleep"]))),
        draw(st.lists(request, max_size=25)),
        faults=draw(st.lists(st.builds(Fault, times, what, st.integers(0, 1)), max_size=6)),
        sessions=draw(spans(length, 330 * S, HOUR)),
        foreign=draw(spans(length, 330 * S, HOUR)),
        tasks=draw(spans(length, 330 * S, HOUR)),
        controller_dead=draw(spans(length, S, 2 * HOUR)),
        controller_hangs=draw(spans(length, S, 10 * MINUTE)),
        cut=draw(spans(length, S, 30 * MINUTE)),
        switch_dead=draw(spans(length, S, 2 * HOUR)),
        lame=draw(spans(length, S, HOUR)),
        odd=draw(st.sampled_from([0.0, 0.001])),
        keeps=draw(st.booleans()),
        suspends=do == "suspend",
        meets=draw(st.sampled_from([0.0, 0.5])),
        seed=draw(st.integers(0, 1000)),
    )


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=20, deadline=None, database=None, suppress_health_check=SLOW)
@given(scenarios())
def test_any_four_hours(scenario: Scenario) -> None:
    run(scenario)


@pytest.mark.soak
@settings(max_examples=1000, deadline=None, database=None, suppress_health_check=SLOW)
@given(scenarios())
def test_any_four_hours_often(scenario: Scenario) -> None:
    run(scenario)


ALWAYS = [Span(0, 100 * HOUR)]
IDLE_AT = BOOT + LOAD  # a host that nobody asks for anything


def ended(scenario: Scenario) -> float | None:
    """Seconds from falling idle to its end."""
    downs = [at for at, what in run(scenario).events if what == "down"]
    return (downs[0] - IDLE_AT) / S if downs else None


def test_each_alone_is_enough() -> None:
    quiet = Scenario(2 * HOUR, HOST, REPLICA, [])
    by_controller = ended(Scenario(2 * HOUR, HOST, REPLICA, [], switch_dead=ALWAYS))
    by_switch = ended(Scenario(2 * HOUR, HOST, REPLICA, [], controller_dead=ALWAYS))
    assert by_controller is not None
    assert HOST.after_s <= by_controller <= HOST.after_s + 60
    assert by_switch is not None
    assert HOST.after_s + SWITCH_EXTRA_S <= by_switch <= HOST.after_s + 600
    assert ended(quiet) == by_controller
    assert ended(Scenario(2 * HOUR, HOST, REPLICA, [], switch_dead=ALWAYS, controller_dead=ALWAYS)) is None


@pytest.mark.parametrize("who", ["controller", "switch"])
def test_both_dead_for_hours_and_one_comes_back(who: str) -> None:
    dead: dict[str, Any] = {
        "controller_dead": ALWAYS,
        "switch_dead": ALWAYS,
        f"{who}_dead": [Span(10 * MINUTE, 5 * HOUR)],
    }
    took = ended(Scenario(7 * HOUR, HOST, REPLICA, [], **dead))
    assert took is not None
    limit = HOST.after_s + (60 if who == "controller" else 600)
    assert HOST.after_s <= took + IDLE_AT / S - 5 * 3600 <= limit


def test_only_told_and_kept() -> None:
    shadow = run(Scenario(2 * HOUR, HOST._replace(shadow=True), REPLICA, []))
    assert (shadow.ends, shadow.would > 0) == (0, True)
    kept = run(Scenario(2 * HOUR, HOST._replace(kept=True), REPLICA._replace(kept=True, do="sleep"), []))
    assert (kept.ends, kept.sleeps, kept.would) == (0, 0, 0)


def test_never_in_its_hours() -> None:
    hours = HOST._replace(hours="Mon-Fri 00:00-03:00")
    took = ended(Scenario(4 * HOUR, hours, REPLICA, []))
    assert took is not None
    assert 0 <= took + IDLE_AT / S - 3 * 3600 <= 60


@pytest.mark.parametrize(("reload", "goes"), [(10 * MINUTE + 1, 45 * MINUTE), (10 * MINUTE, 10 * MINUTE)])
def test_what_waits_in_an_old_worker_keeps_its_host(reload: int, goes: int) -> None:
    """Until it is answered or given up, or that worker is killed; no engine hears of it."""
    waits = Request(5 * MINUTE, 0, 40 * MINUTE, 0, "door")
    took = ended(
        Scenario(
            3 * HOUR, HOST, REPLICA, [waits], faults=[Fault(reload, "reload", 0)], controller_dead=ALWAYS
        )
    )
    assert took is not None
    least = HOST.after_s + SWITCH_EXTRA_S
    assert least <= took - (goes - IDLE_AT) / S <= least + 60


def test_of_age_only_what_stands_still_is_ended() -> None:
    """One host answers all the time, another hangs: both are too old after an hour."""
    aged = HOST._replace(max_age_s=3600.0)
    works = [Request(at, 0, 0, 11 * MINUTE) for at in range(2 * MINUTE, 6 * HOUR, 10 * MINUTE)]
    report = run(Scenario(6 * HOUR, aged, REPLICA, works))
    assert (report.ends, report.replaces > 0) == (0, True)
    stuck = [Request(10 * MINUTE, 0, 0, 0, "stuck")]
    report = run(Scenario(6 * HOUR, aged, REPLICA, stuck))
    assert report.stalled == 1
    assert report.events[1][0] >= 3600 * S
    late = [Request(90 * MINUTE, 0, 0, 0, "stuck")]
    report = run(Scenario(6 * HOUR, aged, REPLICA, [*works[:9], *late]))
    assert report.stalled == 1
    assert report.events[1][0] >= 90 * MINUTE + STALLED_S * S


def test_of_age_an_engine_without_counters_is_not_ended_in_a_long_answer() -> None:
    """Two hours long, and nothing tells that it goes on."""
    aged = HOST._replace(max_age_s=3600.0)
    long = Request(10 * MINUTE, 0, 0, 2 * HOUR)
    report = run(Scenario(4 * HOUR, aged, REPLICA, [long], uncounted=True))
    assert (report.stalled, report.ends) == (0, 1)
    assert report.events[1][0] >= 2 * HOUR + 10 * MINUTE


def test_nobody_is_ended_who_answers_while_draining() -> None:
    report = run(Scenario(6 * HOUR, HOST, REPLICA._replace(do="sleep"), [], meets=1.0, seed=3))
    assert report.backs >= 5
    assert report.ends == 0
