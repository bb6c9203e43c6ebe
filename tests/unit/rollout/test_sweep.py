"""Strays: told with what they cost, ended only as they were planned, and unknown where AWS does not say."""

from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cloud import account, prices, removal
from hostler.cloud.trouble import AwsError
from hostler.cloud.types import Holding, Price
from hostler.console.out import Out
from hostler.errors import HostlerError
from hostler.hosts.types import Slot
from hostler.rollout import planning, rented, strays, sweep, up
from hostler.rollout.sweep import Beside, Stray, Swept
from worlds import configure_world as world
from worlds.rented_world import EXPIRED, HYBRID, Sky, at_home, cloud

NOW = 1_000_000_000.0
DAY = 86400.0
FILE = world.stack(HYBRID)


def thing(name: str, kind: str = "instance", **more: Any) -> Holding:
    found = {
        "uid": world.UID,
        "lease": NOW - 60,
        "what": "g5.xlarge",
        "market": "on-demand",
        "slot": "burst-7",
    } | more
    return Holding(region="eu-west-1", kind=kind, id=name, **found)


STRAY, DISK, YOUNG, OWN, OTHERS, BUCKET = (
    thing("i-7"),
    thing("vol-7", "volume", what="100", market="", part_of="i-7"),
    thing("i-8", lease=NOW + 3600),
    thing("i-1", slot="burst-0"),
    thing("i-9", uid="another"),
    thing("hostler-x", "bucket"),
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sweep.time, "time", lambda: NOW)
    monkeypatch.setattr(account, "holdings", lambda *_, **__: (STRAY, DISK, YOUNG, OWN, OTHERS, BUCKET))
    state = SimpleNamespace(export=lambda: {"resources": [{"id": "i-1"}, {"urn": "a stack"}]})
    monkeypatch.setattr(rented, "fleet_of", lambda *_, **__: state)
    monkeypatch.setattr(prices, "on_demand", lambda *_: Price(amount=1.21, source="AWS price list, today"))


def ids(found: tuple[Holding, ...]) -> list[str]:
    return [one.id for one in found]


def test_what_the_state_or_the_lease_knows_is_no_stray() -> None:
    assert ids(sweep.listed(FILE, cloud(), world.UID)) == ["i-7", "vol-7"]
    assert sweep.listed(FILE, cloud(), "") == ()


@pytest.mark.parametrize(("state", "left"), [("wanted", []), ("retiring", []), ("parked", ["i-7", "vol-7"])])
def test_what_the_record_knows_is_no_stray(state: Any, left: list[str]) -> None:
    """A slot that is parked has no machine any more: its last one costs."""
    record = at_home(slots={"burst-7": Slot(name="burst-7", pool="burst", state=state, machine="i-7")})
    assert ids(sweep.unrecorded((STRAY, DISK), record)) == left
    assert ids(sweep.unrecorded((STRAY, DISK), None)) == ["i-7", "vol-7"]


@pytest.mark.parametrize(
    ("holding", "price", "said"),
    [
        (STRAY, 1.21, "1.21 USD/h"),
        (replace(STRAY, market="spot"), 1.21, "at most 1.21 USD/h"),
        (replace(STRAY, state="stopped"), 0.0, "costs nothing"),
        (replace(thing("vol-1", "volume", what="100"), region="x"), None, "price unknown"),
        (thing("vol-1", "volume", what=""), None, "price unknown"),
        (thing("eip-1", "address", what=""), prices.IPV4, "0.005 USD/h"),
        (thing("vpc-1", "network", what=""), 0.0, "costs nothing"),
    ],
)
def test_what_it_costs(holding: Holding, price: float | None, said: str) -> None:
    found = prices.of_holding(holding)
    assert found.amount == price
    assert Stray(holding=holding, price=found).cost.startswith(said)


def test_what_cannot_be_asked_is_not_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def expired(*_: Any, **__: Any) -> Any:
        raise AwsError(EXPIRED)

    assert sweep.ask(FILE, cloud(why=(EXPIRED,))) == Swept(why=(EXPIRED,))
    monkeypatch.setattr(account, "holdings", expired)
    found = sweep.ask(FILE, cloud())
    assert found == Swept(why=(EXPIRED,))
    row = sweep.row(found) or {}
    assert (row["known"], row["next"], row["things"]) == (False, "aws sso login", [])
    assert list(sweep.lines(found)) == [f"warning: strays are not known: {EXPIRED}"]
    assert sweep.row(None) is None


def test_it_is_not_waited_for_longer_than_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Event()
    monkeypatch.setattr(sweep, "ask", lambda *_: slow.wait(30) and Swept())
    found = Beside(FILE, cloud()).answer(None, 0.0)
    slow.set()
    assert "within 0 s" in found.why[0].expected


