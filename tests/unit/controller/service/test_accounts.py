"""The stack's money over runs of the controller, hosts that come and go, and copies that lack rows."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler import operator
from hostler.console.out import Out
from hostler.controller.service import accounts, alarms, copies, judged
from hostler.controller.service.accounts import Accounts
from hostler.controller.service.world import World
from hostler.errors import HostError
from hostler.hosts.transport import Transport
from hostler.hosts.types import Card, Host, Seen, Slot
from hostler.leases.view import Metered, View
from hostler.money.rows import Row
from hostler.node.__main__ import find
from hostler.node.base import files
from hostler.node.base.protocol import Answers
from hostler.record.types import Record
from hostler.rollout import ledger
from worlds import configure_world, rented_world

NOW = 1_793_491_200.0 + 10 * 86400  # 2026-11-11, 00:00 UTC
BUDGET = "budget: {month: 300 USD}\n"
PRICED = rented_world.HYBRID.replace("user: ops}]}", "user: ops}], power: {price: 0.32 USD/kWh, idle: 80 W}}")
CARD = Card(index=0, uuid="GPU-1", name="RTX 3090", memory_mib=24576, power_w=220.0, power_limit_w=350.0)
HOUR = 0.4 + 0.005  # with its address
SLOT = Slot(
    name="burst-0", pool="burst", machine="i-1", region="eu-central-1", market="spot", price=0.4,
    price_source="as it was rented", since=NOW - 7200,
)  # fmt: skip


def spent(cost: float, start: float = NOW - 7200, name: str = "a") -> Row:
    return Row(
        id=name, kind="host", host="burst-0", start=start, end=start + 3600, amount=1.0, unit="h", price=cost,
        currency="USD", cost=cost, basis="measured",
    )  # fmt: skip


class Place:
    """Hosts with a folder each, a clock, and the controller's own folder."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.patch, self.folder, self.own = patch, folder, folder / "own"
        self.own.mkdir()
        self.wall, self.uptime = NOW, 600.0  # seconds: the machine was booted just now
        self.silent, self.asked = set[str](), list[tuple[str, str]]()
        self.text, self.slots = PRICED + BUDGET, {"burst-0": SLOT}
        self.seen: dict[str, Seen | None] = {
            name: configure_world.bare(
                number, host=name, uid=configure_world.UID, facts=configure_world.facts(number, cards=(CARD,))
            )
            for number, name in enumerate(("gpu-1", "gpu-2", "burst-0"), 1)
        }
        self.looked: dict[str, dict[str, Any]] = {}
        self.old: set[str] = set()  # whose stream is gone
        self.metered: dict[str, Metered] = {}  # what meters say at each tick
        for room in (accounts, copies, ledger):
            patch.setattr(room, "transport_for", lambda host: self.to(host.name))
        patch.setattr(ledger, "agent_call", self.call)
        patch.setattr(
            accounts, "time", SimpleNamespace(time=lambda: self.wall, monotonic=lambda: self.uptime)
        )
        patch.setattr(
            accounts, "clock", SimpleNamespace(boottime=lambda: self.uptime, boot=lambda: "this boot")
        )
        self.stderr = io.StringIO()
        self.again()

    def again(self) -> None:
        """The controller is started anew."""
        self.accounts = Accounts(configure_world.stack(self.text), self.own, Out(stderr=self.stderr))

    def to(self, name: str) -> Transport:
        return cast("Transport", SimpleNamespace(name=name, close=lambda: None))

    def call(self, transport: Transport, op: str, **request: Any) -> dict[str, Any]:
        request.pop("timeout")
        self.asked.append((transport.name, op))
        if transport.name in self.silent:
            raise HostError.of(transport.name, expected="an answer", got="silence")
        before, out = files.root, io.BytesIO()
        files.root = str(self.folder / transport.name)
        try:
            find(op)({**json.loads(json.dumps(request)), "op": op}, Answers(out))
        finally:
            files.root = before
        return json.loads(out.getvalue().splitlines()[-1])

    def has(self, name: str, *found: Row, copy: bool = False) -> None:
        ledger.append(self.to(name), configure_world.UID, found, copy=copy)

    def rows(self, name: str, *, copy: bool = False) -> set[str]:
        folder = (
            self.folder
            / name
            / (files.COPIES[1:] + f"/{configure_world.UID}.ledger" if copy else files.HOME[1:] + "/ledger")
        )
        lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
        return {json.loads(line)["id"] for line in lines}

    def record(self) -> Record:
        there = {one.name: one for one in configure_world.hosts()}
        if "burst-0" in self.slots:
            there["burst-0"] = rented_world.host("203.0.113.9")
        return rented_world.at_home(slots=self.slots, hosts=there)

    def world(self) -> World:
        record = self.record()
        views = {
            name: View(
                host=record.hosts.get(name) or Host(name=name, pool="", ssh=rented_world.host("x").ssh),
                looked={"at": 1.0, "wall": self.wall, **self.looked.get(name, {})},
                at=self.uptime - (999 if name in self.old else 0),
                seen=seen,
                metered=replace(one, at=self.uptime) if (one := self.metered.get(name)) else None,
                error="it is gone" if name in self.old else "",
            )
            for name, seen in self.seen.items()
        }
        file = configure_world.stack(self.text)
        return World(file=file, views=views, record=record, subjects=(), now=self.uptime)

    def tick(self, *, after: float = 60.0) -> None:
        self.wall, self.uptime = self.wall + after, self.uptime + after
        self.accounts.tick(self.world())

    def report(self) -> Any:
        return self.accounts.report(self.wall)

    def said(self) -> Sequence[str]:
        return self.stderr.getvalue().splitlines()

    def of_host(self, name: str) -> float:
        return next(one["cost"]["amount"] for one in self.report()["by"]["host"] if one["name"] == name)

    def unknown(self) -> dict[str, float]:
        return self.report()["so_far"]["unknown"]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    return Place(monkeypatch, tmp_path)


