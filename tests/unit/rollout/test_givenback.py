"""Machines that gave themselves back are parked, and no drift; those that were lost are replaced; and what each costs is
known to those who may not ask AWS."""

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
from hostler.cloud.candidates import Choice
from hostler.cloud.offer import Offer
from hostler.cloud.prices import Key
from hostler.cloud.types import Price, RentResult
from hostler.codec import decode, encode
from hostler.console.out import Out
from hostler.errors import HostError
from hostler.hosts.types import Slot
from hostler.provision.types import ProvisionChange, ProvisionPreview
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import doctor, givenback, lastknown, observe, rented, slots, stackkey, wishing
from hostler.rollout.rented import Cloud, Turn
from worlds import configure_world as world
from worlds.rented_world import HAS, HYBRID, SLOTS, Sky, at_home, cloud

LOST = cloud(rented={}, hosts={}, ended={"burst-0": live.BY_ITSELF})
SHADOW = HYBRID.replace("count: 0-2", "count: 0-2, idle: {after: 20m, shadow: true}")
NEVER = HYBRID.replace("count: 0-2", "count: 0-2, idle: never")
LOW = HYBRID.replace("count: 0-2", "count: 1-2")


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return operator.stack_home("office")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Sky:
    return Sky(monkeypatch)


def decided(
    found: Cloud, text: str = HYBRID, record: Record | None = None, turn: Turn | None = None
) -> Cloud:
    return rented.decided(world.stack(text), found, record or at_home(), turn or Turn())


@pytest.mark.parametrize("text", [HYBRID, LOW])
@pytest.mark.parametrize("code", [live.BY_ITSELF, live.FORGOTTEN])
def test_one_that_gave_itself_back_is_parked(code: str, text: str) -> None:
    found = decided(replace(LOST, ended={"burst-0": code}), text)
    assert found.gave == {"burst-0": code}
    slot = found.slots.slots["burst-0"]
    assert (slot.state, slot.given_back) == ("parked", True)
    assert (found.slots.fill, found.slots.retire) == ((), ())


@pytest.mark.parametrize(
    "code",
    [
        "Client.UserInitiatedShutdown",
        "Client.InternalError",
        "Client.InvalidSnapshot.NotFound",
        "Client.VolumeLimitExceeded",
        "Server.InsufficientInstanceCapacity",
        "Server.InternalError",
        "Server.ScheduledStop",
        "Server.SpotInstanceShutdown",
        "Server.SpotInstanceTermination",
        "terminated",
    ],
)
def test_one_that_was_lost_is_replaced(code: str) -> None:
    found = decided(replace(LOST, ended={"burst-0": code}))
    assert (found.gave, found.slots.fill) == ({}, ("burst-0",))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"documents": {}}, HYBRID),  # never met: the lease of its birth ended it
        ({"documents": {"burst-0": {"met": 1}}}, NEVER),
        ({"documents": {"burst-0": {"met": 1}}}, SHADOW),
        ({"home": "burst-0"}, HYBRID),
    ],
)
@pytest.mark.parametrize("code", [live.BY_ITSELF, live.FORGOTTEN])
def test_no_other_shutdown_is_a_giving_back(code: str, changes: dict[str, Any], text: str) -> None:
    found = decided(replace(LOST, **{"ended": {"burst-0": code}, **changes}), text)
    assert (found.gave, found.slots.fill) == ({}, ("burst-0",))


def test_one_that_nobody_wrote_down_is_not_parked() -> None:
    found = decided(LOST, LOW, at_home(slots={}))
    assert (found.gave, found.slots.fill) == ({}, ("burst-0",))


def test_it_is_woken_by_its_pool() -> None:
    assert decided(LOST, turn=Turn(wake=("burst",))).slots.fill == ("burst-0", "burst-1")
    assert decided(LOST, turn=Turn(wake=("other",))).slots.fill == ()


@pytest.mark.parametrize("code", [live.BY_ITSELF, live.FORGOTTEN, "Client.UserInitiatedShutdown"])
def test_once_written_down_nobody_asks_how_it_ended(code: str) -> None:
    parked = {**SLOTS, "burst-0": replace(SLOTS["burst-0"], state="parked", given_back=True)}
    found = decided(replace(LOST, ended={"burst-0": code}), LOW, at_home(slots=parked))
    assert (found.gave, found.slots.fill, found.slots.of("parked")) == ({}, (), ("burst-0", "burst-1"))


