"""The way back from a successor: what stays, and what goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.hosts.types import Slot
from hostler.record import store
from hostler.record.types import Before, Journal, Record
from hostler.rollout import turns
from hostler.rollout.rented import Turn
from worlds import configure_world as world
from worlds.rented_world import Sky, at_home, cloud, host

OLD, NEW = Slot(name="burst-0", pool="burst", state="retiring"), Slot(name="burst-1", pool="burst")
BEFORE = world.placement("gpu-1", "burst-0").replicas
JOURNAL = Journal(
    run="r",
    stage="apply",
    release=1,
    who="x",
    since=1.0,
    file="f",
    before=Before(replicas=BEFORE, applied="x"),
)
BEGUN = at_home(
    slots={"burst-0": OLD, "burst-1": NEW},
    replicas=world.placement("gpu-1", "burst-1").replicas,
    journal=JOURNAL,
)
WAY = Turn(keep=("burst-0",), drop=("burst-1",))


@pytest.mark.parametrize(
    ("record", "turn"),
    [
        (BEGUN, WAY),
        (replace(BEGUN, journal=None), Turn()),
        (replace(BEGUN, replicas=BEFORE), Turn(keep=("burst-0",))),  # nothing stands on the other one yet
        (replace(BEGUN, slots={"burst-0": replace(OLD, state="wanted"), "burst-1": NEW}), Turn()),
        (
            replace(BEGUN, slots={"burst-0": OLD, "burst-1": replace(NEW, pool="more")}),
            Turn(keep=("burst-0",)),
        ),
    ],
)
def test_which_stay_and_which_go(record: Record, turn: Turn) -> None:
    assert turns.back(record) == turn


@pytest.mark.parametrize("aws", [True, False])
def test_what_stays_is_a_host_again(monkeypatch: pytest.MonkeyPatch, aws: bool) -> None:
    """Also for the controller, which has no rights to ask AWS while it updates."""
    sky = Sky(monkeypatch)
    machine = replace(cloud().rented["burst-0"], slot="burst-1", id="i-2")
    other = replace(host("203.0.113.10", "ssh-ed25519 TWO"), name="burst-1")
    sky.aws = cloud(rented={**cloud().rented, "burst-1": machine}, hosts={**cloud().hosts, "burst-1": other})
    record = replace(BEGUN, hosts={**BEGUN.hosts, "burst-1": other})
    sky.answers("gpu-1", uid=world.UID, record=store.dump(record))
    sky.look()
    if not aws:
        sky.expire()
    assert [one.name for one in sky.look(turn=None).hosts if not one.owned] == ["burst-1"]
    found = sky.look(turn=WAY)
    assert [one.name for one in found.hosts if not one.owned] == ["burst-0"]
    assert found.record
    assert {name: one.state for name, one in found.record.slots.items()} == {
        "burst-0": "wanted",
        "burst-1": "retiring",
    }
