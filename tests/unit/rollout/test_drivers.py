"""Hosts that get a driver before anything is planned."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import nvidia
from hostler.console.out import Out
from hostler.errors import HostError, LockedError, RefusedError
from hostler.hosts.trouble import AgentError
from hostler.hosts.types import Absent, Driver, Seen, Ssh, Value
from hostler.manifest.items import Effect
from hostler.rollout import apply, drivers
from hostler.rollout.observe import Observation
from hostler.rollout.up import Options
from worlds import configure_world as world

READY = Value({"health": 200, "draining": False}, world.AT)


def host(number: int, state: str = "working", mark: str = "", **more: Any) -> Seen:
    driver = Driver(state=state, version="580.1" if state == "working" else "")  # type: ignore[arg-type]
    found = world.facts(number, driver=driver, **more)
    marked = {f"path:{nvidia.MARK}": Value({"type": "file", "text": f"{mark}\n"}, world.AT)} if mark else {}
    seen = world.bare(number, facts=found)
    return replace(seen, observed={**seen.observed, **marked})


def look(*seen: Seen, record: Any = None, **change: Any) -> Observation:
    hosts = world.hosts()
    found = Observation(
        file=world.stack(),
        hosts=hosts,
        gone=(),
        seen={one.host: one for one in seen},
        record=record or world.record(),
        gateway=hosts[0],
    )
    return replace(found, **change)


@pytest.mark.parametrize(
    ("seen", "is_due"),
    [
        (host(2), False),
        (host(2, "none"), False),
        (host(2, "missing"), True),
        (host(2, "broken"), False),
        (host(2, "broken", mark="boot"), True),
        (host(2, "broken", mark="another boot"), False),
        (host(2, mark="boot"), False),
        (world.dead(2), False),
    ],
    ids=["works", "no cards", "missing", "broken", "waits", "did not help", "works already", "off"],
)
def test_who_is_due(seen: Seen, is_due: bool) -> None:
    assert [one.name for one in drivers.due(look(host(1), seen))] == ["gpu-2"] * is_due


def test_this_machine_is_not_rebooted() -> None:
    mine = replace(world.hosts()[1], ssh=Ssh(address="local"))
    assert drivers.due(look(host(1), host(2, "missing"), hosts=(world.hosts()[0], mine))) == ()


def test_the_plan_is_of_the_driver_alone_and_reboots() -> None:
    bare = host(2, "missing")
    names = ("nvidia-open", "nvidia-driver-pinning-580", "linux-headers-6.1")
    nothing = {f"package:{name}": Absent(world.AT) for name in names}
    observation = look(host(1), replace(bare, observed={**bare.observed, **nothing}))
    made = drivers.plan(observation, drivers.due(observation))
    assert {change.host for change in made.changes} == {"gpu-2"}
    reboots = [c.item for c in made.changes if c.effect is Effect.REBOOT]
    assert set(reboots) == {
        "package:nvidia-open",
        "package:nvidia-driver-pinning-580",
        "package:linux-headers-6.1",
        "host:gpu-2",
    }
    assert "docker.io" not in {package.name for package in made.manifests["gpu-2"].packages}
    assert made.downtime_s == {}


def test_nothing_is_rebooted_in_vain() -> None:
    """What would stop the plan after it stops this one."""
    observation = look(host(1, "broken"), host(2, "missing"))
    made = drivers.plan(observation, drivers.due(observation))
    assert [n.where for n in made.notices if n.level == "refuse"] == ["gpu-1"]
    assert made.notices[-1].text == drivers.LATER


def test_not_even_for_a_public_door_or_a_host_of_another_stack() -> None:
    public = replace(host(1), facts=world.facts(1, addresses=("8.8.8.8",)))
    observation = look(public, host(2, "missing"))
    assert "public address" in refusals(observation)
    with pytest.raises(LockedError):
        refusals(look(replace(host(1), uid="another"), host(2, "missing")))


def refusals(observation: Observation) -> str:
    made = drivers.plan(observation, drivers.due(observation))
    return "; ".join(notice.text for notice in made.notices if notice.level == "refuse")


def test_a_reboot_that_stops_containers_of_others_needs_more_than_yes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observation = look(host(1), host(2, "missing", docker_foreign=7))
    waiting = drivers.due(observation)
    warned = [n.text for n in drivers.plan(observation, waiting).notices if n.level == "warning"]
    assert "the reboot stops 7 containers of others" in warned
    monkeypatch.setattr(drivers, "asked", lambda found, _: found)
    done: list[bool] = []
    monkeypatch.setattr(drivers, "_apply", lambda *_, cut: done.append(cut))
    with pytest.raises(RefusedError, match="7 of others"):
        drivers.install(observation, waiting, quiet(), Options(yes=True))
    assert drivers.install(observation, waiting, quiet(), Options(yes=True, allow_downtime=True))
    assert done == [False]


def quiet(as_json: bool = False) -> Out:
    return Out(as_json=as_json, stdout=io.StringIO(), stderr=io.StringIO())


def test_with_json_the_plan_before_the_plan_is_told_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    observation = look(host(1), host(2, "missing"))
    monkeypatch.setattr(drivers, "asked", lambda found, _: found)
    monkeypatch.setattr(drivers, "_apply", lambda *_, **__: None)
    out = quiet(as_json=True)
    drivers.install(observation, drivers.due(observation), out, Options(yes=True))
    assert "package:nvidia-open" in out.stderr.getvalue()  # type: ignore[attr-defined]
    assert out.stdout.getvalue() == ""  # type: ignore[attr-defined]


class Run:
    """A session whose drains are refused from one replica on."""

    def __init__(self, busy: str) -> None:
        self.busy, self.done = busy, list[str]()
        self.out = quiet()

    def call(self, _host: str, op: str, _limit: float = 0, **request: Any) -> dict[str, Any]:
        self.done.append(f"{op} {request['id']}")
        if op == "drain" and request["id"] == self.busy:
            error = AgentError.of("gpu-1", expected="calm", got="in flight", next_step="--cut")
            error.rc = apply.REFUSED
            raise error
        return {"changed": True}


def test_replicas_that_cannot_be_drained_serve_on() -> None:
    run: Any = Run("chat-1")
    with pytest.raises(RefusedError):
        drivers.drain(run, world.placement().replicas, cut=False)
    assert run.done == ["drain chat-0", "drain chat-1", "undrain chat-0", "undrain chat-1"]


def test_cut_is_cut() -> None:
    run: Any = Run("chat-0")
    drivers.drain(run, world.placement().replicas, cut=True)
    assert run.done == ["drain chat-0", "drain chat-1"]


def test_one_that_was_begun_is_gone_on_with() -> None:
    """Killed after the packages, perhaps amid them: nvidia-smi is there by then, and does not answer."""
    observation = look(host(1), host(2, "broken", mark="boot"))
    made = drivers.plan(observation, drivers.due(observation))
    assert "nvidia-open" in {package.name for package in made.manifests["gpu-2"].packages}
    assert "host:gpu-2" in {change.item for change in made.changes}


def test_half_a_driver_of_somebody_else_is_not_gone_on_with() -> None:
    facts = world.facts(2, driver=Driver(state="broken", half=("nvidia-open",)))
    assert nvidia.obstacle(facts)
    assert not nvidia.obstacle(facts, begun=True)
    assert nvidia.obstacle(world.facts(2, driver=Driver(state="broken", runfile=True)), begun=True)


def serving(number: int, replica: str, state: str) -> Seen:
    seen = host(number, state)
    routes = {f"route:chat-{i}": Value({"status": "UP"}, world.AT) for i in range(2)}
    return replace(seen, observed={**seen.observed, f"replica:{replica}": READY, **routes})


@pytest.mark.parametrize(
    ("states", "places", "cut"),
    [
        (("working", "missing"), ("gpu-1", "gpu-2"), set[str]()),
        (("working", "missing"), ("gpu-2",), {"chat"}),
        (("missing", "working"), ("gpu-1", "gpu-2"), {"chat"}),
    ],
    ids=["another serves", "its only one", "the gateway's host"],
)
def test_who_cannot_answer_meanwhile(states: tuple[str, str], places: tuple[str, ...], cut: set[str]) -> None:
    record = world.record(replicas=world.placement(*places).replicas)
    ids = {place: f"chat-{i}" for i, place in enumerate(places)}
    seen = [serving(i, ids.get(f"gpu-{i}", "none"), states[i - 1]) for i in (1, 2)]
    observation = look(*seen, record=record)
    assert set(drivers.downtime(observation, drivers.due(observation))) == cut


def test_a_driver_that_does_not_come_up_is_said() -> None:
    rebooted = world.hosts()[1:]
    assert drivers.proved(look(host(1), host(2)), rebooted)
    with pytest.raises(HostError) as error:
        drivers.proved(look(host(1), host(2, "broken")), rebooted)
    assert [(p.where, p.got) for p in error.value.problems] == [("gpu-2", "broken: ")]