# what the ledger has is known


def test_a_machine_that_booted_just_now_reads_what_was_spent(place: Place) -> None:
    """Its clock since the boot is younger than an hour, and the state of the run before is there."""
    place.has("gpu-1", spent(280.0))
    place.tick()
    place.again()
    place.uptime = 30.0
    place.tick()
    assert place.report()["so_far"]["amount"] == pytest.approx(280.0, abs=1)
    assert (place.accounts.word, place.report()["budgets"][0]["state"]) == ("warn", "warn")


def test_before_it_was_read_nothing_is_said_of_money(place: Place) -> None:
    assert place.report() is None
    place.silent.add("gpu-1")
    place.tick()
    assert place.report() is None
    place.silent.clear()
    place.tick()
    assert place.report()["so_far"]["amount"] == 0


@pytest.mark.parametrize(
    ("change", "word", "shorter"),
    [
        ({}, "hold", 0.25),
        ({"text": PRICED}, "ok", 1.0),
        ({"text": PRICED + "budget: {month: 3000 USD}\n"}, "ok", 1.0),
        ({"wall": NOW + 30 * 86400}, "ok", 1.0),
    ],
    ids=["as it was", "without a budget", "another budget", "in another month"],
)
def test_a_budget_that_was_used_up_is_so_after_a_restart(
    place: Place, change: dict[str, Any], word: str, shorter: float
) -> None:
    place.has("gpu-1", spent(301.0))
    place.tick()
    assert (place.accounts.word, place.accounts.shorter) == ("hold", 0.25)
    for name, value in change.items():
        setattr(place, name, value)
    place.silent.add("gpu-1")
    place.again()
    assert (place.accounts.word, place.accounts.shorter) == (word, shorter)
    place.tick()
    assert (place.accounts.word, place.accounts.shorter) == (word, shorter)


def test_an_alarm_that_is_on_is_not_over_because_the_controller_was_started_anew(place: Place) -> None:
    place.has("gpu-1", spent(301.0))
    place.tick()
    told = {name: one.text for name, one in alarms.on({"money": place.report()}).items()}
    assert list(told) == ["budget-hold the stack"]
    place.silent.add("gpu-1")
    place.again()
    place.tick()
    assert place.report() is None
    assert alarms.news(told, alarms.on({"money": place.accounts.alarming()})) == ([], [])


@pytest.mark.parametrize(
    "text", ["", "[]", '{"month": "2026-11"}', '{"month": 1, "limits": "", "budgets": [1]}']
)
def test_what_was_kept_of_a_budget_and_is_damaged_says_nothing(place: Place, text: str) -> None:
    (place.own / judged.NAME).write_text(text)
    place.again()
    assert place.accounts.word == "ok"


