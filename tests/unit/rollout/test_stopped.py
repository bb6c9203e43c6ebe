"""Machines that stop when they are idle keep their disks: parked, no drift, and started again instead of rented."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler import operator
from hostler.cloud import live
from hostler.cloud.types import Rented
from hostler.console import slots as slot_rows
from hostler.console.out import Out
from hostler.hosts.types import Slot, Value
from hostler.provision.types import ProvisionChange, ProvisionPreview
from hostler.record import store
from hostler.rollout import (
    ending,
    givenback,
    networks,
    observe,
    rented,
    renting,
    slots,
    starting,
    sweep,
    wishing,
)
from hostler.rollout.observe import Observation
from hostler.rollout.rented import Cloud, Turn
from worlds import configure_world as world
from worlds.rented_world import HYBRID, SLOTS, Sky, at_home, cloud

STOPS = HYBRID.replace("count: 0-2", "count: 0-2, idle: {after: 20m, do: stop}")
SHADOW = STOPS.replace("do: stop", "do: stop, shadow: true")
ENDS = HYBRID.replace("count: 0-2", "count: 0-2, idle: {after: 20m, do: terminate}")
PARKED = {**SLOTS, "burst-0": replace(SLOTS["burst-0"], state="parked", given_back=True, stopped=True)}


def one(state: str = "stopped", by: str = live.BY_ITSELF) -> Cloud:
    machine = replace(cloud().rented["burst-0"], state=state, public_ip="", stopped_by=by)
    return cloud(rented={"burst-0": machine})


STOPPED = one()


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return operator.stack_home("office")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Sky:
    return Sky(monkeypatch)


def decided(
    found: Cloud, text: str = STOPS, known: dict[str, Slot] | None = None, turn: Turn | None = None
) -> Cloud:
    record = at_home(slots=known or SLOTS)
    return rented.decided(world.stack(text), found, record, turn or Turn())


@pytest.mark.parametrize("state", ["stopped", "stopping"])
def test_one_that_stopped_itself_is_parked_with_its_machine(state: str) -> None:
    found = decided(one(state))
    slot = found.slots.slots["burst-0"]
    assert (slot.state, slot.given_back, slot.stopped, slot.machine) == ("parked", True, True, "i-1")
    assert (found.gave, found.slots.fill, found.slots.retire) == ({"burst-0": live.BY_ITSELF}, (), ())
    assert (found.resting, dict(found.in_use), dict(found.hosts)) == (("burst-0",), {}, {})


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (one(by="Client.UserInitiatedShutdown"), STOPS),  # by hand, in the console
        (one(by="Server.ScheduledStop"), STOPS),
        (one(), ENDS),
        (one(), SHADOW),
        (replace(one(), documents={}), STOPS),  # nobody met it
        (replace(one(), home="burst-0"), STOPS),
    ],
)
def test_any_other_that_is_stopped_is_started_again(found: Cloud, text: str) -> None:
    after = decided(found, text)
    assert (after.gave, after.slots.of("wanted"), tuple(after.in_use)) == ({}, ("burst-0",), ("burst-0",))


def seen(there: Sky, text: str = STOPS, turn: Turn | None = None) -> Observation:
    return observe.observe(world.stack(text), pulumi=False, turn=turn)


def recorded(there: Sky, known: dict[str, Slot]) -> None:
    there.answers("gpu-1", uid=world.UID, record=store.dump(at_home(slots=known)))


def test_nobody_is_asked_and_nothing_is_due(there: Sky) -> None:
    there.aws = STOPPED
    recorded(there, PARKED)
    found = seen(there)
    assert [host.name for host in found.hosts] == ["gpu-1", "gpu-2", "burst-0"]  # its replica keeps its place
    assert found.gone == ()
    assert found.seen["burst-0"].parked
    assert {name for name, _ in there.asked} == {"gpu-1", "gpu-2"}
    assert not renting.due(found)
    observe.refuse_unreached(found.seen)
    stopped, parked = slots.notices(found)
    assert (stopped.level, "burst-0 (its disk costs" in stopped.text) == ("note", True)
    assert "burst-0" not in parked.text
    assert slot_rows.rows(found.cloud.slots.slots, found.cloud.rented)[0]["state"] == "parked, stopped"  # type: ignore[union-attr]


def test_where_nothing_stands_on_it_it_is_no_host(there: Sky) -> None:
    there.aws = STOPPED
    there.answers("gpu-1", uid=world.UID, record=store.dump(at_home(slots=PARKED, replicas=())))
    found = seen(there)
    assert ([host.name for host in found.hosts], found.gone) == (["gpu-1", "gpu-2"], ())
    assert "burst-0" not in found.seen


@pytest.mark.parametrize("turn", [Turn(wake=("burst",)), Turn(need=("burst-0",))])
def test_it_is_woken_by_its_pool_or_by_a_request(there: Sky, turn: Turn) -> None:
    there.aws = STOPPED
    recorded(there, PARKED)
    found = seen(there, turn=turn)
    assert renting.due(found)
    assert not found.seen["burst-0"].reached
    assert found.cloud
    assert "burst-0" in found.cloud.in_use
    assert "burst-0" not in found.cloud.slots.fill  # it is not rented anew
    notes = [note.text for note in slots.notices(found) if note.where == "burst-0"]
    assert notes == ["i-1 is started again: it costs again"]
    # between its start and the record
    there.aws = cloud()
    there.answers("burst-0", uid=world.UID)
    again = seen(there, turn=turn)
    assert (again.seen["burst-0"].reached, renting.due(again)) == (True, bool(turn.wake))
    assert [host.name for host in again.hosts if not host.owned][:1] == ["burst-0"]


def test_one_that_stopped_itself_is_started_by_its_pools_name_before_anybody_wrote_it_down(
    there: Sky,
) -> None:
    there.aws = STOPPED
    found = seen(there, turn=Turn(wake=("burst",)))
    notes = [(note.level, note.text) for note in slots.notices(found) if note.where == "burst-0"]
    assert notes == [("note", "i-1 stopped itself; it is started again, and costs again")]


def test_what_somebody_started_is_said_and_left(there: Sky) -> None:
    """Or a run that was cut short: it stops itself again, as any idle one."""
    there.aws = cloud()
    recorded(there, PARKED)
    found = seen(there)
    assert found.gone == ()
    assert not renting.due(found)
    notes = [note for note in slots.notices(found) if note.where == "burst-0"]
    assert [note.level for note in notes] == ["warning"]


@pytest.mark.parametrize("text", [STOPS, ENDS])
def test_by_hand_it_is_drained_then_stopped(there: Sky, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(live, "stop", lambda machines, _: done.extend(f"stop {one.slot}" for one in machines))
    monkeypatch.setattr(wishing, "fleet_of", lambda *_: None)
    monkeypatch.setattr(renting, "_without", lambda _o, _c, _f, kept: done.append(f"keep {len(kept)}"))
    there.answers("burst-0", uid=world.UID)
    found = seen(there, text, Turn(park=("burst",)))
    assert [host.name for host in found.gone] == ["burst-0"]
    change = slots.leaves("burst-0", found)
    renting.contract(found, Out(stderr=StringIO()), ("burst-0",))
    if text is STOPS:
        assert (done, change.then) == (["stop burst-0"], "drained, then stopped")
        assert found.cloud
        assert found.cloud.slots.slots["burst-0"].stopped
    else:
        assert (done, change.then) == (["keep 0"], "drained, then ended")


def test_one_that_does_not_answer_is_not_stopped(there: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Rented] = []
    monkeypatch.setattr(live, "stop", lambda machines, _: done.extend(machines))
    said = StringIO()
    renting.contract(seen(there, STOPS, Turn(park=("burst",))), Out(stderr=said), ("burst-0",))
    assert done == []
    assert "burst-0 does not answer" in said.getvalue()


@pytest.mark.parametrize("text", [STOPS, ENDS])
def test_one_that_answers_only_since_is_not_ended_undrained(
    there: Sky, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was silent when this run began, so nobody asked it what it answers."""
    done: list[str] = []
    monkeypatch.setattr(live, "stop", lambda machines, _: done.extend(one.slot for one in machines))
    monkeypatch.setattr(renting, "_without", lambda *_: done.append("ended"))
    there.answers("burst-0", uid=world.UID)
    renting.contract(seen(there, text, Turn(park=("burst",))), Out(stderr=StringIO()), ("gpu-1",))
    assert done == []


