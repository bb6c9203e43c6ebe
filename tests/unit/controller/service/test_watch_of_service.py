"""Whom the service keeps a stream to."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hostler.console.out import Out
from hostler.controller.service import serve
from hostler.hosts.types import Host, Slot, Ssh
from hostler.record.types import Record

STACK = """
stack: office
pools:
  rack: {hosts: [{address: gpu1.lan, name: gpu-1}]}
models: {chat: {source: "hf:a/b-GGUF:Q4_K_M"}}
"""
NAMES = ("gpu-1", "burst-0")
WANTED = Slot(name="burst-0", pool="burst")
RECORD = Record(
    uid="u", stack="office", gateway_host="gpu-1", replicas=(), slots={"burst-0": WANTED},
    hosts={name: Host(name=name, pool="p", ssh=Ssh(address=name)) for name in NAMES},
)  # fmt: skip
PARKED = replace(RECORD, slots={"burst-0": replace(WANTED, state="parked", given_back=True)})


class Keeper:
    """As one that hears nothing."""

    there: ClassVar[set[str]] = set()

    def __init__(self, host: Host, *_: Any) -> None:
        self.name = host.name

    def start(self) -> None:
        self.there.add(self.name)

    def end(self) -> None:
        self.there.remove(self.name)


def test_a_host_that_was_given_back_is_not_looked_for_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Woken, another machine is in its place: the way to it comes with the next start, and until then nobody is missed."""
    (tmp_path / "stack.yaml").write_text(STACK)
    monkeypatch.setattr(Keeper, "there", set())
    monkeypatch.setattr(serve, "Keeper", Keeper)
    monkeypatch.setattr(serve.ways, "names", lambda: NAMES)
    service = serve.Service(tmp_path, tmp_path, Out(stderr=StringIO()), tmp_path)

    def watched(record: Record | None) -> set[str]:
        service._record = (None, record)  # pyright: ignore[reportPrivateUsage]
        service._watch()  # pyright: ignore[reportPrivateUsage]
        return set(Keeper.there)

    assert watched(None) == {*NAMES}
    assert watched(RECORD) == {*NAMES}
    assert watched(PARKED) == {"gpu-1"}
    assert watched(RECORD) == {"gpu-1"}
