"""What the service tells the gateway of keys that are refused, from its first turn on."""

from __future__ import annotations

import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from hostler.console.out import Out
from hostler.controller.service import refused, serve
from hostler.money.budget import Sum
from hostler.money.refusing import Refused

from .test_watch_of_service import RECORD, STACK, Keeper

ACT = "budget: {keys: {ci: {act: 12 EUR}}}\n"


def service_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> tuple[serve.Service, StringIO, float]:
    """With a key that was refused, what it says, and until when that is."""
    said = StringIO()
    until = round(time.time()) + 86400.0
    limit = Sum(amount=12, currency="EUR")
    refused.save(tmp_path, (Refused(key="ci", until=until, spent=12.3, limit=limit, worth=1.0),))
    (tmp_path / "stack.yaml").write_text(STACK + more)
    monkeypatch.setattr(Keeper, "there", set())
    monkeypatch.setattr(serve, "Keeper", Keeper)
    monkeypatch.setattr(serve.ways, "names", lambda: ())
    service = serve.Service(tmp_path, tmp_path, Out(stderr=said), tmp_path)
    service._record = (None, RECORD)  # pyright: ignore[reportPrivateUsage]
    service._counted = service._shown = float("inf")  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(service, "_giving", SimpleNamespace(tick=lambda _world: None, gone=frozenset))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    return service, said, until


@pytest.mark.parametrize(
    ("more", "map_"),
    [
        (ACT, "ci {until} 12.30 of 12.00 EUR; it is free again on "),
        ("budget: {keys: {ci: {act: 13 EUR}}}\n", ""),
        ("budget: {keys: {ci: 12 EUR}}\n", None),
        (ACT + "controller: {page: false}\n", "ci {until} 12.30 of 12.00 EUR; it is free again on "),
    ],
    ids=["refused", "raised", "only told of", "without a page"],
)
def test_what_was_refused_is_so_before_anybody_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, map_: str | None
) -> None:
    service, _, until = service_of(tmp_path, monkeypatch, more)
    service.tick()
    path = tmp_path / "spent.map"
    if map_ is None:
        assert not path.exists()
    else:
        assert path.read_text().startswith(map_.format(until=round(until)))
        assert bool(map_) is bool(path.read_text())


def test_a_gateway_that_does_not_take_it_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(serve.time, "monotonic", lambda: clock[0])
    service, said, _ = service_of(tmp_path, monkeypatch, ACT)
    service.tick()
    assert said.getvalue() == ""  # it may just be started
    words = "ci: the gateway was not told to refuse what is used up"
    for clock[0], times in ((1059.0, 0), (1060.0, 1), (1061.0, 1), (1200.0, 1)):
        service.tick()
        assert said.getvalue().count(words) == times