def test_beside_it_the_record_is_asked() -> None:
    found = Beside(FILE, cloud()).answer(at_home())
    assert [one.name for one in found.strays] == ["instance i-7 (burst-7)", "volume vol-7 (burst-7)"]
    known = at_home(slots={"burst-7": Slot(name="burst-7", pool="burst", machine="i-7")})
    assert Beside(FILE, cloud()).answer(known) == Swept()
    (first, *_) = sweep.lines(found)
    assert "stray instance i-7 (burst-7) in eu-west-1, 1.21 USD/h" in first


@pytest.mark.parametrize(
    ("left", "met", "said"),
    [
        (2.5 * DAY, True, "ends in 2.5 days"),
        (-60.0, True, "is over"),
        (4 * DAY, True, None),
        (2.5 * DAY, False, None),  # the lease of its birth
        (-NOW, True, None),  # no tag: nobody knows
    ],
)
def test_a_lease_that_is_over_soon_is_told(left: float, met: bool, said: str | None) -> None:
    machine = replace(cloud().rented["burst-0"], lease=NOW + left)
    rows = list(sweep.leases(cloud(rented={"burst-0": machine}, documents={"burst-0": {"met": met}}), NOW))
    assert [one["host"] for one in rows] == (["burst-0"] if said else [])
    assert all(said in one["text"] and "`hostler up` renews it" in one["text"] for one in rows if said)
    assert list(sweep.leases(None, NOW)) == []


SWEPT = Swept(strays=(Stray(holding=STRAY, price=Price(amount=1.21, source="")),))


def draft(monkeypatch: pytest.MonkeyPatch, swept: Swept | None = SWEPT) -> Any:
    sky = Sky(monkeypatch)
    found = replace(sky.look(HYBRID), swept=swept)
    changes = tuple(strays.changes(found))
    plan = world_plan(changes)
    return planning.Draft(plan=plan, record=at_home(), observation=found)


def world_plan(changes: Any) -> Any:
    from hostler.configure.types import Plan

    release = world.record().releases[0]
    return Plan(
        stack="office",
        file="",
        observed="",
        release=release,
        placement=world.placement("gpu-1"),
        changes=changes,
    )


def test_it_is_a_change_with_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    (change,) = draft(monkeypatch).plan.changes
    assert (change.part, change.action, change.item) == ("account", "remove", "instance:i-7")
    assert change.now == "g5.xlarge in eu-west-1, 1.21 USD/h"
    assert change.why.startswith("stray of burst-7: no state knows it, and its lease was over 2001-09-")
    assert draft(monkeypatch, None).plan.empty


@pytest.mark.parametrize(
    ("now", "ended"),
    [((STRAY, thing("i-6")), ["i-7"]), ((replace(STRAY, lease=NOW + 60),), []), ((), [])],
)
def test_only_what_was_planned_and_still_is_one_is_ended(
    monkeypatch: pytest.MonkeyPatch, now: tuple[Holding, ...], ended: list[str]
) -> None:
    asked: list[str] = []

    def remove(held: list[Holding]) -> tuple[removal.Removed, ...]:
        asked.extend(one.id for one in held)
        return tuple(removal.Removed(holding=one, gone=True) for one in held)

    monkeypatch.setattr(account, "holdings", lambda *_, **__: now)
    monkeypatch.setattr(removal, "remove", remove)
    said = StringIO()
    after, left = strays.end(draft(monkeypatch), Out(stderr=said))
    assert (asked, left) == (ended, ())
    assert after.plan.empty
    assert ("gone: stray instance i-7" in said.getvalue()) == bool(ended)


def test_one_that_stays_is_an_error_after_all_else_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    one = draft(monkeypatch)
    done: list[str] = []
    monkeypatch.setattr(
        removal,
        "remove",
        lambda held: tuple(removal.Removed(holding=h, gone=False, why="denied") for h in held),
    )
    monkeypatch.setattr(up, "look", lambda *_, **__: one.observation)
    monkeypatch.setattr(up, "undisturbed", lambda found, *_: found)
    monkeypatch.setattr(up, "_with_drivers", lambda found, *_: (found, False))
    monkeypatch.setattr(up.renting, "planned", lambda found, _: found)
    monkeypatch.setattr(up.planning, "make", lambda *_, **__: one)
    monkeypatch.setattr(up, "_renting", lambda *_: done.append("the rest"))
    with pytest.raises(HostlerError, match="denied"):
        up.up(FILE, Out(stderr=StringIO(), stdout=StringIO()), up.Options(yes=True))
    assert done == ["the rest"]


def test_strays_that_are_not_known_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = draft(monkeypatch, Swept(why=(EXPIRED,)))
    assert one.plan.empty
    (notice,) = strays.notices(one.observation)
    assert (notice.level, notice.next_step) == ("warning", "aws sso login")
    assert time.time() == NOW
