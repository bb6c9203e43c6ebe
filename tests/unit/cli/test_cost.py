"""`hostler cost`: with a ledger, without one, and where nobody can be asked."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostler.cli import main, options
from hostler.configure.controller import SPENT
from hostler.console import cost as shown
from hostler.errors import Exit
from hostler.hosts.types import Absent, Card, Seen, Value
from hostler.money.rows import GENERATED, PROMPT, Row
from hostler.record.types import Key
from hostler.rollout import keyring, ledger, observe
from hostler.rollout.ledger import Ledger
from hostler.rollout.observe import Observation
from worlds import configure_world as world

NOW = 1_793_577_600.0  # 2026-11-02 00:00 UTC
PRICED = world.STACK.replace("user: ops}]}", "user: ops}], power: {price: 0.50 EUR/kWh}}")
CARD = Card(index=0, uuid="GPU-1", name="RTX 3090", memory_mib=24576, power_w=200.0)


def row(name: str, **changes: Any) -> Row:
    one = Row(
        id=name, kind="host", host="burst-0", model="chat", start=NOW - 3600, end=NOW - 60, amount=1.0, unit="h",
        price=1.2, currency="EUR", cost=1.2, basis="measured",
    )  # fmt: skip
    return replace(one, **changes)


def tokens(unit: str, amount: float, key: str = "") -> Row:
    return row(
        f"{unit} {key}",
        kind="tokens",
        host="",
        unit=unit,
        amount=amount,
        price=None,
        cost=None,
        currency="",
        key=key,
    )


ROWS = (
    row("a"),
    row("b", model="", cost=0.3, basis="estimated"),
    tokens(PROMPT, 300_000),
    tokens(GENERATED, 100_000),
    tokens(PROMPT, 300_000, "ci"),
)


class Desk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found = Ledger()
        self.text, self.home = PRICED, world.bare(1, uid=world.UID, facts=world.facts(1, cards=(CARD,)))
        self.record: Any = world.record()
        monkeypatch.setattr(options, "load", lambda _file: world.stack(self.text))
        for room in (observe, keyring):
            monkeypatch.setattr(room, "observe", lambda *_args, **_kwargs: self.observation())
        monkeypatch.setattr(ledger, "read", lambda *_args: self.found)
        monkeypatch.setattr(time, "time", lambda: NOW)

    def observation(self) -> Observation:
        hosts = world.hosts()
        seen = {"gpu-1": self.home, "gpu-2": world.dead(2)}
        return Observation(
            file=world.stack(self.text), hosts=hosts, gone=(), seen=seen, record=self.record, gateway=hosts[0]
        )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Desk(monkeypatch)


def test_a_month_as_a_table(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.found = Ledger(rows=ROWS, hosts=("gpu-1",))
    assert main.run(["cost"]) == Exit.DONE
    said = capsys.readouterr().out.splitlines()
    lines = [" ".join(line.split()) for line in said]
    assert "this month 1.50 EUR 1.20 0.30 -" in lines
    assert "chat 1.20 EUR 300,000 100,000 3.00 EUR 100% -" in lines
    assert "(no model) 0.30 EUR - - - 0% -" in lines


def test_it_says_which_kwh_came_from_a_meter(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    power = dict[str, Any](kind="energy", host="gpu-1", unit="kWh", price=0.5)
    desk.found = Ledger(
        rows=(
            row("a", **power, amount=1.5, cost=0.75, source="its meter, at the wall"),
            row("b", **power, model="", amount=0.5, cost=0.25, source="its meter, at the wall"),
            row("c", **power, amount=0.25, cost=0.125, source="measured at the cards"),
            row("d", **power, amount=0.2, cost=0.1, basis="estimated", source="power.idle"),
            row("e", **power, amount=None, cost=None, basis="unknown", source="nobody looked"),
        ),
        hosts=("gpu-1",),
    )
    assert main.run(["cost"]) == Exit.DONE
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    at = lines.index("ELECTRICITY KWH HOW")
    assert lines[at + 1 : at + 5] == [
        "measured 2.00 its meter, at the wall",
        "measured 0.25 measured at the cards",
        "estimated 0.20 power.idle",
        "unknown 1.0 h, kWh unknown nobody looked",
    ]
    assert main.run(["cost", "--json"]) == Exit.DONE
    found = json.loads(capsys.readouterr().out)["energy"]
    assert found[0] == {"how": "its meter, at the wall", "basis": "measured", "kwh": 2.0, "hours": None}


def test_what_is_not_known_is_in_no_cell_a_0(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.found = Ledger(rows=(row("a", price=None, cost=None), row("b", currency="USD")), hosts=("gpu-1",))
    desk.text = PRICED + "money: {currency: EUR}\n"
    main.run(["cost", "--by", "host"])
    said = capsys.readouterr()
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "this month unknown 0 0 1.0 h of host, 1.20 USD without a rate" in lines
    assert "burst-0 unknown - - - - 1.0 h of host, 1.20 USD without a rate" in lines
    assert "note: not in the sums: 1.20 USD, for which there is no rate" in said.err


@pytest.mark.parametrize(
    ("more", "why", "step"),
    [
        ("", "there is no ledger: nothing counts what is spent", "add `controller: {}` to the stack file"),
        ("controller: {page: true}\n", "the ledger has nothing of 2026-11 yet", "hostler logs controller"),
    ],
    ids=["no controller", "a fresh one"],
)
def test_without_a_ledger_it_says_what_an_hour_costs_and_how_to_get_one(
    desk: Desk, capsys: pytest.CaptureFixture[str], more: str, why: str, step: str
) -> None:
    desk.text = PRICED + more
    assert main.run(["cost"]) == Exit.DONE
    said = capsys.readouterr()
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[1].startswith(
        "gpu-1 > 0.10 EUR 1.0 h of energy of which nothing is known energy: if it goes on as at one look; measured at the cards"
    )
    assert lines[2] == "gpu-2 unknown - it is not seen"
    assert why in said.err
    assert f"next: {step}" in said.err


def test_where_the_gateway_is_off_a_copy_serves(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.home, desk.record, desk.found = world.dead(1), None, Ledger(rows=ROWS, hosts=("gpu-2",))
    assert main.run(["cost"]) == Exit.HOST
    said = capsys.readouterr()
    assert "the ledger is on gpu-1, which does not answer; what is shown is the copy on gpu-2" in said.err
    assert "1.50 EUR" in said.out


def test_after_down_what_was_kept_is_shown(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.record, desk.home = None, world.bare(1)
    ledger._written("office", ROWS)  # pyright: ignore[reportPrivateUsage]
    assert main.run(["cost"]) == Exit.DONE
    said = capsys.readouterr()
    assert "the stack is not up: this is what was kept here when it went down" in said.err
    assert "1.50 EUR" in said.out


def test_never_up(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.record, desk.home = None, world.bare(1)
    main.run(["cost"])
    assert "the stack is not up, and has no ledger\nnext: hostler up" in capsys.readouterr().err


def test_json_has_the_same_figures_and_the_budgets(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.text = PRICED + "budget: {month: 1 EUR, keys: {ci: 9 EUR}}\ncontroller: none\n"
    desk.text = desk.text.replace("controller: none\n", "")
    desk.found = Ledger(rows=ROWS, hosts=("gpu-1",))
    assert main.run(["cost", "--json"]) == Exit.DONE
    found = json.loads(capsys.readouterr().out)
    assert found["so_far"]["amount"] == pytest.approx(1.5)
    assert found["budget"] == {"amount": 1.0, "currency": "EUR"}
    assert [(one["key"], one["state"]) for one in found["budgets"]] == [("", "hold"), ("ci", "ok")]
    assert found["ledger"]["rows"] == len(ROWS)
    assert {one["host"] for one in found["now"]} == {"gpu-1", "gpu-2"}


def test_csv(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.found = Ledger(rows=(*ROWS, row("c", model="dark, too", price=None, cost=None)), hosts=("gpu-1",))
    assert main.run(["cost", "--csv"]) == Exit.DONE
    table = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert table[0] == ["model", *shown.COLUMNS[1:]]
    by = {line[0]: dict(zip(table[0], line, strict=True)) for line in table[1:]}
    assert (by["chat"]["amount"], by["chat"]["per_million"], by["chat"]["whole"]) == ("1.2", "3", "true")
    assert (by["dark, too"]["amount"], by["dark, too"]["unknown"]) == ("", "1.0 h of host")


@pytest.mark.parametrize("words", [["--json", "--csv"], ["--month", "2026-13"], ["--by", "colour"]], ids=str)
def test_what_it_cannot_be_asked(desk: Desk, words: list[str]) -> None:
    assert main.run(["cost", *words]) == Exit.USAGE


def refused(text: str | None, reached: bool = True) -> Seen:
    """The gateway's host, with the map of refused keys."""
    told = Value({"text": text}, 0.0) if text is not None else Absent(0.0)
    return world.bare(1, uid=world.UID, observed={f"path:{SPENT}": told}) if reached else world.dead(1)


