"""The ledger from its hosts, and on this machine once they are gone."""

from __future__ import annotations

import base64
import io
import json
import stat
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler import operator
from hostler.console.out import Out
from hostler.errors import HostError
from hostler.hosts.transport import Transport
from hostler.money.rows import Row
from hostler.node.__main__ import find
from hostler.node.base import files
from hostler.node.base.protocol import Answers
from hostler.rollout import ledger
from hostler.rollout.observe import Observation
from worlds import configure_world as world

NOVEMBER, OCTOBER = 1_793_491_200, 1_793_491_199
NOW = NOVEMBER + 86400.0


def row(name: str, start: float = NOVEMBER, **changes: Any) -> Row:
    return replace(
        Row(
            id=name, kind="host", host="burst-0", start=start, end=start + 3600, amount=1.0, unit="h", price=1.2,
            currency="USD", cost=1.2, basis="measured",
        ),
        **changes,
    )  # fmt: skip


class Hosts:
    """gpu-1 (the gateway's) and gpu-2, each below a folder of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder, self.silent, self.patch = folder, set[str](), monkeypatch
        monkeypatch.setattr(ledger, "transport_for", lambda host: self.to(host.name))
        monkeypatch.setattr(ledger, "agent_call", self.call)

    def to(self, name: str) -> Transport:
        return cast("Transport", SimpleNamespace(name=name, close=lambda: None))

    def call(self, transport: Transport, op: str, **request: Any) -> dict[str, Any]:
        assert request.pop("timeout") > 0
        if transport.name in self.silent:
            raise HostError.of(transport.name, expected="an answer", got="silence")
        self.patch.setattr(files, "root", str(self.folder / transport.name))
        out = io.BytesIO()
        find(op)({**json.loads(json.dumps(request)), "op": op}, Answers(out))
        return json.loads(out.getvalue().splitlines()[-1])

    def has(self, name: str, *found: Row, copy: bool = False) -> int:
        return ledger.append(self.to(name), world.UID, found, copy=copy)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hosts:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(ledger, "ThreadPoolExecutor", OneByOne)  # one root at a time
    return Hosts(monkeypatch, tmp_path)


class OneByOne:
    def __init__(self, _workers: int) -> None: ...

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, work: Callable[..., Any], *words: Any) -> SimpleNamespace:
        found = work(*words)
        return SimpleNamespace(result=lambda: found)


def observation(**changes: Any) -> Observation:
    hosts = world.hosts()
    seen = {"gpu-1": world.bare(1, uid=world.UID), "gpu-2": world.bare(2, uid=world.UID)}
    whole = Observation(
        file=world.stack(), hosts=hosts, gone=(), seen=seen, record=world.record(), gateway=hosts[0]
    )
    return replace(whole, **changes)


@pytest.fixture
def out() -> Out:
    return Out(stdout=io.StringIO(), stderr=io.StringIO())


def said(out: Out) -> str:
    return cast("io.StringIO", out.stderr).getvalue()


def test_rows_of_all_hosts_count_once(there: Hosts) -> None:
    """The gateway was on gpu-2 before, which keeps a copy now."""
    there.has("gpu-1", row("c"))
    there.has("gpu-2", row("a", OCTOBER), row("b"))
    there.has("gpu-2", row("c"), copy=True)
    found = ledger.read(observation())
    assert [one.id for one in found.rows] == ["a", "b", "c"]
    assert (found.hosts, found.problems) == (("gpu-1", "gpu-2"), ())
    assert [one.id for one in ledger.read(observation(), ["2026-11"]).rows] == ["b", "c"]


def test_a_host_that_fails_is_said_and_its_copy_serves(there: Hosts) -> None:
    there.has("gpu-1", row("a"), row("b"))
    there.has("gpu-2", row("a"), copy=True)
    there.silent.add("gpu-1")
    found = ledger.read(observation())
    assert [one.id for one in found.rows] == ["a"]
    assert found.problems == (
        "gpu-1: its part of the ledger cannot be read: gpu-1: expected an answer; got silence",
    )


def test_nobody_elses_hosts_are_asked(there: Hosts) -> None:
    there.has("gpu-2", row("a"))
    seen = {"gpu-1": world.dead(1), "gpu-2": world.bare(2, uid="other")}
    assert ledger.read(observation(seen=seen)) == ledger.Ledger()
    assert ledger.read(observation(record=None)) == ledger.Ledger()


def test_a_copy_catches_up(there: Hosts) -> None:
    there.has("gpu-1", row("a"), row("b"), row("c", OCTOBER))
    there.has("gpu-2", row("a"), copy=True)
    wanted, copy = ["2026-11", "2026-10"], there.to("gpu-2")
    found = ledger.at_home(there.to("gpu-1"), world.UID, wanted)
    assert ledger.catch_up(copy, world.UID, wanted, found) == 2
    assert ledger.catch_up(copy, world.UID, wanted, found) == 0


def test_it_stays_here_when_the_stack_goes(there: Hosts, out: Out) -> None:
    there.has("gpu-1", row("a", OCTOBER), row("b"), row("c", price=None, cost=None))
    ledger.keep(observation(), out, NOW)
    folder = operator.state_home() / "ledger" / "office"
    assert said(out) == f"spent in 2026-11: at least 2.40 USD; the ledger stays in {folder}\n"
    assert [one.id for one in ledger.kept("office")] == ["a", "b", "c"]
    assert [one.id for one in ledger.kept("office", ["2026-10"])] == ["a"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_lives_of_a_stack_are_both_kept(there: Hosts, out: Out) -> None:
    there.has("gpu-1", row("a"))
    ledger.keep(observation(), out, NOW)
    for path in (there.folder / "gpu-1").rglob("*.jsonl"):
        path.unlink()  # `down` took it away, and `up` began anew
    there.has("gpu-1", row("b"))
    ledger.keep(observation(), out, NOW)
    assert [one.id for one in ledger.kept("office")] == ["a", "b"]


def test_where_nothing_was_counted_nothing_is_said(there: Hosts, out: Out) -> None:
    ledger.keep(observation(), out, NOW)
    assert said(out) == ""
    assert ledger.kept("office") == ()


def test_a_ledger_that_cannot_be_read_holds_nothing_up(there: Hosts, out: Out) -> None:
    there.silent |= {"gpu-1", "gpu-2"}
    ledger.keep(observation(), out, NOW)
    assert "note: gpu-1: its part of the ledger cannot be read" in said(out)


@pytest.mark.parametrize(
    ("told", "got"),
    [
        (zlib.compress(b"x" * 2000), "more than 0 MiB"),
        (zlib.compress(b"x" * 900)[:-3], "half of one"),
        (b"xyz", "incorrect header check"),
        (zlib.compress(b"\xff"), "can't decode byte"),
    ],
)
def test_what_is_no_ledger_is_the_hosts_fault(monkeypatch: pytest.MonkeyPatch, told: bytes, got: str) -> None:
    monkeypatch.setattr(ledger, "MONTH_AT_MOST", 1000)
    answer = {"months": {"2026-11": base64.b64encode(told).decode()}, "copies": {}}
    with pytest.raises(HostError, match=got):
        ledger.lines_of("gpu-1", answer)
