"""What happens to what is idle, with defaults and inheritance worked out."""

from __future__ import annotations

import pytest

from hostler.node.idle.hours import within
from hostler.stackfile import idling, updating
from hostler.stackfile.config import config_text
from hostler.stackfile.defaults import ends
from hostler.stackfile.rented import is_slot
from hostler.stackfile.sections import Stack

from .cases import loaded

POOLS = """
stack: office
pools:
  desk: [gpu0]
  rack: {hosts: [gpu1, gpu2], idle: {after: 20m, keep: 1, hours: "Mon-Fri 08-18", queue: 8}}
  lab: {hosts: [{address: gpu3, wake: "3c:ec:ef:12:34:56"}], idle: {after: 1h, do: suspend}}
  burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 0-2}
  aged: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, idle: {do: none, max_age: 12h}}
  kept: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 2, idle: {keep: 2}}
  tried: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, idle: {after: 5m, shadow: true}}
  still: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, idle: never}
models:
"""


def stack_of(model: str = "pool: desk") -> Stack:
    return loaded(f'{POOLS}  chat: {{source: "hf:a/b-GGUF", {model}}}\n').stack


@pytest.mark.parametrize(
    ("pool", "does"),
    [
        ("desk", None),
        ("rack", None),  # about the replicas on it
        ("lab", ("suspend", 3600.0)),
        ("burst", ("terminate", 1800.0)),
        ("aged", ("none", 1800.0)),
        ("kept", ("terminate", 1800.0)),
        ("tried", ("terminate", 300.0)),
        ("still", None),
    ],
)
def test_machines(pool: str, does: tuple[str, float] | None) -> None:
    idle = idling.of_pool(stack_of(), pool)
    assert (idle and (idle.do, idle.after)) == does


@pytest.mark.parametrize(
    ("model", "after", "keep"),
    [
        ("pool: desk", None, 0),
        ("pool: rack", 1200.0, 1),
        ("pool: rack, replicas: 3", 1200.0, 1),
        ("pool: rack, idle: 5m", 300.0, 0),
        ("pool: rack, idle: never", None, 0),
        ("pool: rack, replicas: 2, idle: {after: 5m, keep: 2}", 300.0, 2),
        ("pool: desk, idle: 5m", 300.0, 0),
        ("pool: [desk, rack]", 1200.0, 1),
        ("pool: lab", None, 0),  # its machine goes away, not its replica
        ("pool: burst", None, 0),
        ("pool: burst, idle: 5m", 300.0, 0),
    ],
)
def test_replicas(model: str, after: float | None, keep: int) -> None:
    idle = idling.of_model(stack_of(model), "chat")
    assert (idle and (idle.do, idle.after, idle.keep)) == (after and ("sleep", after, keep))


def test_each_pool_has_its_own_say_where_the_model_has_none() -> None:
    stack = stack_of("pool: [desk, rack]")
    assert idling.of_replica(stack, "chat", "desk") is None
    assert idling.of_replica(stack, "chat", "rack") == idling.of_model(stack, "chat")


def test_a_pool_keeps_no_more_replicas_than_there_are() -> None:
    stack = loaded(
        "pools: {rack: {hosts: [gpu1], idle: {keep: 2}}}\n"
        "models: {a: {source: 'hf:a/b', replicas: 3}, b: {source: 'hf:a/b'}}\n"
    ).stack
    kept = [idle.keep for name in "ab" if (idle := idling.of_model(stack, name))]
    assert kept == [2, 1]


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ("Mon-Fri 08-18", "Mon-Fri 08:00-18:00 UTC"),
        ("22-04:30 Europe/Berlin", "22:00-04:30 Europe/Berlin"),
        ("Sat 00:00-24 Etc/GMT-1", "Sat 00:00-24:00 Etc/GMT-1"),
    ],
)
def test_hours_have_minutes_and_a_zone(hours: str, said: str) -> None:
    idle = idling.of_model(stack_of(f'pool: desk, idle: {{hours: "{hours}"}}'), "chat")
    assert idle is not None
    assert idle.hours == said


@pytest.mark.parametrize(
    "hours",
    [
        "Mon-Fri 08-18",
        "Fri-Mon 22:30-04 Europe/Berlin",
        "Sat,Sun 00-24 America/New_York",
        "08-07 Asia/Kolkata",
    ],
)
def test_a_host_reads_the_hours_alike(hours: str) -> None:
    """Each quarter of an hour around two changes of clocks."""
    idle = idling.of_model(stack_of(f'pool: desk, idle: {{hours: "{hours}"}}'), "chat")
    assert idle is not None
    window = updating.window(idle.hours or "")
    for begin in (1774569600.0, 1792713600.0):  # 2026-03-27 and 2026-10-23
        times = [begin + step * 900.0 for step in range(4 * 24 * 10)]
        here = [window.open_until(now) is not None for now in times]
        assert [within(idle.hours or "", now) for now in times] == here
        assert {True, False} == set(here)