def test_pulumi_finds_nothing_wrong_with_it(there: Sky) -> None:
    there.aws = STOPPED
    recorded(there, PARKED)
    found = seen(there)
    assert found.cloud
    stopped = ProvisionChange(name="burst-0", urn="", op="refresh", kind="slot", details=("stopped outside",))
    renewed = ProvisionChange(name="burst-0", urn="", op="update", kind="slot", details=("tags",))
    other = ProvisionChange(name="burst-1", urn="", op="refresh", kind="slot", details=("stopped outside",))
    left = wishing.without_ended(found.cloud, ProvisionPreview(changes=(stopped, renewed, other)))
    assert left.changes == (renewed, other)


@pytest.mark.parametrize(("known", "by"), [(None, live.BY_ITSELF), (PARKED, "Client.UserInitiatedShutdown")])
def test_that_it_is_started_is_a_change_and_nobodys_fault(known: Any, by: str, there: Sky) -> None:
    there.aws = one(by=by)
    recorded(there, known or SLOTS)
    found = seen(there, turn=Turn(wake=("burst",)))
    assert found.cloud
    stopped = ProvisionChange(name="burst-0", urn="", op="refresh", kind="slot", details=("stopped outside",))
    (change,) = wishing.without_ended(found.cloud, ProvisionPreview(changes=(stopped,)), known).changes
    assert change.details == ("stopped while its slot was parked, or by itself; started again",)