CI = f"ci {NOW + 86400:.0f} 0.60 of 0.50 EUR; it is free again on 2026-12-01 00:00 UTC\n"
WARNED = "its requests are refused: 0.60 of 0.50 EUR; it is free again on 2026-12-01 00:00 UTC, or when"


@pytest.mark.parametrize(
    ("home", "words", "marked"),
    [
        (refused(CI), (), True),
        (refused(CI), ("--month", "2026-10"), False),
        (refused(f"ci {NOW - 1:.0f} of last month\n"), (), False),
        (refused(None), (), False),
        (refused(CI, reached=False), (), False),
    ],
    ids=["refused", "another month", "over", "no map", "no answer"],
)
def test_a_key_that_is_refused_is_marked(
    desk: Desk, capsys: pytest.CaptureFixture[str], home: Seen, words: tuple[str, ...], marked: bool
) -> None:
    desk.text = PRICED + "budget: {keys: {ci: {act: 0.50 EUR}}}\n"
    desk.found, desk.home = Ledger(rows=ROWS, hosts=("gpu-1",)), home
    main.run(["cost", "--by", "key", *words])
    said = capsys.readouterr()
    assert ("ci (refused)" in said.out) is marked
    assert (WARNED in said.err) is marked


def test_without_act_no_map_is_believed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.text = PRICED + "budget: {keys: {ci: 0.50 EUR}}\n"
    desk.found, desk.home = Ledger(rows=ROWS, hosts=("gpu-1",)), refused(CI)
    main.run(["cost", "--by", "key"])
    assert "refused" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("home", "rows", "shown"),
    [
        (refused(CI), [{"key": "ci", "until": NOW + 86400}], "until 2026-11-03 00:00 UTC"),
        (refused(None), [], "no"),
        (refused(CI, reached=False), None, ""),
    ],
    ids=["refused", "no map", "no answer"],
)
def test_status_and_the_list_of_keys_say_it(
    desk: Desk, capsys: pytest.CaptureFixture[str], home: Seen, rows: Any, shown: str
) -> None:
    desk.text, desk.home = PRICED + "budget: {keys: {ci: {act: 0.50 EUR}}}\n", home
    main.run(["status", "--json"])
    found = json.loads(capsys.readouterr().out)["refused"]
    assert (found and [{name: one[name] for name in ("key", "until")} for one in found]) == rows
    main.run(["status"])
    assert (f"warning: key ci: {WARNED}" in capsys.readouterr().err) is bool(rows)
    desk.record = replace(desk.record, keys=(Key(name="ci", sha256="0" * 64, made=0.0),))
    main.run(["key", "list"])
    assert capsys.readouterr().out.strip().endswith(shown)
