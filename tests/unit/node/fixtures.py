"""A whole host below a directory: fake Docker, fake systemd, no waiting."""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from hostler.node.base import files, instances
from hostler.node.cards import cards
from hostler.node.doors import drain
from hostler.node.exchange import bake
from hostler.node.replica import container, journal, wait
from hostler.node.weights import transfer
from worlds.ports import free_port

from .fake_docker import FakeDocker
from .fakes import DIGEST, FakeSystemd, Heard, Host, until


@pytest.fixture
def short_root(monkeypatch: pytest.MonkeyPatch) -> Generator[Path, None, None]:
    """In place of /; a socket's path may have 108 bytes only."""
    folder = Path(tempfile.mkdtemp(prefix="hn-", dir="/tmp"))
    monkeypatch.setattr(files, "root", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (wait, drain, journal, container, cards):
        monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(drain, "SETTLE_S", 0.05)
    monkeypatch.setattr(drain, "SERVED_S", 0.05)
    monkeypatch.setattr(journal, "LOCK_S", 0.1)
    monkeypatch.setattr(transfer, "PAUSE_S", 0.01)
    monkeypatch.setattr(bake, "EVERY_S", 0.01)
    monkeypatch.setattr(transfer, "EVERY_S", 0.0)


def account(owner: str = "", group: str = "") -> tuple[int, int]:
    """The account's ids, without an account; anybody else is who runs the tests."""
    return (990, 990) if owner == group == "hostler" else (-1, -1)


@pytest.fixture
def host(short_root: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> Generator[Host, None, None]:
    fake = FakeDocker(short_root / "var/run/docker.sock")
    fake.images["llama@" + DIGEST] = "sha256:image"
    systemd = FakeSystemd()
    monkeypatch.setattr(instances, "systemctl", systemd.systemctl)
    monkeypatch.setattr(files, "ids", account)
    made = Host(short_root, fake, systemd, free_port())
    yield made
    until(made.dark, "the waiters end")
    fake.close()


@pytest.fixture
def heard() -> Heard:
    return Heard()