def test_its_replica_keeps_its_place_as_on_a_host_that_is_off(there: Sky) -> None:
    there.aws = LOST
    found = there.look()
    assert [one.name for one in found.hosts] == ["gpu-1", "gpu-2", "burst-0"]
    assert found.seen["burst-0"].parked
    assert found.seen["burst-0"].next_step == "hostler wake burst"
    assert ("burst-0", "203.0.113.9") not in there.asked
    observe.refuse_unreached(found.seen)
    assert [finding.bad for finding in doctor._host(found.seen["burst-0"])] == [False]
    (note,) = (one for one in slots.notices(found) if one.where == "burst-0")
    assert note.text == "gave itself back when idle; `hostler wake burst` brings it back"


def test_that_aws_has_forgotten_it_is_said(there: Sky) -> None:
    there.aws = replace(LOST, ended={"burst-0": live.FORGOTTEN})
    (note,) = (one for one in slots.notices(there.look()) if one.where == "burst-0")
    assert "AWS has forgotten how it ended" in note.text


def test_one_on_which_nothing_stands_is_no_host(there: Sky) -> None:
    there.answers("gpu-1", uid=world.UID, record=store.dump(at_home(replicas=())))
    there.aws = LOST
    assert [one.name for one in there.look().hosts] == ["gpu-1", "gpu-2"]


def test_one_that_is_off_for_another_reason_is_unreached(there: Sky) -> None:
    with pytest.raises(HostError, match="burst-0"):
        observe.refuse_unreached({"burst-0": there.look().seen["burst-0"]})


def test_without_aws_the_record_says_it(there: Sky) -> None:
    there.look()
    there.expire()
    parked = {**SLOTS, "burst-0": replace(SLOTS["burst-0"], state="parked", given_back=True)}
    there.answers("gpu-1", uid=world.UID, record=store.dump(at_home(slots=parked)))
    found = there.look()
    assert found.seen["burst-0"].parked
    assert lastknown.row(found.cloud, 0.0) == {**(lastknown.row(found.cloud, 0.0) or {}), "known": False}


def test_nobody_asks_where_the_record_says_that_nothing_is(there: Sky, state: Path) -> None:
    (state / stackkey.NAME).write_text("")
    there.expire()
    parked = {**SLOTS, "burst-0": replace(SLOTS["burst-0"], state="parked", given_back=True)}
    there.answers("gpu-1", uid=world.UID, record=store.dump(at_home(slots=parked)))
    assert there.look().seen["burst-0"].parked
    assert {name for name, _ in there.asked} == {"gpu-1", "gpu-2"}


def test_up_writes_it_down(there: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Record] = []

    @contextmanager
    def session(record: Record, *_: Any, **__: Any) -> Any:
        yield SimpleNamespace(record=record, commit=kept.append)

    monkeypatch.setattr(givenback, "session", session)
    said = StringIO()
    givenback.note(there.look(), Out(stderr=said))
    assert kept == []
    there.aws = LOST
    givenback.note(there.look(), Out(stderr=said))
    (record,) = kept
    assert record.slots["burst-0"].given_back
    assert record.slots["burst-1"] == SLOTS["burst-1"]
    assert "parked: burst-0" in said.getvalue()


CHANGES = (
    ProvisionChange(name="burst-0", urn="", op="refresh", kind="slot"),
    ProvisionChange(name="burst-0", urn="", op="delete", kind="slot"),
    ProvisionChange(name="network", urn="", op="delete", kind="cloud"),
    ProvisionChange(name="gpu-9", urn="", op="delete", kind="host"),
    ProvisionChange(name="burst-1", urn="", op="create", kind="slot"),
)


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (LOST, ["gpu-9", "burst-1"]),
        (cloud(), ["burst-0", "burst-0", "network", "gpu-9", "burst-1"]),
        (
            replace(LOST, ended={"burst-0": "Server.SpotInstanceTermination"}),
            ["burst-0", "burst-0", "network", "gpu-9", "burst-1"],
        ),
    ],
)
def test_what_hung_on_it_is_no_drift(found: Cloud, left: list[str]) -> None:
    preview = wishing.without_ended(decided(found), ProvisionPreview(changes=CHANGES))
    assert [change.name for change in preview.changes] == left