@pytest.mark.parametrize("text", [ENDS, STOPS.replace("100 GiB", "200 GiB"), world.STACK])
def test_one_that_is_not_wanted_any_more_goes_without_a_start(
    there: Sky, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(wishing, "fleet_of", lambda *_: None)
    monkeypatch.setattr(renting, "_without", lambda _o, _c, _f, kept: done.append(f"keep {len(kept)}"))
    monkeypatch.setattr(live, "live", lambda machines: {one.slot: one for one in machines})
    there.aws = STOPPED
    kept = {**PARKED, "burst-0": replace(PARKED["burst-0"], disk_gib=100)}
    recorded(there, kept)
    found = seen(there, text)
    assert [host.name for host in found.gone] == ["burst-0"]
    assert not renting.due(found)
    renting.contract(found, Out(stderr=StringIO()), ("burst-0",))
    assert done == ["keep 0"]
    observe.refuse_unreached(found.seen)
    assert {name for name, _ in there.asked} == {"gpu-1", "gpu-2"}


@pytest.mark.parametrize("word", ["asleep", "ready", "loading", "silent"])
def test_it_is_waited_for_until_its_engines_serve(
    there: Sky, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(live, "start", lambda machines, _: begun.extend(one.slot for one in machines))
    monkeypatch.setattr(live, "live", lambda machines: {one.slot: back for one in machines})
    back = replace(one("running").rented["burst-0"], public_ip="203.0.113.10")
    for name, value in (("EVERY_S", 0.01), ("READY_S", 0.3), ("LOAD_S", 0.3), ("BEGIN_S", 0.3)):
        monkeypatch.setattr(starting, name, value)
    there.aws = STOPPED
    recorded(there, PARKED)
    found = seen(there, turn=Turn(wake=("burst",)))
    assert found.cloud
    there.asked.clear()
    looks = {"asleep": {"asleep": {"state": "asleep"}}, "ready": {"health": 200}, "loading": {"health": 503}}
    if word in looks:
        said = Value({"health": None, **looks[word]}, 0.0)
        replica = next(r.id for r in at_home().replicas if r.members[0].host == "burst-0")
        there.answers("burst-0", uid=world.UID, observed={f"replica:{replica}": said})
    starting.start(found, found.cloud, Out(stderr=StringIO()))
    assert begun == ["burst-0"]
    times = there.asked.count(("burst-0", "203.0.113.10"))  # where it is now
    assert times == len(there.asked)  # nobody else is asked
    assert (times == 1) == (word in ("asleep", "ready"))


def test_one_that_ends_while_it_starts_is_waited_for_no_more(
    there: Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "start", lambda *_: None)
    monkeypatch.setattr(live, "live", lambda _: {})
    there.aws = STOPPED
    recorded(there, PARKED)
    found = seen(there, turn=Turn(wake=("burst",)))
    assert found.cloud
    there.asked.clear()
    starting.start(found, found.cloud, Out(stderr=StringIO()))
    assert there.asked == []


@pytest.mark.parametrize("runs", [True, False])
def test_one_that_somebody_started_meanwhile_is_not_ended(
    there: Sky, runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(wishing, "fleet_of", lambda *_: None)
    monkeypatch.setattr(renting, "_without", lambda _o, _c, _f, kept: done.append(f"keep {len(kept)}"))
    now = {"burst-0": replace(STOPPED.rented["burst-0"], state="running" if runs else "stopped")}
    monkeypatch.setattr(live, "live", lambda _: now)
    there.aws = STOPPED
    recorded(there, PARKED)
    said = StringIO()
    renting.contract(seen(there, ENDS), Out(stderr=said), ("burst-0",))
    assert (done, "does not answer" in said.getvalue()) == (([], True) if runs else (["keep 0"], False))


def test_what_nobody_wrote_down_is_written_where_nothing_is_to_be_done(
    there: Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sleep` of what was stopped already; a wake that was cut short after the start."""
    kept: list[Any] = []

    @contextmanager
    def session(record: Any, *_: Any, **__: Any) -> Any:
        yield SimpleNamespace(record=record, commit=kept.append)

    monkeypatch.setattr(givenback, "session", session)
    there.aws = one(by="Client.UserInitiatedShutdown")
    givenback.note(seen(there, turn=Turn(park=("burst",))), Out(stderr=StringIO()))
    assert (kept[-1].slots["burst-0"].state, kept[-1].slots["burst-0"].stopped) == ("parked", True)
    there.aws = cloud()
    there.answers("burst-0", uid=world.UID)
    recorded(there, PARKED)
    givenback.note(seen(there, turn=Turn(need=("burst-0",))), Out(stderr=StringIO()))
    assert (kept[-1].slots["burst-0"].state, kept[-1].slots["burst-0"].stopped) == ("wanted", False)
    recorded(there, SLOTS)
    givenback.note(seen(there), Out(stderr=StringIO()))
    assert len(kept) == 2


def test_down_waits_for_nobody_there(there: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    there.aws = STOPPED
    recorded(there, PARKED)
    monkeypatch.setattr(ending, "session", None)  # nobody is drained
    ending.drain(seen(there), Out(stderr=StringIO()), cut=False)


def test_its_machine_and_disk_are_no_strays() -> None:
    held: Any = (SimpleNamespace(id="i-1", part_of=""), SimpleNamespace(id="vol-1", part_of="i-1"))
    kept = {**PARKED, "burst-0": replace(PARKED["burst-0"], machine="i-1")}
    assert sweep.unrecorded(held, at_home(slots=kept)) == ()
    ended = {**kept, "burst-0": replace(kept["burst-0"], stopped=False)}
    assert sweep.unrecorded(held, at_home(slots=ended)) == held


@pytest.mark.parametrize(
    ("owners", "expected"), [(("", "ada@desk"), "ada@desk"), (("eve@x", "ada@desk"), "eve@x"), ((), "")]
)
def test_what_is_rented_stays_whose_it_is(owners: tuple[str, ...], expected: str) -> None:
    """The controller's run for a request would be a change of every tag, and the next person's another one."""
    one = cloud().rented["burst-0"]
    found = cloud(rented={f"burst-{n}": replace(one, owner=who) for n, who in enumerate(owners)})
    assert wishing.owner(found) == (expected or networks.owner())