@pytest.mark.parametrize(
    ("model", "may"),
    [
        ("pool: desk", False),
        ("pool: rack", False),  # its only replica stays
        ("pool: rack, replicas: 2", True),
        ("pool: rack, idle: 5m", True),
        ("pool: rack, idle: {after: 5m, shadow: true}", False),
        ("pool: rack, idle: {after: 5m, keep: 1}", False),
        ("pool: lab", True),
        ("pool: lab, idle: never", True),  # the machine all the same
        ("pool: burst", True),
        ("pool: [desk, burst]", True),
        ("pool: aged", False),
        ("pool: kept", False),
        ("pool: tried", False),
        ("pool: still", False),
    ],
)
def test_may_it_be_away(model: str, may: bool) -> None:
    stack = stack_of(model)
    assert idling.can_sleep(stack, "chat") is may
    assert (idling.waiting(stack, "chat") is not None) is may


@pytest.mark.parametrize(
    ("model", "queue", "seconds"),
    [
        ("pool: rack, replicas: 2", 8, 300.0),
        ("pool: rack, idle: {queue: 9, for: 1m}", 9, 60.0),
        ("pool: burst", 64, 300.0),
        ("pool: lab, idle: {do: none, for: 10m}", 64, 600.0),
    ],
)
def test_who_waits(model: str, queue: int, seconds: float) -> None:
    idle = idling.waiting(stack_of(model), "chat")
    assert idle is not None
    assert (idle.queue, idle.duration) == (queue, seconds)


RENTED = "{aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 0-1%s}"


@pytest.mark.parametrize(
    ("burst", "model", "more", "wanted"),
    [
        ("", "", "", False),  # the default alone
        (", idle: 30m", "", "", True),
        (", idle: never", "", "", False),
        (", idle: {do: none, max_age: 1d}", "", "", True),
        (", idle: {shadow: true}", "", "", True),
        ("", ", idle: 20m", "", True),
        ("", ", idle: never", "", False),
        ("", "", "budget: 300 USD", True),
        ("", "", "alarms: https://chat.office.example/hook", True),
        ("", "", "updates: weekly", False),
        ("", "", "controller: {page: false}", True),
        (", idle: 30m", "", "controller: none", False),
    ],
)
def test_when_a_controller_is_wanted(burst: str, model: str, more: str, wanted: bool) -> None:
    file = loaded(
        f"pools: {{rack: [gpu1], burst: {RENTED % burst}}}\n"
        f'models: {{chat: {{source: "hf:a/b-GGUF", pool: rack{model}}}}}\n{more}\n'
    )
    assert idling.controlled(file.stack) is wanted
    assert idling.controlled(loaded(config_text(file)).stack) is wanted


@pytest.mark.parametrize(
    ("more", "controller", "page"),
    [
        ("", False, False),
        ("updates: weekly", True, False),
        ("budget: 300 USD", True, True),
        ("controller: {page: false}", True, False),
        ("controller: {}", True, True),
        ("controller: none", False, False),
    ],
)
def test_a_controller_and_its_page(more: str, controller: bool, page: bool) -> None:
    stack = loaded(f"pools: {{rack: [gpu1]}}\nmodels: {{chat: 'hf:a/b-GGUF'}}\n{more}\n").stack
    assert idling.has_controller(stack) is controller
    assert idling.has_page(stack) is page


def test_where_the_gateway_may_be_nothing_ends() -> None:
    """A gateway on a rented host may go to another pool when the file's order changes; both stay."""
    stays = "{aws: {regions: [eu-central-1], instances: [g5.xlarge]}}"
    stack = loaded(
        f"pools: {{a: {stays}, b: {stays}}}\nmodels: {{chat: {{source: 'hf:a/b', pool: a}}}}\n"
    ).stack
    assert [idling.of_pool(stack, name) for name in "ab"] == [None, None]
    assert not any(ends(pool) for pool in stack.pools.values())
    named = loaded(
        f"pools: {{a: {stays}, b: {stays}}}\nmodels: {{chat: {{source: 'hf:a/b', pool: a}}}}\ngateway: {{host: b-0}}\n"
    ).stack
    assert is_slot(named.gateway.host or "", "b")
    assert [bool(idling.of_pool(named, name)) for name in "ab"] == [True, False]


def test_how_a_host_is_woken() -> None:
    wake = idling.wake_of(stack_of(), "gpu3")
    assert wake is not None
    assert wake.mac == "3c:ec:ef:12:34:56"
    assert idling.wake_of(stack_of(), "gpu1") is None
    assert idling.wake_of(stack_of(), "burst-0") is None