def test_a_ledger_that_cannot_be_read_anew_ends_no_counting(place: Place) -> None:
    place.tick()
    place.silent.add("gpu-1")
    for _ in range(70):
        place.tick()
    place.silent.clear()
    place.tick()
    assert place.unknown() == {}
    assert not any(name.startswith("host/gap") for name in place.rows("gpu-1"))


# machines that are gone


def parked(place: Place) -> None:
    place.slots = {"burst-0": replace(SLOT, state="parked", given_back=True)}
    del place.seen["burst-0"]


def without(place: Place) -> None:
    place.slots = {}
    del place.seen["burst-0"]


@pytest.mark.parametrize("goes", [parked, without])
def test_a_machine_that_was_given_back_costs_nothing_any_more(place: Place, goes: Any) -> None:
    for _ in range(3):
        place.tick()
    goes(place)
    for _ in range(30):
        place.tick()
    assert place.unknown() == {}
    assert place.of_host("burst-0") == pytest.approx(3 / 60 * HOUR, rel=0.01)


def test_one_whose_end_was_heard_of_costs_until_then(place: Place) -> None:
    """Its slot is parked later, when somebody looks."""
    place.tick()
    place.tick()
    place.looked["burst-0"] = {
        "wall": place.wall + 30,
        "end": {"at": place.wall + 30, "do": "terminate", "why": "idle"},
    }
    place.old.add("burst-0")
    place.seen["burst-0"] = configure_world.dead(3)
    for _ in range(10):
        place.tick()
    parked(place)
    place.tick()
    assert place.unknown() == {}
    assert place.of_host("burst-0") == pytest.approx(1.5 / 60 * HOUR, rel=0.01)


def test_one_that_is_drained_before_it_goes_costs_still(place: Place) -> None:
    place.tick()
    place.slots = {"burst-0": replace(SLOT, state="retiring")}
    for _ in range(10):
        place.tick()
    assert place.unknown() == {}
    assert place.of_host("burst-0") == pytest.approx(10 / 60 * HOUR, rel=0.01)


# owned hosts that do not answer


@pytest.mark.parametrize(
    ("end", "off"), [({"at": NOW + 60, "do": "suspend"}, True), ({"at": NOW - 86400, "do": "suspend"}, False)]
)
def test_a_host_is_off_only_if_it_said_nothing_after_its_word(
    place: Place, end: dict[str, Any], off: bool
) -> None:
    place.tick()
    place.looked["gpu-2"] = {"wall": NOW + 60, "end": end}
    place.old.add("gpu-2")
    place.seen["gpu-2"] = configure_world.dead(2)
    for _ in range(10):
        place.tick()
    assert any("energy" in name for name in place.unknown()) is not off


# meters


def test_a_meter_counts_the_whole_machine_and_where_it_fails_its_cards_do(place: Place) -> None:
    place.text = place.text.replace("idle: 80 W}", "idle: 80 W, meter: cat /run/watts}")
    place.again()
    place.metered = {
        "gpu-1": Metered(watts=400.0, why="", at=0.0),
        "gpu-2": Metered(watts=300.0, why="", at=0.0),
    }
    for _ in range(31):
        place.tick()
    place.metered["gpu-1"] = Metered(watts=None, why="it ended with status 1", at=0.0)
    del place.metered["gpu-2"]  # nothing was heard of it for long
    for _ in range(31):
        place.tick()
    found = {(one["basis"], one["how"]): one["kwh"] for one in place.report()["energy"]}
    assert found == {
        ("measured", "its meter, at the wall"): pytest.approx(0.7 / 2),
        ("measured", "measured at the cards; power.meter said no watts"): pytest.approx(2 * 0.22 * 31 / 60),
        ("estimated", "power.idle: the host without its cards; power.meter said no watts"): pytest.approx(
            2 * 0.08 * 31 / 60
        ),
    }
    place.metered = {"gpu-1": Metered(watts=400.0, why="", at=0.0)}
    for _ in range(3):
        place.tick()
    assert place.said() == [
        "warning: power.meter of gpu-1 does not tell: it ended with status 1; kWh are those of its cards",
        "power.meter of gpu-1 tells again",
    ]


