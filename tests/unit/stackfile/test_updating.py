"""When a window is open, how often something is taken, and what a section of updates cannot mean."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hostler.errors import StackFileError
from hostler.stackfile import updating
from hostler.stackfile.load import loads
from hostler.stackfile.outside import Updates

STACK = """
stack: office
pools: {rack: [10.0.0.1]}
models: {chat: "hf:acme/tiny:Q4_1", fast: "hf:acme/small:Q4_1"}
secrets: {HOOK: env}
updates: {%s}
"""


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("window", "when", "is_open"),
    [
        ("Sun 03:00-05:00 UTC", "2026-11-29T03:00", True),  # a Sunday
        ("Sun 03:00-05:00 UTC", "2026-11-29T04:59:59", True),
        ("Sun 03:00-05:00 UTC", "2026-11-29T05:00", False),
        ("Sun 03:00-05:00 UTC", "2026-11-30T04:00", False),
        ("03:00-05:00", "2026-11-30T04:00", True),  # every day, UTC
        ("Mon-Fri 22:00-04:00 UTC", "2026-11-28T03:00", True),  # Friday's, after midnight
        ("Mon-Fri 22:00-04:00 UTC", "2026-11-29T03:00", False),
        ("Fri-Mon 01:00-02:00 UTC", "2026-11-30T01:30", True),
        ("Sat,Mon 01:00-02:00 UTC", "2026-11-29T01:30", False),
        ("00:00-00:00 UTC", "2026-11-29T23:59", True),  # the whole day
        ("Mon-Fri 08-18", "2026-11-30T17:59", True),
        ("Mon-Fri 08-18", "2026-11-30T18:00", False),
        ("Mon 18:30-24", "2026-11-30T23:59", True),
    ],
)
def test_when_a_window_is_open(window: str, when: str, is_open: bool) -> None:
    assert (updating.window(window).open_until(at(when)) is not None) is is_open


def test_a_window_follows_the_clock_of_its_zone() -> None:
    """On 2026-03-29 Berlin's clocks go from 02:00 to 03:00; on 2026-10-25 from 03:00 back to 02:00."""
    berlin = updating.window("Sun 03:00-05:00 Europe/Berlin")
    assert berlin.open_until(at("2026-03-29T01:00")) == at("2026-03-29T03:00")
    assert berlin.open_until(at("2026-03-29T00:59")) is None
    assert berlin.open_until(at("2026-10-25T02:00")) == at("2026-10-25T04:00")
    assert berlin.open_until(at("2026-11-29T02:00")) == at("2026-11-29T04:00")


def test_when_it_opens_next() -> None:
    window = updating.window("Sun 03:00-05:00 UTC")
    assert window.opens(at("2026-11-30T00:00")) == at("2026-12-06T03:00")
    assert window.opens(at("2026-11-29T04:00")) == at("2026-11-29T04:00")
    assert window.opens(at("2026-11-29T05:00")) == at("2026-12-06T03:00")


@pytest.mark.parametrize(
    ("word", "days", "due"),
    [
        ("weekly", 7.0, True),
        ("weekly", 6.9, True),  # the window of the next week, on the day on which clocks change
        ("weekly", 6.0, False),
        ("daily", 0.9, True),
        ("daily", 0.5, False),
        ("monthly", 28.0, True),
        ("monthly", 27.0, False),
        ("report", 100.0, False),
        ("never", 100.0, False),
    ],
)
def test_how_often_it_is_taken(word: str, days: float, due: bool) -> None:
    assert updating.due(word, 1e9, 1e9 + days * 86400) is due


def test_the_order_is_the_users_then_by_name() -> None:
    assert updating.ordered(["a", "b", "c"], Updates(order=("c",))) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("engines: weekly", True),
        ("models: daily", True),
        ("engines: report", False),
        ("notify: [https://chat.office.example/hook?x=1]", True),
    ],
)
def test_when_a_controller_is_wanted(section: str, wanted: bool) -> None:
    assert updating.unattended(loads((STACK % section).encode(), "office.yaml").stack.updates) is wanted


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("window: 'Sun 03:00-05:00 Europe/Berlinn'", "no time zone Europe/Berlinn"),
        ("window: '03:00-03:10 UTC'", "in which nothing could be begun"),
        ("window: 'Sun 3-5'", "days, times and a time zone"),
        ("order: [chta]", "did you mean chat?"),
        ("notify: [{url: https://a.example/x, command: logger}]", "one of url, secret, command"),
        ("notify: [chat.office.example]", "begins with https://"),
        ("notify: [{secret: HOOKS}]", "HOOKS, which is not there"),
    ],
)
def test_what_it_cannot_mean(section: str, said: str) -> None:
    with pytest.raises(StackFileError, match=r"updates") as caught:
        loads((STACK % section).encode(), "office.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("pools", "section", "said"),
    [
        (
            "{burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge], spot: never}, count: 1}}",
            "engines: weekly",
            "where the gateway is rented",
        ),
        (
            "{burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge], spot: never}, count: 1}}",
            "engines: report",
            "",
        ),
        (
            "{rack: {hosts: [10.0.0.1], downloads: operator}}",
            "models: weekly",
            "through the machine of a person",
        ),
        ("{rack: {hosts: [10.0.0.1], downloads: operator}}", "engines: weekly", ""),
    ],
)
def test_what_the_controller_cannot_do(pools: str, section: str, said: str) -> None:
    text = STACK.replace("{rack: [10.0.0.1]}", pools) % section
    if not said:
        assert loads(text.encode(), "office.yaml")
        return
    with pytest.raises(StackFileError) as caught:
        loads(text.encode(), "office.yaml")
    assert said in str(caught.value)