# -- what a machine costs


PRICE = Price(amount=1.21, source="AWS price list, 2026-11-30")
PAPER = {"machine": "i-1", "usd": 1.21, "source": PRICE.source}


def priced(paper: dict[str, Any], slot: Slot | None = None) -> Slot:
    known = {**SLOTS, **({slot.name: slot} if slot else {})}
    found = decided(cloud(documents={"burst-0": {"met": 1, "price": paper}}), record=at_home(slots=known))
    return found.slots.slots["burst-0"]


def test_a_slot_says_what_its_machine_is_and_costs() -> None:
    slot = priced(PAPER)
    assert (slot.machine, slot.instance, slot.region, slot.zone, slot.market) == (
        "i-1", HAS.instance, HAS.region, HAS.zone, HAS.market,
    )  # fmt: skip
    assert (slot.price, slot.price_source) == (1.21, PRICE.source)


@pytest.mark.parametrize(
    ("paper", "known", "price"),
    [
        ({}, None, None),
        ({**PAPER, "usd": None, "source": "not permitted"}, None, None),
        ({**PAPER, "machine": "i-0"}, None, None),  # of the one before
        ({}, Slot(name="burst-0", pool="burst", machine="i-1", price=0.5, price_source="once"), 0.5),
        ({}, Slot(name="burst-0", pool="burst", machine="i-0", price=0.5, price_source="once"), None),
        (PAPER, Slot(name="burst-0", pool="burst", machine="i-1", price=0.5, price_source="once"), 1.21),
    ],
)
def test_what_nobody_wrote_down_is_unknown(
    paper: dict[str, Any], known: Slot | None, price: float | None
) -> None:
    slot = priced(paper, known)
    assert slot.price == price
    assert slot.price_source


def test_a_parked_slot_keeps_what_is_known_of_its_last_machine_and_an_empty_one_nothing() -> None:
    was = replace(SLOTS["burst-0"], machine="i-1", instance="g5.xlarge", price=1.21, since=7.0)
    record = at_home(slots={**SLOTS, "burst-0": was})
    assert decided(LOST, record=record).slots.slots["burst-0"].price == 1.21
    lost = replace(LOST, ended={"burst-0": "Client.UserInitiatedShutdown"})
    empty = decided(lost, record=record).slots.slots["burst-0"]
    assert (empty.machine, empty.instance, empty.price, empty.since) == ("", "", None, None)


def test_a_record_of_before_loads() -> None:
    old = {"name": "burst-0", "pool": "burst", "state": "wanted", "image": "nvidia", "disk_gib": 100, "subnet": "",
           "given_back": False}  # fmt: skip
    assert decode(Slot, old).price is None
    assert decode(Slot, encode(priced(PAPER))) == priced(PAPER)


@pytest.mark.parametrize("known", [True, False])
def test_the_price_is_kept_as_it_was_offered(there: Sky, known: bool) -> None:
    there.aws = replace(LOST, ended={"burst-0": "Client.UserInitiatedShutdown"})
    found = there.look()
    prices: dict[Key, Price] = {(HAS.zone, HAS.instance, HAS.market): PRICE} if known else {}
    found = replace(
        found, offers={"burst": Offer(choice=Choice(candidates=(HAS,)), prices=prices, images={})}
    )
    kept: dict[str, Any] = {}
    fleet: Any = SimpleNamespace(keep=kept.__setitem__)
    made = RentResult(rented=tuple(cloud().rented.values()))
    assert found.cloud
    papers = {"burst-0": {"keys": ["one"], "user": "ubuntu"}}
    now = wishing.priced(found, found.cloud, fleet, made, papers)
    assert kept == {rented.HOSTS: now}
    assert now["burst-0"]["keys"] == ["one"]
    assert now["burst-0"]["price"] == (
        PAPER if known else {**PAPER, "usd": None, "source": "nobody asked for it"}
    )
    kept.clear()
    assert (
        wishing.priced(found, cloud(), fleet, made, papers) == papers
    )  # it stood before: its price was then
    assert kept == {}