def test_without_a_meter_no_row_speaks_of_one(place: Place) -> None:
    for _ in range(3):
        place.tick()
    assert not any("meter" in one["how"] for one in place.report()["energy"])


# copies


def test_a_copy_that_was_away_catches_up(place: Place) -> None:
    place.old.add("gpu-2")
    for _ in range(10):
        place.tick()
    assert place.rows("gpu-1")
    assert not place.rows("gpu-2", copy=True)
    place.old.clear()
    place.tick(after=accounts.READ_S)
    place.tick(after=accounts.READ_S)
    assert place.rows("gpu-1") - place.rows("gpu-2", copy=True) == set()


def test_one_that_was_away_over_the_end_of_a_month_has_that_month_too(place: Place) -> None:
    place.wall = NOW - 10 * 86400 - 1800  # half an hour before November
    place.old.add("gpu-2")
    for _ in range(80):
        place.tick()
    place.old.clear()
    place.tick(after=5 * 86400)
    assert {path.name for path in (place.folder / "gpu-2").rglob("*.jsonl")} == {
        "2026-10.jsonl",
        "2026-11.jsonl",
    }
    assert place.rows("gpu-1") == place.rows("gpu-2", copy=True)


def test_what_a_copy_has_is_not_sent_again(place: Place) -> None:
    for _ in range(10):
        place.tick()
    place.asked.clear()
    place.tick(after=accounts.READ_S)
    assert ("gpu-2", "ledger-read") in place.asked
    assert place.asked.count(("gpu-2", "ledger-append")) == 1  # of what is new


def test_a_copy_that_fails_holds_nothing_up_and_is_named(place: Place) -> None:
    text = "{address: 10.0.0.3, name: gpu-3, user: root}"
    place.text = place.text.replace("user: ops}]", f"user: ops}}, {text}]")
    place.seen["gpu-3"] = configure_world.bare(3, host="gpu-3")
    place.again()
    place.silent.add("gpu-2")
    for _ in range(10):
        place.tick()
    assert place.rows("gpu-3", copy=True) == place.rows("gpu-1") != set()
    assert place.said() == [
        "warning: the copy of the ledger on gpu-2 lacks rows, until it catches up: gpu-2: expected an answer; got silence"
    ]
    place.silent.clear()
    place.tick(after=accounts.READ_S)
    place.tick(after=accounts.READ_S)
    assert place.rows("gpu-2", copy=True) >= place.rows("gpu-3", copy=True)


def test_rented_hosts_keep_no_copy(place: Place) -> None:
    for _ in range(10):
        place.tick()
    assert place.rows("gpu-2", copy=True)
    assert not place.rows("burst-0", copy=True)


def test_what_waits_is_said_and_written_later(place: Place) -> None:
    place.tick()
    place.silent.add("gpu-1")
    for _ in range(10):
        place.tick()
    assert place.said() == [
        "warning: the ledger cannot be written, and what is counted waits here: gpu-1: expected an answer; got silence"
    ]
    kept = operator.read_json(place.own / accounts.NAME)["unwritten"]
    assert kept
    place.silent.clear()
    place.tick()
    assert {row["id"] for row in kept} <= place.rows("gpu-1")


def test_without_what_was_seen_nothing_is_counted_until_the_ledger_is_read(place: Place) -> None:
    place.silent.add("gpu-1")
    place.tick()
    assert place.said() == [
        "warning: nothing is counted until the ledger can be read: gpu-1: expected an answer; got silence"
    ]


def test_what_was_written_and_not_marked_as_written_counts_once(place: Place) -> None:
    """The controller was killed between the two."""
    place.silent.add("gpu-1")
    for _ in range(2):
        place.tick()
    place.silent.clear()
    for _ in range(4):
        place.tick()
    place.silent.add("gpu-1")
    place.tick(after=240)
    kept = (place.own / accounts.NAME).read_text()
    assert json.loads(kept)["unwritten"]
    place.silent.clear()
    place.tick()
    before = place.of_host("burst-0")
    (place.own / accounts.NAME).write_text(kept)
    place.again()
    place.tick(after=0)
    assert place.of_host("burst-0") == pytest.approx(before)
