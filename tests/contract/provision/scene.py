"""Hosts that are only values, a fleet on a folder of the test's own, and a provider that can be held up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hostler.hosts.types import Card, Driver, Facts, Host, Seen, Ssh
from hostler.provision.fleet import Fleet
from hostler.provision.types import ProvisionEvent, ProvisionPreview

LIMIT_S = 30.0


def host(name: str, address: str = "") -> Host:
    return Host(name=name, pool="rack", ssh=Ssh(address=address or f"{name}.lan", user="ops"))


def card(index: int, uuid: str) -> Card:
    return Card(index=index, uuid=uuid, name="RTX 3090", memory_mib=24576)


def seen(name: str, cards: tuple[str, ...] = ("a", "b"), driver: str = "570.86", machine: str = "") -> Seen:
    facts = Facts(
        machine_id=machine or name.encode().hex().ljust(32, "0"), hostname=name, os_id="debian", os_version="12",
        codename="bookworm", os_name="Debian", arch="x86_64", kernel="6.1", python="3.11", systemd="252", cpus=8,
        memory=1, disk_total=1, disk_free=1, boot_id="b", driver=Driver(state="working", version=driver),
        cards=tuple(card(index, f"GPU-{name}-{letter}") for index, letter in enumerate(cards)),
    )  # fmt: skip
    return Seen(host=name, at=time.time(), seconds=0.1, facts=facts)


def dead(name: str) -> Seen:
    return Seen(host=name, at=time.time(), seconds=0.1, error="no route to host", error_kind="dead")


@dataclass(kw_only=True)
class Scene:
    base: Path
    hosts: tuple[Host, ...] = (host("gpu-1"), host("gpu-2"))
    said: list[str] = field(default_factory=list)
    events: list[ProvisionEvent] = field(default_factory=list)
    answers: dict[str, Seen] = field(default_factory=dict)

    def fleet(self) -> Fleet:
        return Fleet("lab", base=self.base, notice=self.said.append, on_event=self.events.append)

    def seen(self, name: str) -> Seen:
        return self.answers.get(name) or seen(name)

    def preview(self) -> ProvisionPreview:
        return self.fleet().preview(self.hosts, self.seen)

    def up(self) -> ProvisionPreview:
        return self.fleet().up(self.hosts, self.seen)

    def refresh(self) -> ProvisionPreview:
        return self.fleet().refresh(self.hosts, self.seen)

    def resources(self) -> dict[str, dict[str, Any]]:
        """The hosts in Pulumi's state, by name."""
        found = self.fleet().export().get("resources", [])
        kind = "hostler:index:OwnedHost"
        return {item["urn"].rsplit("::", 1)[1]: item for item in found if item["type"] == kind}

    def pending(self) -> list[Any]:
        return self.fleet().export().get("pending_operations") or []


@contextmanager
def held_create(
    monkeypatch: pytest.MonkeyPatch, name: str = "gpu-1"
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The provider stops in the middle of making one host: (it has come there, let it go on)."""
    from hostler.provision.provider import Provider

    there, go_on = threading.Event(), threading.Event()
    create = Provider.Create

    def held(self: Provider, request: Any, context: Any) -> Any:
        if request.urn.endswith(f"::{name}") and not request.preview:
            there.set()
            assert go_on.wait(LIMIT_S)
        return create(self, request, context)

    with monkeypatch.context() as patch:
        patch.setattr(Provider, "Create", held)
        try:
            yield there, go_on
        finally:
            go_on.set()


class Background:
    """One call on a thread; `result` raises what it raised, KeyboardInterrupt too."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call, self._error, self._value = call, None, None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 - handed on by result
            self._error = error

    def result(self, limit: float = LIMIT_S) -> Any:
        self._thread.join(limit)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error
        return self._value


def wait_for(what: Callable[[], Any]) -> Any:
    limit = time.monotonic() + LIMIT_S
    while not (found := what()):
        assert time.monotonic() < limit, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.02)
    return found
